"""Numbers in sentences."""

from ops.words import counted


def test_one_is_not_many() -> None:
    assert [counted(number, "row") for number in (0, 1, 2)] == ["0 rows", "1 row", "2 rows"]
    assert counted(1, "row", width=5) == "    1 row"
