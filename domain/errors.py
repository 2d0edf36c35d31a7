"""The one error of the domain, and every code that it may carry."""

from enum import StrEnum


class Code(StrEnum):
    """Stable, machine-read codes. Clients branch on these alone, so none is ever renamed."""

    # the payload is wrong (422)
    INVALID_REQUEST = "invalid_request"
    CURRENCY_MISMATCH = "currency_mismatch"
    UNKNOWN_INCOME_ROLE = "unknown_income_role"
    NOT_SUPPORTED = "not_supported"
    EFFECTIVE_DATE_IN_FUTURE = "effective_date_in_future"
    AMOUNT_TOO_LARGE = "amount_too_large"
    COMMAND_TOO_LARGE = "command_too_large"
    TENDERS_EXCEED_TOTAL = "tenders_exceed_total"
    TENDERS_TOO_LOW = "tenders_too_low"
    TENDERS_AMBIGUOUS = "tenders_ambiguous"
    TENDER_WITHOUT_WALLET = "tender_without_wallet"
    UNKNOWN_COUNTRY = "unknown_country"
    UNKNOWN_FEATURE = "unknown_feature"
    UNKNOWN_ROLE = "unknown_role"
    UNKNOWN_TIME_ZONE = "unknown_time_zone"
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"
    # the state forbids it (409)
    INSUFFICIENT_FUNDS = "insufficient_funds"
    WALLET_EXISTS = "wallet_exists"
    WALLET_NOT_OPEN = "wallet_not_open"
    NO_WALLET_FOR_EXCESS = "no_wallet_for_excess"
    INVOICE_NOT_DRAFT = "invoice_not_draft"
    INVOICE_NOT_OPEN = "invoice_not_open"
    REFUND_EXCEEDS_SALE = "refund_exceeds_sale"
    REFERENCE_ALREADY_USED = "reference_already_used"
    ACCOUNT_NOT_OPEN = "account_not_open"
    TENANT_EXISTS = "tenant_exists"
    KEY_EXISTS = "key_exists"
    SERIES_EXHAUSTED = "series_exhausted"
    # there is no such thing (404)
    FEATURE_DISABLED = "feature_disabled"
    TENANT_NOT_FOUND = "tenant_not_found"
    WALLET_NOT_FOUND = "wallet_not_found"
    INVOICE_NOT_FOUND = "invoice_not_found"
    SALE_NOT_FOUND = "sale_not_found"
    ACCOUNT_NOT_FOUND = "account_not_found"
    KEY_NOT_FOUND = "key_not_found"
    # the credential does not do (401, 403)
    UNAUTHENTICATED = "unauthenticated"
    CAPABILITY_MISSING = "capability_missing"
    # nothing was decided (400, 503)
    IDEMPOTENCY_KEY_REQUIRED = "idempotency_key_required"
    IDEMPOTENCY_KEY_INVALID = "idempotency_key_invalid"
    UNAVAILABLE = "unavailable"
    OUTCOME_UNKNOWN = "outcome_unknown"


class DomainError(Exception):
    """A refusal: nothing was changed.

    `code` is stable, `detail` is for people, `extra` holds facts that a client may show
    (amounts in minor units, the transaction that was first, the capability that is missing).
    """

    def __init__(self, code: Code, detail: str, **extra: str | int) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.extra = extra
