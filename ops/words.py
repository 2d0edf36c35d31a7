"""Numbers in sentences."""


def counted(number: int, one: str, *, width: int = 0) -> str:
    """A number and what is counted: `1 row`, `2 rows`; the number to the right of `width` characters."""
    return f"{number:>{width}} {one if number == 1 else f'{one}s'}"
