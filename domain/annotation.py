"""The annotation: what a client wants kept with a command, such as its own numbers for it."""

from datetime import datetime
from typing import Annotated, ClassVar, Final

import msgspec
from msgspec import Meta

from domain.event import Event, State, stored

MAX_METADATA: Final = 20
METADATA_KEY_PATTERN: Final = r"^[a-z0-9_.-]{1,40}\Z"
METADATA_TEXT_PATTERN: Final = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*\Z"
"""One line; also an empty one."""

Metadata = Annotated[
    dict[
        Annotated[str, Meta(pattern=METADATA_KEY_PATTERN)],
        Annotated[str, Meta(max_length=200, pattern=METADATA_TEXT_PATTERN)],
    ],
    Meta(
        max_length=MAX_METADATA,
        description="At most 20 texts that are kept with it, such as your own numbers; nothing personal.",
    ),
]


@stored
class CommandAnnotated(Event, frozen=True, kw_only=True):
    """`command` is the id of the command, which is that of its transaction."""

    topic: ClassVar[str] = "bursar.command.annotated.v1"
    command: str
    metadata: dict[str, str]
    recorded_at: datetime


class Annotation(State, kw_only=True):
    """What is kept with a command; its stream is written only where there is something."""

    metadata: dict[str, str] = msgspec.field(default_factory=dict)


def evolve(state: Annotation, event: Event) -> None:
    assert isinstance(event, CommandAnnotated), (state, event)
    state.metadata = event.metadata
