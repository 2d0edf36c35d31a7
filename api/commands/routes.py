"""Which method and path is which command, and which command may stand in bulk."""

from collections.abc import Mapping
from typing import Final

import msgspec

from api import operations
from api.operations.form import CommandForm
from api.paths import PREFIX
from application.commands import COMMANDS
from application.pipeline.command import CommandSpec

BULK_PATH: Final = f"{PREFIX}{operations.BULK.path}"


class Route(msgspec.Struct, frozen=True):
    """A command's route. `template` is its path as the log names it, without anybody's name in it."""

    spec: CommandSpec
    template: str


def _key(form: CommandForm) -> tuple[str, str]:
    parameter = COMMANDS[form.action].command_type.path
    return form.method, form.path.removeprefix("/").replace(f"{{{parameter}}}", "{}")


ROUTES: Final = {_key(form): action for action, form in operations.COMMANDS.items()}
"""Method and path (a `{}` stands for the command's path parameter) of each command's route."""

BULK_ACTIONS: Final = frozenset(action for action, form in operations.COMMANDS.items() if form.in_bulk)

_ROUTES: Final[Mapping[tuple[str, str], Route]] = {
    key: Route(COMMANDS[action], f"{PREFIX}{operations.COMMANDS[action].path}")
    for key, action in ROUTES.items()
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
