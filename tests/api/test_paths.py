"""What stands at a method and a path."""

import pytest

from api.paths import PREFIX, Paths, template

PATHS = Paths(
    {
        ("GET", template("/wallets")): "list",
        ("GET", template("/wallets/{account}")): "wallet",
        ("POST", template("/wallets/{account}/top-up")): "top up",
        ("GET", template("/quickbooks/exports/{batch}")): "export",
    }
)


@pytest.mark.parametrize(
    ("method", "path", "found"),
    [
        ("GET", "/wallets", ("list", None)),
        ("GET", "/wallets/W-1", ("wallet", "W-1")),
        ("GET", "/wallets/{}", ("wallet", "{}")),
        ("POST", "/wallets/W-1/top-up", ("top up", "W-1")),
        ("POST", "/wallets//top-up", ("top up", "")),
        ("GET", "/quickbooks/exports/7", ("export", "7")),
        ("GET", "/wallets/", None),
        ("GET", "//wallets", None),
        ("POST", "/wallets", None),
        ("GET", "/wallets/W-1/top-up", None),
        ("GET", "/quickbooks/exports/7/8", None),
        ("GET", "/quickbooks/exports", None),
        ("GET", "/a/b/c/d/e/f/g" + "/x" * 10_000, None),
        ("GET", "", None),
    ],
)
def test_what_stands_at_a_path(method: str, path: str, found: tuple[str, str | None] | None) -> None:
    assert PATHS.match(method, PREFIX + path) == found


def test_nothing_stands_beside_the_prefix() -> None:
    assert PATHS.match("GET", "/v2/financial/wallets") is None
    assert PATHS.match("GET", "/wallets") is None
