import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Code, DomainError
from domain.money import MAX_AMOUNT_MINOR, allocate, check_limit, format_minor, parse_decimal

AMOUNTS = st.integers(0, MAX_AMOUNT_MINOR)


@given(AMOUNTS, st.lists(AMOUNTS, min_size=1, max_size=100).filter(any))
def test_allocation_loses_no_cent(total: int, weights: list[int]) -> None:
    shares = allocate(total, weights)
    whole = sum(weights)
    assert sum(shares) == total
    for share, weight in zip(shares, weights, strict=True):
        assert total * weight // whole <= share <= -(-total * weight // whole)


@given(st.lists(AMOUNTS, min_size=1, max_size=20).filter(any), st.data())
def test_no_share_exceeds_its_weight_where_the_total_does_not(
    weights: list[int], data: st.DataObject
) -> None:
    shares = allocate(data.draw(st.integers(0, sum(weights))), weights)
    assert all(share <= weight for share, weight in zip(shares, weights, strict=True))


@given(st.lists(AMOUNTS, min_size=1, max_size=20).filter(any))
def test_all_of_the_weights_is_the_weights(weights: list[int]) -> None:
    assert allocate(sum(weights), weights) == weights


def test_what_is_left_over_goes_to_the_largest_remainder_and_then_to_the_first() -> None:
    assert allocate(100, [1, 1, 1]) == [34, 33, 33]
    assert allocate(1, [1, 2, 2]) == [0, 1, 0]
    assert allocate(3, [4, 1]) == [2, 1], "of 2.4 and 0.6 the smaller has the larger remainder"
    assert allocate(5, [0, 3]) == [0, 5]


@pytest.mark.parametrize(("total", "weights"), [(-1, [1]), (1, [0]), (1, []), (1, [2, -1])])
def test_what_cannot_be_split_is_a_programming_error(total: int, weights: list[int]) -> None:
    with pytest.raises(AssertionError):
        allocate(total, weights)


@given(st.integers(-(10**40), 10**40), st.sampled_from(["KES", "CAD"]))
def test_an_amount_is_read_exactly(minor: int, currency: str) -> None:
    sign, whole, fraction = "-" if minor < 0 else "", *divmod(abs(minor), 100)
    assert parse_decimal(f"{sign}{whole}.{fraction:02}", currency) == minor
    assert parse_decimal(f" {sign}{whole:,}.{fraction:02} ", currency) == minor


@given(AMOUNTS)
def test_an_amount_written_is_read_as_it_was(minor: int) -> None:
    assert parse_decimal(format_minor(minor, "KES"), "KES") == minor


@pytest.mark.parametrize(
    ("text", "minor"),
    [
        ("1,250.50", 125_050), ("0", 0), ("5", 500), ("5.", 500), (".5", 50), ("+7.1", 710), ("-7.10", -710),
        ("1,000,000", 100_000_000), ("0.01", 1), ("000", 0),
    ],
)  # fmt: skip
def test_plain_decimals_are_read(text: str, minor: int) -> None:
    assert parse_decimal(text, "KES") == minor


@pytest.mark.parametrize(
    "text",
    [
        "", " ", ".", "-", "abc", "1e3", "1E3", "NaN", "Infinity", "-inf", "1_000", "٣", "1 000", "12,50", "1,00,000",
        ",100", "1,", "0x10", "1.2.3", "--1", "0.001", "1.005", "1.500", "3.000", "0.010", "1.00000000000000000000000000000000001", "1.0,00",
    ],
)  # fmt: skip
def test_what_is_no_exact_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"amount|decimals"):
        parse_decimal(text, "KES")


def test_a_command_has_a_limit() -> None:
    check_limit(MAX_AMOUNT_MINOR)
    with pytest.raises(DomainError) as refusal:
        check_limit(MAX_AMOUNT_MINOR + 1)
    assert refusal.value.code == Code.AMOUNT_TOO_LARGE
