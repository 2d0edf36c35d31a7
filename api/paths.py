"""Where the API's paths begin, and what stands at each of them."""

import re
from collections.abc import Mapping
from typing import Final, Generic, TypeVar

_T = TypeVar("_T")

PREFIX: Final = "/v2/finance"
PUBLIC: Final = f"{PREFIX}/receipts/"
"""What anybody may read."""
_BELOW: Final = f"{PREFIX}/"
_MAX_STEPS: Final = 5


def template(path: str) -> str:
    """A path below `/v2/finance` with a `{}` in the place of its parameter, if it has one."""
    return re.sub(r"{\w+}", "{}", path.removeprefix("/"))


class Paths(Generic[_T]):
    """What stands at a method and a `template`."""

    def __init__(self, found: Mapping[tuple[str, str], _T]) -> None:
        self._plain = {key: each for key, each in found.items() if "{}" not in key[1]}
        self._parametric = {key: each for key, each in found.items() if "{}" in key[1]}
        places = sorted({path.split("/").index("{}") for _, path in self._parametric})
        self._places = [[place for place in places if place < steps] for steps in range(_MAX_STEPS + 2)]
        """Where a parameter may stand, by the number of steps."""

    def match(self, method: str, path: str) -> tuple[_T, str | None] | None:
        """What stands there, and the path's parameter where it has one."""
        if not path.startswith(_BELOW) or path.endswith("/"):
            return None
        rest = path[len(_BELOW) :]
        if (found := self._plain.get((method, rest))) is not None:
            return found, None
        steps = rest.split("/", _MAX_STEPS)
        for place in self._places[len(steps)]:
            parameter, steps[place] = steps[place], "{}"
            if (found := self._parametric.get((method, "/".join(steps)))) is not None:
                return found, parameter
            steps[place] = parameter
        return None
