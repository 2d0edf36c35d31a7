"""The sale: what was sold over the counter, what paid for it, and what of it was taken back."""

from collections.abc import Sequence
from datetime import date
from typing import ClassVar, Self, assert_never

import msgspec

from domain.errors import Code, DomainError
from domain.event import MoneyEvent, State, Transaction, stored
from domain.ids import SaleId, WalletId
from domain.line import DocumentTax, Line, Parts, document_taxes, in_proportion
from domain.money import CASH_STEP_MINOR, allocate, check_limit, format_minor, rounded_cash
from domain.tender import Share, TenderType


class SaleLine(Line, frozen=True, kw_only=True):
    """One line as sold."""

    sku: str
    description: str


class SaleTender(msgspec.Struct, frozen=True, kw_only=True):
    """What one tender paid, or got back: minor units."""

    type: TenderType
    amount: int
    account: WalletId | None = None
    reference: str | None = None


class RefundLine(Parts, frozen=True, kw_only=True):
    """What of line `line` (from 1) is taken back, and the pieces where they were named."""

    line: int
    quantity: int
    sku: str
    description: str
    tax_code: str = ""


# --- events


@stored
class SaleCompleted(MoneyEvent, frozen=True, kw_only=True):
    topic: ClassVar[str] = "bursar.sale.completed.v1"
    sale: SaleId
    customer: str | None
    currency: str
    lines: tuple[SaleLine, ...]
    tenders: tuple[SaleTender, ...]
    total: int
    receipt: str

    @property
    def rounding_minor(self) -> int:
        """What was paid more than the total, or with a minus less."""
        return sum(tender.amount for tender in self.tenders) - self.total


@stored
class SaleRefunded(MoneyEvent, frozen=True, kw_only=True):
    topic: ClassVar[str] = "bursar.sale.refunded.v1"
    sale: SaleId
    customer: str | None
    currency: str
    lines: tuple[RefundLine, ...]
    tenders: tuple[SaleTender, ...]
    total: int
    receipt: str

    @property
    def rounding_minor(self) -> int:
        """What was given back more than the total, or with a minus less."""
        return sum(tender.amount for tender in self.tenders) - self.total


SaleEvent = SaleCompleted | SaleRefunded

# --- state


class Sale(State, kw_only=True):
    """Beside each line what of it was taken back (pieces, minor units), beside each tender what it got back."""

    sale: SaleId = SaleId("")
    customer: str | None = None
    currency: str = ""
    lines: tuple[SaleLine, ...] = ()
    tenders: tuple[SaleTender, ...] = ()
    total_minor: int = 0
    receipt: str = ""
    sold_on: date | None = None
    returned_pieces: tuple[int, ...] = ()
    returned_amounts: tuple[int, ...] = ()
    returned_tenders: tuple[int, ...] = ()

    def left_of(self, index: int) -> int:
        """What of a line may still be taken back, in minor units."""
        return self.lines[index].total - self.returned_amounts[index]


def evolve(state: Sale, event: SaleEvent) -> None:
    match event:
        case SaleCompleted():
            state.sale = event.sale
            state.customer = event.customer
            state.currency = event.currency
            state.lines = event.lines
            state.tenders = event.tenders
            state.total_minor = event.total
            state.receipt = event.receipt
            state.sold_on = event.effective_date
            state.returned_pieces = state.returned_amounts = (0,) * len(event.lines)
            state.returned_tenders = (0,) * len(event.tenders)
        case SaleRefunded():
            pieces, amounts = list(state.returned_pieces), list(state.returned_amounts)
            for line in event.lines:
                pieces[line.line - 1] += line.quantity
                amounts[line.line - 1] += line.total
            state.returned_pieces, state.returned_amounts = tuple(pieces), tuple(amounts)
            state.returned_tenders = _returned(state, event.tenders)
        case _:
            assert_never(event)


def _returned(state: Sale, refunded: Sequence[SaleTender]) -> tuple[int, ...]:
    """What each tender has got back, after `refunded` has gone to the tenders in reverse order of use."""
    left = sum(tender.amount for tender in refunded)
    returned = list(state.returned_tenders)
    for i in reversed(range(len(returned))):
        amount = min(left, state.tenders[i].amount - returned[i])
        returned[i] += amount
        left -= amount
    return tuple(returned)


# --- as answers show it


class TenderView(msgspec.Struct, frozen=True):
    """What one tender paid, or got back."""

    type: TenderType
    amount: int


class SaleView(msgspec.Struct, frozen=True, kw_only=True):
    """A sale as every answer shows it, of a read or of a command: what was sold, what paid, what was refunded.

    `receipt` is its number. `total` is net and tax, `payable` is total and `rounding`, and is what the tenders pay.
    Amounts in minor units.
    """

    id: SaleId
    receipt: str
    customer: str | None
    currency: str
    net: int
    discount: int
    tax: int
    total: int
    rounding: int
    payable: int
    taxes: Sequence[DocumentTax]
    refunded: int
    lines: Sequence[SaleLine]
    tenders: Sequence[TenderView]

    @classmethod
    def of(cls, state: Sale) -> Self:
        return cls.of_parts(
            id=state.sale,
            receipt=state.receipt,
            customer=state.customer,
            currency=state.currency,
            total=state.total_minor,
            refunded=sum(state.returned_amounts),
            lines=state.lines,
            tenders=tenders_of(state.tenders),
        )

    @classmethod
    def of_parts(
        cls,
        *,
        id: SaleId,  # noqa: A002  the field's name
        receipt: str,
        customer: str | None,
        currency: str,
        total: int,
        refunded: int,
        lines: Sequence[SaleLine],
        tenders: Sequence[TenderView],
    ) -> Self:
        """The view of what is stored of a sale: the rest is added up."""
        payable = sum(tender.amount for tender in tenders)
        return cls(
            id=id,
            receipt=receipt,
            customer=customer,
            currency=currency,
            net=sum(line.net for line in lines),
            discount=sum(line.discount for line in lines),
            tax=sum(line.tax for line in lines),
            total=total,
            rounding=payable - total,
            payable=payable,
            taxes=document_taxes(lines),
            refunded=refunded,
            lines=lines,
            tenders=tenders,
        )


