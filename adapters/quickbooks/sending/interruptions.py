"""What ends a tenant's turn before all is sent."""

from typing import Final

MAX_LOSSES: Final = 3
"""How often the same thing is asked for in vain in one turn, before the tenant is left alone for a while."""


class AwayError(Exception):
    """QuickBooks does not answer, or not all of it: leave the tenant alone for a while, then go on by itself."""


class PausedError(Exception):
    """Nothing can be sent for the tenant until a person has acted; the message says what is wrong."""

    def __init__(self, reason: str, *, sign_in: bool = False) -> None:
        super().__init__(reason)
        self.sign_in = sign_in
