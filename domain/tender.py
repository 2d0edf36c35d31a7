"""How an amount is split over the tenders that a client names."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from domain.errors import Code, DomainError
from domain.ids import NAME, UUID, HoldId, Name, WalletId
from domain.money import CASH_STEP_MINOR, MAX_AMOUNT_MINOR, check_limit, format_minor, rounded_cash

TenderType = Literal["wallet", "cash", "bank", "card", "mpesa"]


class Tender(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A means of payment as a client names it: `amount` in minor units, or what is left over.

    `given` is the cash that was handed over at a checkout.
    """

    type: TenderType
    amount: Annotated[int, Meta(ge=1, le=MAX_AMOUNT_MINOR)] | None = None
    account: Annotated[WalletId, NAME] | None = None
    reference: Name | None = None
    hold: Annotated[HoldId, UUID] | None = None
    given: Annotated[int, Meta(ge=1, le=MAX_AMOUNT_MINOR)] | None = None

    def __post_init__(self) -> None:
        for field in ("account", "reference"):
            value = getattr(self, field)
            if value:
                msgspec.structs.force_setattr(self, field, value.upper())


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """What one tender pays: `amount` of the document, and `excess` beyond it. Legs count from 1.

    `given` is the cash that was handed over for it.
    """

    leg: int
    type: TenderType
    amount_minor: int
    excess_minor: int = 0
    wallet_id: WalletId | None = None
    reference: str | None = None
    hold: HoldId | None = None
    given_minor: int | None = None


def split(
    total_minor: int,
    tenders: Sequence[Tender],
    *,
    currency: str,
    wallet: WalletId | None,
    available: Callable[[WalletId], int],
    exact: bool,
) -> list[Share]:
    """Split `total` minor units of `currency` over `tenders`, wallets first and else in the order given.

    A wallet tender without amount takes what is `available` of its wallet (`account`, else `wallet`), up
    to what the amounts named leave of the total; alone it must cover all. One other tender may be without
    amount and takes the rest. Shares of 0 are dropped. With `exact` the tenders must pay the whole, no
    more and no less; without it they may pay less, and tenders other than wallets may pay more.
    """
    ordered = sorted(tenders, key=lambda tender: tender.type != "wallet")
    unnamed_minor = max(total_minor - _named_minor(ordered), 0)
    left_minor = total_minor
    purses = _Purses(available, currency)
    shares: list[Share] = []
    for tender in ordered:
        if tender.given is not None and not (exact and tender.type == "cash"):
            raise DomainError(Code.INVALID_REQUEST, "Only the cash of a checkout is given.")
        wallet_id = tender.account
        if tender.type == "wallet":
            wallet_id = wallet_id or wallet
            least_minor = total_minor if len(ordered) == 1 else 0
            amount = purses.draw(wallet_id, tender.amount, least_minor=least_minor, most_minor=unnamed_minor)
            _check_wallet_pays_what_is_left(amount, left_minor, currency)
        else:
            amount = unnamed_minor if tender.amount is None else tender.amount
        if tender.amount is None:
            unnamed_minor -= amount
        share = Share(
            leg=len(shares) + 1,
            type=tender.type,
            amount_minor=min(amount, left_minor),
            excess_minor=max(amount - left_minor, 0),
            wallet_id=wallet_id,
            reference=tender.reference,
            hold=tender.hold,
            given_minor=tender.given,
        )
        left_minor -= share.amount_minor
        if amount:
            shares.append(share)
    _check_sum(total_minor, left_minor, sum(share.excess_minor for share in shares), currency, exact=exact)
    return shares


def cash_as_due(total_minor: int, tenders: Sequence[Tender], currency: str) -> Sequence[Tender]:
    """The tenders with what is due in cash, where they name what is paid of it after rounding."""
    if currency not in CASH_STEP_MINOR or any(tender.amount is None for tender in tenders):
        return tenders
    cash = [tender for tender in tenders if tender.type == "cash"]
    if not cash:
        return tenders
    paid_minor = sum(tender.amount or 0 for tender in tenders)
    cash_minor = sum(tender.amount or 0 for tender in cash)
    due_minor = total_minor - (paid_minor - cash_minor)
    if due_minor < 0 or rounded_cash(due_minor, currency) != cash_minor:
        return tenders
    largest = max(cash, key=lambda tender: tender.amount or 0)
    due = msgspec.structs.replace(largest, amount=(largest.amount or 0) + due_minor - cash_minor)
    return [due if tender is largest else tender for tender in tenders]