def tenders_of(tenders: Sequence[SaleTender]) -> list[TenderView]:
    """Tenders as answers show them."""
    return [TenderView(tender.type, tender.amount) for tender in tenders]


# --- decisions


def complete(
    transaction: Transaction,
    *,
    sale: SaleId,
    customer: str | None,
    lines: Sequence[SaleLine],
    shares: Sequence[Share],
    receipt: str,
) -> SaleCompleted:
    total = sum(line.total for line in lines)
    check_limit(total)
    payable = sum(share.amount_minor for share in shares)
    assert payable == total or transaction.currency in CASH_STEP_MINOR
    return SaleCompleted(
        sale=sale,
        customer=customer,
        currency=transaction.currency,
        lines=tuple(lines),
        tenders=tuple(
            SaleTender(
                type=share.type, amount=share.amount_minor, account=share.wallet_id, reference=share.reference
            )
            for share in shares
        ),
        total=total,
        receipt=receipt,
        **transaction.stamp,
    )


def lines_by_quantity(state: Sale, wanted: Sequence[tuple[int, int]]) -> list[RefundLine]:
    """What (line, pieces) give back: the line's total in proportion, its last piece taking the remainder.

    Pieces whose share rounds to nothing are taken back with the others; alone they are refused.
    """
    pieces: dict[int, int] = {}
    for number, quantity in wanted:
        if not 1 <= number <= len(state.lines):
            raise DomainError(Code.INVALID_REQUEST, f"The sale has no line {number}.")
        pieces[number - 1] = pieces.get(number - 1, 0) + quantity
    found: list[RefundLine] = []
    for index, quantity in sorted(pieces.items()):
        line, left = state.lines[index], state.left_of(index)
        returned = state.returned_pieces[index] + quantity
        if returned > line.quantity or not left:
            raise DomainError(
                Code.REFUND_EXCEEDS_SALE,
                f"Of line {index + 1}, {line.quantity - state.returned_pieces[index]} pieces and"
                f" {format_minor(left, state.currency)} {state.currency} are left.",
            )
        amount = left if returned == line.quantity else min(line.total * quantity // line.quantity, left)
        found.append(_refund_line(state, index, quantity, amount))
    if not any(line.total for line in found):
        raise DomainError(Code.REFUND_EXCEEDS_SALE, "These pieces are worth less than the smallest unit.")
    return found


def lines_by_amount(state: Sale, amount_minor: int) -> list[RefundLine]:
    """Spread an amount (minor units) over what is left of each line."""
    left = [state.left_of(index) for index in range(len(state.lines))]
    if amount_minor > sum(left):
        raise DomainError(
            Code.REFUND_EXCEEDS_SALE,
            f"{format_minor(sum(left), state.currency)} {state.currency} of the sale is left to refund.",
            available=sum(left),
            required=amount_minor,
        )
    shares = allocate(amount_minor, left)
    return [_refund_line(state, index, 0, share) for index, share in enumerate(shares) if share]


def _refund_line(state: Sale, index: int, quantity: int, amount_minor: int) -> RefundLine:
    line = state.lines[index]
    parts = in_proportion(line, before_minor=state.returned_amounts[index], amount_minor=amount_minor)
    return RefundLine(
        line=index + 1,
        quantity=quantity,
        discount=parts.discount,
        net=parts.net,
        tax=parts.tax,
        total=parts.total,
        discount_tax=parts.discount_tax,
        taxes=parts.taxes,
        sku=line.sku,
        description=line.description,
        tax_code=line.tax_code,
    )


def refund_tenders(state: Sale, amount_minor: int) -> list[SaleTender]:
    """Give `amount` more back to the tenders that paid, in reverse order of use.

    Cash goes back rounded, by all that was taken back so far; with the last part each tender has what it paid.
    """
    taken_minor = sum(state.returned_amounts) + amount_minor
    assert taken_minor <= state.total_minor, "no more is refunded than was paid"
    left_minor = taken_minor
    found: list[SaleTender] = []
    for tender, returned in reversed(list(zip(state.tenders, state.returned_tenders, strict=True))):
        due_minor = min(left_minor, tender.amount)
        left_minor -= due_minor
        if taken_minor == state.total_minor:
            due_minor = tender.amount
        elif tender.type == "cash":
            due_minor = min(rounded_cash(due_minor, state.currency), tender.amount)
        if due_minor > returned:
            found.append(msgspec.structs.replace(tender, amount=due_minor - returned))
    return found


def refund(
    state: Sale, transaction: Transaction, *, lines: Sequence[RefundLine], receipt: str
) -> SaleRefunded:
    total = sum(line.total for line in lines)
    assert total > 0
    return SaleRefunded(
        sale=state.sale,
        customer=state.customer,
        currency=state.currency,
        lines=tuple(lines),
        tenders=tuple(refund_tenders(state, total)),
        total=total,
        receipt=receipt,
        **transaction.stamp,
    )


def check_exists(state: Sale, sale: SaleId) -> None:
    """Refuse a sale that is not there (`sale_not_found`)."""
    if not state.version:
        raise DomainError(Code.SALE_NOT_FOUND, f"There is no sale {sale}.", sale=sale)
