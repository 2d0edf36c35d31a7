"""Reading the values of a request: amounts, references, dates, texts. What does not fit is refused."""

from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation

from adapters.quickbooks.emulator import refusals
from adapters.quickbooks.emulator.refusals import Body

CENT = Decimal("0.01")
ZERO = Decimal("0.00")
# QuickBooks keeps amounts below 100 billion.
LARGEST_AMOUNT = Decimal(10) ** 11


def number(value: object, name: str) -> Decimal:
    """A number given as a JSON number or, as QuickBooks allows, as a text."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise refusals.invalid_number(name, value)
    try:
        read = Decimal(value)
    except InvalidOperation:
        raise refusals.invalid_number(name, value) from None
    if not read.is_finite() or abs(read) >= LARGEST_AMOUNT:
        raise refusals.invalid_number(name, value)
    return read


def amount(value: object, name: str) -> Decimal:
    """An amount of money: exactly two decimal places, nothing is rounded away."""
    if value is None or value == "":
        raise refusals.missing(name)
    read = number(value, name)
    if read != read.quantize(CENT):
        raise refusals.invalid_number(name, value)
    return read.quantize(CENT)


def minor(value: Decimal) -> int:
    """An amount in hundredths of its currency."""
    return int(value * 100)


def from_minor(value: int) -> Decimal:
    return Decimal(value).scaleb(-2).quantize(CENT)


def reference(body: Body, name: str) -> str | None:
    """The id that a reference such as CustomerRef names, or None where it names none."""
    given = body.get(name)
    if given is None or given == "":
        return None
    value = given.get("value") if isinstance(given, dict) else given
    if value is None or value == "":
        return None
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise refusals.invalid_property(f"{name} is not a reference")
    return str(value)


def text(body: Body, name: str, limit: int) -> str | None:
    """A text of at most `limit` characters; the empty one counts as absent, as python-quickbooks sends it."""
    given = body.get(name)
    if given is None or given == "":
        return None
    if not isinstance(given, str):
        raise refusals.invalid_property(f"{name} is not a text")
    if len(given) > limit:
        raise refusals.too_long(name, limit, len(given))
    return given


def day(body: Body, name: str) -> str | None:
    given = text(body, name, 40)
    if given is None:
        return None
    try:
        return date.fromisoformat(given[:10]).isoformat()
    except ValueError:
        raise refusals.invalid_property(f"{name} is not a date: {given}") from None


def moment_ms(given: str) -> int:
    """Milliseconds since 1970 of a date or a time with or without an offset. Raises ValueError."""
    read = datetime.fromisoformat(given.replace(" ", "+"))
    return int((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp() * 1000)


def moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds // 1000, UTC).isoformat(timespec="seconds")


def lines(body: Body, name: str = "Line") -> list[Body]:
    given = body.get(name) or []
    if not isinstance(given, list) or not all(isinstance(line, dict) for line in given):
        raise refusals.invalid_property(f"{name} is not a list of lines")
    return given


def detail(line: Body, name: str) -> Body:
    given = line.get(name)
    if not isinstance(given, dict):
        raise refusals.missing(f"Line.{name}")
    return given
