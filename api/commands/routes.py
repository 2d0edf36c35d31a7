"""Which method and path is which command, and which command may stand in bulk."""

from collections.abc import Mapping
from typing import Final

import msgspec

from application.commands import COMMANDS
from application.pipeline.command import CommandSpec

PREFIX: Final = "/v2/finance"
BULK_PATH: Final = f"{PREFIX}/bulk"

ROUTES: Final = {
    ("POST", "wallets"): "wallet.open",
    ("POST", "wallets/{}/top-up"): "wallet.top_up",
    ("POST", "wallets/{}/charge"): "wallet.charge",
    ("POST", "invoices"): "invoice.create",
    ("POST", "invoices/{}/issue"): "invoice.issue",
    ("PATCH", "invoices/{}"): "invoice.settle",
    ("POST", "pos/checkout"): "pos.checkout",
    ("POST", "pos/refund"): "pos.refund",
    ("POST", "quickbooks/export"): "quickbooks.export",
}
"""Method and path (a `{}` stands for the command's path parameter) of each command's route."""

BULK_ACTIONS: Final = frozenset(ROUTES.values()) - {"quickbooks.export"}


class Route(msgspec.Struct, frozen=True):
    """A command's route. `template` is its path as the log names it, without anybody's name in it."""

    spec: CommandSpec
    template: str


def _route(path: str, action: str) -> Route:
    spec = COMMANDS[action]
    return Route(spec, f"{PREFIX}/{path.replace('{}', '{' + spec.command_type.path + '}')}")


_ROUTES: Final[Mapping[tuple[str, str], Route]] = {
    (method, path): _route(path, action) for (method, path), action in ROUTES.items()
}
_METHODS: Final = sorted({method for method, _ in ROUTES})
_BELOW: Final = f"{PREFIX}/"
_PARAMETRIC: Final = frozenset(path.split("/")[0] for _, path in ROUTES if "{}" in path)


def match(method: str, path: str) -> tuple[Route, str | None] | None:
    """The route that a request takes, and its path parameter where the route has one."""
    if not path.startswith(_BELOW):
        return None
    rest = path[len(_BELOW) :]
    route = _ROUTES.get((method, rest))
    if route is not None:
        return route, None
    steps = rest.split("/", 2)
    if len(steps) < 2 or steps[0] not in _PARAMETRIC:
        return None
    parameter, steps[1] = steps[1], "{}"
    route = _ROUTES.get((method, "/".join(steps)))
    return None if route is None else (route, parameter)


def methods(path: str) -> list[str]:
    """The methods by which a path takes commands."""
    if path == BULK_PATH:
        return ["POST"]
    return [method for method in _METHODS if match(method, path)]
