"""How an amount is split over the tenders that a client names."""

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from domain.errors import Code, DomainError
from domain.ids import NAME, Name, WalletId
from domain.money import MAX_AMOUNT_MINOR, check_limit, format_minor

TenderType = Literal["wallet", "cash", "bank", "card", "mpesa"]


class Tender(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A means of payment as a client names it: `amount` in minor units, or what is left over."""

    type: TenderType
    amount: Annotated[int, Meta(ge=1, le=MAX_AMOUNT_MINOR)] | None = None
    account: Annotated[WalletId, NAME] | None = None
    reference: Name | None = None

    def __post_init__(self) -> None:
        for field in ("account", "reference"):
            value = getattr(self, field)
            if value:
                msgspec.structs.force_setattr(self, field, value.upper())


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """What one tender pays: `amount` of the document, and `excess` beyond it. Legs count from 1."""

    leg: int
    type: TenderType
    amount_minor: int
    excess_minor: int = 0
    wallet_id: WalletId | None = None
    reference: str | None = None


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
    if sum(tender.amount is None for tender in ordered if tender.type != "wallet") > 1:
        raise DomainError(
            Code.TENDERS_AMBIGUOUS, "Only one tender that is not a wallet may be without amount."
        )
    named = sum(tender.amount or 0 for tender in ordered)
    check_limit(named)
    unnamed_left = max(total_minor - named, 0)
    left = total_minor
    shares: list[Share] = []
    taken: dict[WalletId, int] = {}
    for tender in ordered:
        account = tender.account
        if tender.type == "wallet":
            account = account or wallet
            amount = _wallet_amount(
                tender,
                account,
                total_minor,
                unnamed_left,
                available,
                taken,
                currency,
                alone=len(ordered) == 1,
            )
            if amount > left:
                raise DomainError(
                    Code.TENDERS_EXCEED_TOTAL,
                    f"The wallet would pay {format_minor(amount, currency)} {currency},"
                    f" {format_minor(left, currency)} {currency} is left to pay.",
                )
        else:
            amount = unnamed_left if tender.amount is None else tender.amount
        if tender.amount is None:
            unnamed_left -= amount
        used = min(amount, left)
        left -= used
        if amount:
            shares.append(
                Share(
                    leg=len(shares) + 1,
                    type=tender.type,
                    amount_minor=used,
                    excess_minor=amount - used,
                    wallet_id=account,
                    reference=tender.reference,
                )
            )
    _check_sum(total_minor, left, sum(share.excess_minor for share in shares), currency, exact=exact)
    return shares


def _wallet_amount(
    tender: Tender,
    wallet_id: WalletId | None,
    total_minor: int,
    unnamed_minor: int,
    available: Callable[[WalletId], int],
    taken: dict[WalletId, int],
    currency: str,
    *,
    alone: bool,
) -> int:
    if wallet_id is None:
        raise DomainError(Code.TENDER_WITHOUT_WALLET, "A wallet tender needs a wallet to pay from.")
    have = max(available(wallet_id) - taken.get(wallet_id, 0), 0)
    if tender.amount is not None:
        required, amount = tender.amount, tender.amount
    else:
        required, amount = (total_minor if alone else 0), min(have, unnamed_minor)
    if required > have:
        raise DomainError(
            Code.INSUFFICIENT_FUNDS,
            f"Wallet {wallet_id} has {format_minor(have, currency)} {currency} available,"
            f" {format_minor(required, currency)} {currency} is required.",
            account=wallet_id,
            available=have,
            required=required,
        )
    taken[wallet_id] = taken.get(wallet_id, 0) + amount
    return amount


def _check_sum(
    total_minor: int, remaining_minor: int, excess_minor: int, currency: str, *, exact: bool
) -> None:
    if exact and (excess_minor or remaining_minor):
        raise DomainError(
            Code.TENDERS_EXCEED_TOTAL if excess_minor else Code.TENDERS_TOO_LOW,
            f"The tenders pay {format_minor(total_minor - remaining_minor + excess_minor, currency)} {currency},"
            f" the total is {format_minor(total_minor, currency)} {currency}.",
        )
    if remaining_minor == total_minor:
        raise DomainError(Code.TENDERS_TOO_LOW, "The tenders pay nothing.")
