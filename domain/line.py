"""A document's line: what was sold or billed, in the parts that the ledger posts apart."""

import msgspec


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """Minor units: `net` is after `discount` and before `tax`, `total` is net and tax and is what is paid."""

    discount: int
    net: int
    tax: int
    total: int

    @property
    def price(self) -> int:
        """What it costs before the discount, without tax."""
        return self.net + self.discount


class Line(Parts, frozen=True, kw_only=True):
    """A line as sold or billed; the quantity informs."""

    quantity: int
    income: str
    tax_code: str


def in_proportion(whole: Parts, *, before_minor: int, amount_minor: int) -> Parts:
    """The parts of `amount_minor` out of a line's total, of which `before_minor` was taken before.

    Taken to the end in whatever steps, the parts add up to the line's own.
    """
    assert 0 <= before_minor <= before_minor + amount_minor <= whole.total

    def share(part_minor: int) -> int:
        after = part_minor * (before_minor + amount_minor) // whole.total
        return after - part_minor * before_minor // whole.total

    tax = share(whole.tax)
    return Parts(discount=share(whole.discount), net=amount_minor - tax, tax=tax, total=amount_minor)