def cash_as_paid(shares: Sequence[Share], currency: str) -> Sequence[Share]:
    """The shares as they are paid: what all cash pays together is rounded, in the largest share of it."""
    if currency not in CASH_STEP_MINOR:
        return shares
    cash = [share for share in shares if share.type == "cash"]
    if not cash:
        return shares
    due_minor = sum(share.amount_minor for share in cash)
    largest = max(cash, key=lambda share: share.amount_minor)
    paid_minor = largest.amount_minor + rounded_cash(due_minor, currency) - due_minor
    paid = msgspec.structs.replace(largest, amount_minor=paid_minor)
    return [paid if share is largest else share for share in shares]


def change(shares: Sequence[Share], currency: str) -> int | None:
    """What is handed back of the cash that was given; None where nobody said what was given."""
    given = [(share.given_minor, share.amount_minor) for share in shares if share.given_minor is not None]
    for given_minor, amount_minor in given:
        if given_minor < amount_minor:
            raise DomainError(
                Code.TENDERS_TOO_LOW,
                f"{format_minor(given_minor, currency)} {currency} is given in cash,"
                f" which pays {format_minor(amount_minor, currency)} {currency}.",
            )
    return sum(given_minor - amount_minor for given_minor, amount_minor in given) if given else None


def _named_minor(tenders: Sequence[Tender]) -> int:
    """What the amounts that are named add up to."""
    if sum(tender.amount is None for tender in tenders if tender.type != "wallet") > 1:
        raise DomainError(
            Code.TENDERS_AMBIGUOUS, "Only one tender that is not a wallet may be without amount."
        )
    named_minor = sum(tender.amount or 0 for tender in tenders)
    check_limit(named_minor)
    return named_minor


class _Purses:
    """Wallets, and what has been drawn on them so far."""

    def __init__(self, available: Callable[[WalletId], int], currency: str) -> None:
        self._available = available
        self._currency = currency
        self._drawn: Counter[WalletId] = Counter()

    def draw(
        self, wallet_id: WalletId | None, amount_minor: int | None, *, least_minor: int, most_minor: int
    ) -> int:
        """Draw an amount; where it is None what there is, up to `most`, and no less than `least`."""
        if wallet_id is None:
            raise DomainError(Code.TENDER_WITHOUT_WALLET, "A wallet tender needs a wallet to pay from.")
        have = max(self._available(wallet_id) - self._drawn[wallet_id], 0)
        required = least_minor if amount_minor is None else amount_minor
        if required > have:
            raise DomainError(
                Code.INSUFFICIENT_FUNDS,
                f"Wallet {wallet_id} has {format_minor(have, self._currency)} {self._currency} available,"
                f" {format_minor(required, self._currency)} {self._currency} is required.",
                account=wallet_id,
                available=have,
                required=required,
            )
        drawn = min(have, most_minor) if amount_minor is None else amount_minor
        self._drawn[wallet_id] += drawn
        return drawn


def _check_wallet_pays_what_is_left(amount_minor: int, left_minor: int, currency: str) -> None:
    if amount_minor > left_minor:
        raise DomainError(
            Code.TENDERS_EXCEED_TOTAL,
            f"The wallet would pay {format_minor(amount_minor, currency)} {currency},"
            f" {format_minor(left_minor, currency)} {currency} is left to pay.",
        )


def _check_sum(
    total_minor: int, remaining_minor: int, excess_minor: int, currency: str, *, exact: bool
) -> None:
    if exact and (excess_minor or remaining_minor):
        raise DomainError(
            Code.TENDERS_EXCEED_TOTAL if excess_minor else Code.TENDERS_TOO_LOW,
            f"The tenders pay {format_minor(total_minor - remaining_minor + excess_minor, currency)} {currency},"
            f" the total is {format_minor(total_minor, currency)} {currency}.",
        )
    if total_minor and remaining_minor == total_minor:
        raise DomainError(Code.TENDERS_TOO_LOW, "The tenders pay nothing.")
