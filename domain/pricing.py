"""What a document's lines amount to: line discounts, the document's discount, then tax.

All is exact: whole minor units, and fractions where something is divided. Halves are rounded up, once for each
component and document; what a document has is spread over its lines by largest remainder.
"""

from collections.abc import Sequence
from fractions import Fraction
from math import lcm
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from domain.errors import Code, DomainError
from domain.line import Parts, TaxPart
from domain.money import MAX_AMOUNT_MINOR, allocate
from domain.tax import RATE_PATTERN, Component, percent

PriceBasis = Literal["inclusive", "exclusive"]
"""Whether prices, and with them discounts, include tax."""

_Tax = tuple[str, str, str, str]


class Discount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a price is lowered by, in the document's price basis: an amount, or a percentage of it."""

    amount: Annotated[int, Meta(ge=0, le=MAX_AMOUNT_MINOR, description="In minor units.")] | None = None
    percent: (
        Annotated[str, Meta(pattern=RATE_PATTERN, description='Per cent as text, such as "7.5".')] | None
    ) = None


class Article(msgspec.Struct, frozen=True, kw_only=True):
    """A line before it is priced: the price of all its pieces in minor units, and the taxes in force."""

    price_minor: int
    components: Sequence[Component] = ()
    discount: Discount | None = None


def priced(
    articles: Sequence[Article], *, basis: PriceBasis, discount: Discount | None = None
) -> list[Parts]:
    """The parts of each line. A discount that exceeds its price is refused (`discount_exceeds_price`)."""
    if discount is None and not any(article.components or article.discount for article in articles):
        return [
            Parts(discount=0, net=article.price_minor, tax=0, total=article.price_minor)
            for article in articles
        ]
    discounts_minor = _discounts(articles, discount)
    remaining_minor = [
        article.price_minor - lowered for article, lowered in zip(articles, discounts_minor, strict=True)
    ]
    taxes = _taxes(articles, remaining_minor, basis)
    return [
        _parts(article, lowered, left, parts, basis)
        for article, lowered, left, parts in zip(
            articles, discounts_minor, remaining_minor, taxes, strict=True
        )
    ]


def _parts(
    article: Article, discount_minor: int, remaining_minor: int, taxes: tuple[TaxPart, ...], basis: PriceBasis
) -> Parts:
    tax = sum(part.amount for part in taxes)
    net = remaining_minor - tax if basis == "inclusive" else remaining_minor
    discount_tax = 0
    if discount_minor and taxes and basis == "inclusive":
        discount_tax = discount_minor - _half_up(discount_minor * _part_before_tax(article.components))
    return Parts(
        discount=discount_minor,
        net=net,
        tax=tax,
        total=net + tax,
        discount_tax=discount_tax,
        taxes=taxes,
    )


# --- discounts


def _discounts(articles: Sequence[Article], discount: Discount | None) -> list[int]:
    """What each line is lowered by: its own discount, and its share of the document's."""
    own_minor = [_lowered(article.price_minor, article.discount) for article in articles]
    if discount is None:
        return own_minor
    left_minor = [article.price_minor - own for article, own in zip(articles, own_minor, strict=True)]
    whole_minor = _lowered(sum(left_minor), discount)
    if not whole_minor:
        return own_minor
    shares_minor = allocate(whole_minor, left_minor)
    return [own + share for own, share in zip(own_minor, shares_minor, strict=True)]


def _lowered(price_minor: int, discount: Discount | None) -> int:
    if discount is None:
        return 0
    if (discount.amount is None) == (discount.percent is None):
        raise DomainError(Code.INVALID_REQUEST, "A discount takes exactly one of amount and percent.")
    if discount.percent is not None:
        return _half_up(price_minor * percent(discount.percent))
    amount_minor = discount.amount or 0
    if amount_minor > price_minor:
        raise DomainError(
            Code.DISCOUNT_EXCEEDS_PRICE,
            f"A discount of {amount_minor} minor units exceeds the price of {price_minor}.",
        )
    return amount_minor


# --- taxes


def _taxes(
    articles: Sequence[Article], remaining_minor: Sequence[int], basis: PriceBasis
) -> list[tuple[TaxPart, ...]]:
    """What each component takes of each line: worked out for the document, then spread."""
    exact: dict[_Tax, list[Fraction]] = {}
    for index, (article, left) in enumerate(zip(articles, remaining_minor, strict=True)):
        part_before_tax = _part_before_tax(article.components) if basis == "inclusive" else 1
        for component in article.components:
            of_lines = exact.setdefault(_tax(component), [Fraction(0)] * len(articles))
            of_lines[index] += left * percent(component.rate) * part_before_tax
    shares: dict[_Tax, list[int]] = {}
    room_minor = list(remaining_minor)
    for tax, of_lines in exact.items():
        shares[tax] = _spread(of_lines, room_minor if basis == "inclusive" else None)
        room_minor = [room - share for room, share in zip(room_minor, shares[tax], strict=True)]
    return [
        tuple(_part(component, shares[_tax(component)][index]) for component in article.components)
        for index, article in enumerate(articles)
    ]


def _tax(component: Component) -> _Tax:
    """What is rounded as one in a document, whatever codes it comes from."""
    return component.name, component.authority_code, component.rate, component.role


def _part_before_tax(components: Sequence[Component]) -> Fraction:
    """What of a price with tax is the price without."""
    with_tax = 1 + sum((percent(component.rate) for component in components), Fraction(0))
    return Fraction(with_tax.denominator, with_tax.numerator)


def _spread(exact: Sequence[Fraction], room_minor: Sequence[int] | None) -> list[int]:
    """Round the sum of `exact` half up, and spread it over the lines by largest remainder.

    Where prices include tax, no line can give more than the `room` that other components left of its price.
    """
    denominator = lcm(*(share.denominator for share in exact))
    weights = [share.numerator * (denominator // share.denominator) for share in exact]
    if not any(weights):
        return [0] * len(exact)
    whole_minor = _half_up(Fraction(sum(weights), denominator))
    if room_minor is None:
        return allocate(whole_minor, weights)
    rooms = [room if weight else 0 for room, weight in zip(room_minor, weights, strict=True)]
    whole_minor = min(whole_minor, sum(rooms))
    shares = allocate(whole_minor, weights)
    excess_minor = sum(max(share - room, 0) for share, room in zip(shares, rooms, strict=True))
    if excess_minor:
        shares = [min(share, room) for share, room in zip(shares, rooms, strict=True)]
        left = [room - share for share, room in zip(shares, rooms, strict=True)]
        shares = [share + more for share, more in zip(shares, allocate(excess_minor, left), strict=True)]
    return shares


def _part(component: Component, amount_minor: int) -> TaxPart:
    return TaxPart(
        component=component.name,
        authority_code=component.authority_code,
        rate=component.rate,
        role=component.role,
        amount=amount_minor,
    )


def _half_up(exact: Fraction) -> int:
    """The nearest whole number, of two the larger."""
    return (2 * exact.numerator + exact.denominator) // (2 * exact.denominator)
