"""A document's line: what was sold or billed, in the parts that the ledger posts apart."""

from collections.abc import Iterable, Sequence

import msgspec


class TaxPart(msgspec.Struct, frozen=True, kw_only=True):
    """What one component takes of a line, in minor units; the rate is per cent as text (see `domain.tax`)."""

    component: str
    authority_code: str
    rate: str
    role: str
    amount: int


class Parts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Minor units: `net` is after discount and before `tax`, `total` is net and tax and is what is paid.

    `discount` is in the document's price basis; where its prices include tax, `discount_tax` is the tax in it.
    `taxes` says what of the tax each component takes.
    """

    discount: int
    net: int
    tax: int
    total: int
    discount_tax: int = 0
    taxes: tuple[TaxPart, ...] = ()

    @property
    def discount_net(self) -> int:
        """The discount without tax, as it is posted."""
        return self.discount - self.discount_tax

    @property
    def price(self) -> int:
        """What it costs before the discount, without tax."""
        return self.net + self.discount_net


class Line(Parts, frozen=True, kw_only=True):
    """A line as sold or billed; the quantity informs."""

    quantity: int
    income: str
    tax_code: str


class DocumentTax(msgspec.Struct, frozen=True, kw_only=True):
    """A document's tax of one component at one rate: on how much `net`, and how much; minor units."""

    component: str
    rate: str
    net: int
    amount: int


def document_taxes(lines: Iterable[Parts]) -> list[DocumentTax]:
    """The taxes of a document, in the order in which its lines name them."""
    sums: dict[tuple[str, str], tuple[int, int]] = {}
    for line in lines:
        for part in line.taxes:
            net, amount = sums.get((part.component, part.rate), (0, 0))
            sums[part.component, part.rate] = net + line.net, amount + part.amount
    return [
        DocumentTax(component=component, rate=rate, net=net, amount=amount)
        for (component, rate), (net, amount) in sums.items()
    ]


def in_proportion(whole: Parts, *, before_minor: int, amount_minor: int) -> Parts:
    """The parts of `amount_minor` out of a line's total, of which `before_minor` was taken before.

    Taken to the end in whatever steps, the parts add up to the line's own, and none is ever below 0.
    """
    after_minor = before_minor + amount_minor
    assert 0 <= before_minor <= after_minor <= whole.total

    def share(part_minor: int) -> int:
        return part_minor * after_minor // whole.total - part_minor * before_minor // whole.total

    tax = share(whole.tax)
    discount_tax = share(whole.discount_tax)
    taxes = zip(
        whole.taxes,
        _by_component(whole.taxes, whole.tax * before_minor // whole.total),
        _by_component(whole.taxes, whole.tax * after_minor // whole.total),
        strict=True,
    )
    return Parts(
        discount=share(whole.discount_net) + discount_tax,
        net=amount_minor - tax,
        tax=tax,
        total=amount_minor,
        discount_tax=discount_tax,
        taxes=tuple(msgspec.structs.replace(part, amount=after - before) for part, before, after in taxes),
    )


def _by_component(taxes: Sequence[TaxPart], tax_minor: int) -> list[int]:
    """Split a part of a line's tax over its components: with more to split, none gets less."""
    remaining_minor, whole_minor = tax_minor, sum(part.amount for part in taxes)
    shares: list[int] = []
    for part in taxes:
        share = remaining_minor * part.amount // whole_minor if whole_minor else 0
        shares.append(share)
        remaining_minor -= share
        whole_minor -= part.amount
    return shares
