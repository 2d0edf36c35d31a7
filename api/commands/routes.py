"""Which method and path is which command, and which command may stand in bulk."""

from collections.abc import Mapping
from typing import Final

import msgspec

from api import operations
from api.paths import PREFIX, Paths, template
from application.commands import COMMANDS
from application.pipeline.command import CommandSpec

BULK_PATH: Final = f"{PREFIX}{operations.BULK.path}"


class Route(msgspec.Struct, frozen=True):
    """A command's route. `template` is its path as the log names it, without anybody's name in it."""

    spec: CommandSpec
    template: str


ROUTES: Final = {(form.method, template(form.path)): action for action, form in operations.COMMANDS.items()}
"""Method and template of each command's route."""

BULK_ACTIONS: Final = frozenset(action for action, form in operations.COMMANDS.items() if form.in_bulk)

BY_TEMPLATE: Final[Mapping[tuple[str, str], Route]] = {
    key: Route(COMMANDS[action], f"{PREFIX}{operations.COMMANDS[action].path}")
    for key, action in ROUTES.items()
}
"""The routes themselves."""
_PATHS: Final = Paths(BY_TEMPLATE)
_METHODS: Final = sorted({method for method, _ in ROUTES})


def methods(path: str) -> list[str]:
    """The methods by which a path takes commands."""
    if path == BULK_PATH:
        return ["POST"]
    return [method for method in _METHODS if _PATHS.match(method, path)]
