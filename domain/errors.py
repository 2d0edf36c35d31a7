"""The one error of the domain, and every code that it may carry: a new error is one line here."""

from enum import StrEnum
from typing import Self


class ErrorCode(StrEnum):
    """A stable, machine-read code; clients branch on it alone, so none is ever renamed.

    `kind` says what sort of refusal it is (whoever answers gives each kind its status), `meaning` what it
    tells a client.
    """

    kind: str
    meaning: str

    def __new__(cls, value: str, kind: str, meaning: str) -> Self:
        code = str.__new__(cls, value)
        code._value_ = value
        code.kind = kind
        code.meaning = meaning
        return code


class Code(ErrorCode):
    """Codes of the domain."""

    # fmt: off
    # --- the payload is wrong

    INVALID_REQUEST = "invalid_request", "invalid", "The payload or a parameter is wrong; `errors` points at each place."
    CURRENCY_MISMATCH = "currency_mismatch", "invalid", "The currency is not the tenant's."
    UNKNOWN_INCOME_ROLE = "unknown_income_role", "invalid", "The role is not one that a line may name as its income."
    UNKNOWN_ADJUSTMENT_ROLE = "unknown_adjustment_role", "invalid", "The role is not one that an adjustment may name as its other side."
    UNKNOWN_TAX_CODE = "unknown_tax_code", "invalid", "The school has no such tax code; `GET tax-codes` lists them."
    UNKNOWN_TAX_ROLE = "unknown_tax_role", "invalid", "The role is not the tax's own, or the country's chart does not have it."
    TAX_CODE_NOT_IN_FORCE = "tax_code_not_in_force", "invalid", "The tax code has no rate on the date of the document."
    DISCOUNT_EXCEEDS_PRICE = "discount_exceeds_price", "invalid", "A discount is more than the price that it lowers."
    NOT_SUPPORTED = "not_supported", "invalid", "The service does not do this yet."
    EFFECTIVE_DATE_IN_FUTURE = "effective_date_in_future", "invalid", "The date lies after today in the tenant's time zone."
    EFFECTIVE_DATE_TOO_EARLY = "effective_date_too_early", "invalid", "The date lies before 1970-01-01, or before what is settled or taken back; `earliest` says the first that may be."
    AMOUNT_TOO_LARGE = "amount_too_large", "invalid", "An amount is above the largest that the tenant's policy allows."
    COMMAND_TOO_LARGE = "command_too_large", "invalid", "The command would make more than 256,000 bytes of events and answer; split it."
    TENDERS_EXCEED_TOTAL = "tenders_exceed_total", "invalid", "The tenders pay more than is due, where that is not allowed."
    TENDERS_TOO_LOW = "tenders_too_low", "invalid", "The tenders pay less than they must."
    TENDERS_AMBIGUOUS = "tenders_ambiguous", "invalid", "More than one tender that is not a wallet is without amount."
    EXPIRES_AT_OUT_OF_RANGE = "expires_at_out_of_range", "invalid", "A hold expires after now, and within 8,784 hours (366 days)."
    TENDER_WITHOUT_WALLET = "tender_without_wallet", "invalid", "A wallet tender names no wallet, and the request has none."
    REFERENCE_REQUIRED = "reference_required", "invalid", "M-Pesa money names the provider's reference, so that it enters once."
    UNKNOWN_COUNTRY = "unknown_country", "invalid", "There is no chart template for this country."
    UNKNOWN_FEATURE = "unknown_feature", "invalid", "There is no such feature."
    UNKNOWN_ROLE = "unknown_role", "invalid", "There is no such role for a key."
    UNKNOWN_TIME_ZONE = "unknown_time_zone", "invalid", "The time zone is not in the IANA database."
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused", "invalid", "The key was used before with another body; `first_position` is where its command stands."

    # --- the state forbids it

    INSUFFICIENT_FUNDS = "insufficient_funds", "conflict", "The wallet has less than is required; `available` and `required` say what."
    WALLET_EXISTS = "wallet_exists", "conflict", "The wallet already exists."
    WALLET_NOT_OPEN = "wallet_not_open", "conflict", "The wallet is frozen."
    WALLET_CLOSED = "wallet_closed", "conflict", "The wallet is closed; it takes nothing more."
    WALLET_NOT_EMPTY = "wallet_not_empty", "conflict", "Only an empty wallet without active holds can be closed."
    NOTHING_UNCLAIMED = "nothing_unclaimed", "conflict", "The wallet has nothing in it, or what it has is held."
    OVERDRAFT_IN_USE = "overdraft_in_use", "conflict", "The wallet has used more of its overdraft than would be left; `required` says what."
    NOT_SAME_FAMILY = "not_same_family", "conflict", "The wallet is another payer's."
    HOLD_NOT_ACTIVE = "hold_not_active", "conflict", "The hold was captured or released, or has expired."
    CAPTURE_EXCEEDS_HOLD = "capture_exceeds_hold", "conflict", "More would be captured than is held; `available` and `required` say what."
    TOO_MANY_HOLDS = "too_many_holds", "conflict", "The wallet has 100 active holds; capture or release one."
    NO_WALLET_FOR_EXCESS = "no_wallet_for_excess", "conflict", "The tenders exceed what is open, and no wallet takes the rest."
    INVOICE_NOT_DRAFT = "invoice_not_draft", "conflict", "Only a draft can be issued."
    INVOICE_NOT_OPEN = "invoice_not_open", "conflict", "The invoice is a draft, or nothing of it is open."
    REFUND_EXCEEDS_SALE = "refund_exceeds_sale", "conflict", "More would be given back than is left of the sale or its line."
    REFERENCE_ALREADY_USED = "reference_already_used", "conflict", "This money was booked before; `transaction_id` names the first, `amount` and `account` what it was and where it went."
    ALREADY_REVERSED = "already_reversed", "conflict", "The transaction was reversed before; `transaction_id` names the transaction that did it."
    NOT_REVERSIBLE = "not_reversible", "conflict", "It cannot be reversed: it holds money of M-Pesa or card, which its provider alone takes back, or it takes back something itself."
    USE_REFUND = "use_refund", "conflict", "A sale is taken back by a refund (`POST pos/refund`)."
    USE_CREDIT = "use_credit", "conflict", "An invoice of which something was paid is taken back by a credit note."
    USE_VOID = "use_void", "conflict", "An invoice of which nothing was paid is taken back by voiding it."
    NOT_TAX_REGISTERED = "not_tax_registered", "conflict", "The school is not registered for tax on the date of the document; `registered_from` says from when it is."
    ROLE_WITHOUT_ACCOUNT = "role_without_account", "conflict", "The chart has no account for a role, and the one that its template has for it is taken."
    ACCOUNT_NOT_OPEN = "account_not_open", "conflict", "The ledger account is frozen or closed."
    TENANT_EXISTS = "tenant_exists", "conflict", "The tenant is already registered."
    KEY_EXISTS = "key_exists", "conflict", "The tenant has a key of this prefix."
    SERIES_EXHAUSTED = "series_exhausted", "conflict", "The numbering series has no number left in its format."
    IMPORT_FINISHED = "import_finished", "conflict", "The import has finished; nothing more is recorded of it."

    # --- there is no such thing

    FEATURE_DISABLED = "feature_disabled", "not_found", "FINANCE_V2 is off for the tenant."
    TENANT_NOT_FOUND = "tenant_not_found", "not_found", "The tenant is not registered."
    WALLET_NOT_FOUND = "wallet_not_found", "not_found", "The tenant has no such wallet."
    HOLD_NOT_FOUND = "hold_not_found", "not_found", "The tenant has no such hold."
    INVOICE_NOT_FOUND = "invoice_not_found", "not_found", "The tenant has no such invoice."
    TRANSACTION_NOT_FOUND = "transaction_not_found", "not_found", "The tenant has no such transaction."
    SALE_NOT_FOUND = "sale_not_found", "not_found", "The tenant has no such sale."
    ACCOUNT_NOT_FOUND = "account_not_found", "not_found", "The tenant's chart has no such account."
    IMPORT_NOT_FOUND = "import_not_found", "not_found", "The tenant has no such import."
    KEY_NOT_FOUND = "key_not_found", "not_found", "No live API key has this prefix."

    # --- the credential does not do

    UNAUTHENTICATED = "unauthenticated", "unauthenticated", "No key, or one that is unknown, revoked or expired."
    CAPABILITY_MISSING = "capability_missing", "forbidden", "The key's role may not do this; `capability` names what is missing."

    # --- nothing was decided

    IDEMPOTENCY_KEY_REQUIRED = "idempotency_key_required", "bad_request", "The command needs an `Idempotency-Key`, in bulk an `idempotency_key`."
    IDEMPOTENCY_KEY_INVALID = "idempotency_key_invalid", "bad_request", "A key has 8 to 200 visible ASCII characters."
    REASON_REQUIRED = "reason_required", "bad_request", "The command needs a reason, in the header `Bursar-Reason`."
    UNAVAILABLE = "unavailable", "unavailable", "Nothing was written, or the read would be stale. Ask again after `Retry-After`."
    OUTCOME_UNKNOWN = "outcome_unknown", "unavailable", "The database broke off during the commit. Ask again with the same key."
    # fmt: on


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
