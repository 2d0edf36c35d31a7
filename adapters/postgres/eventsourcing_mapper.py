"""The log as the eventsourcing library sees it: its stock recorders read `events`, this mapper its rows.

For whoever comes with the library's own tools. Nothing writes by this way: the append function alone does.
"""

import msgspec
from eventsourcing.persistence import Mapper, MapperDeserialisationError, StoredEvent

from domain.aggregates import decode
from domain.event import Event, encode


class RecordedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One of our events with the names that the library gives to its stream and version."""

    originator_id: str
    originator_version: int
    event: Event


class EventMapper(Mapper[str]):
    """The library's mapper for our events; name it in `MAPPER_TOPIC`.

    The stock one reads `vars(event)`, which structs have not, and names a class by its module, where we
    have topics. Our JSON is stored as it is: neither compressed nor encrypted.
    """

    def to_stored_event(self, domain_event: RecordedEvent) -> StoredEvent:  # type: ignore[override]  # ours only
        return StoredEvent(
            originator_id=domain_event.originator_id,
            originator_version=domain_event.originator_version,
            topic=domain_event.event.topic,
            state=encode(domain_event.event),
        )

    def to_domain_event(self, stored_event: StoredEvent) -> RecordedEvent:
        """Raises the library's `MapperDeserialisationError` for what is no event of ours."""
        try:
            event = decode(stored_event.topic, stored_event.state)
        except (KeyError, msgspec.DecodeError) as error:
            raise MapperDeserialisationError(
                f"{stored_event.originator_id} {stored_event.originator_version}: {error!r}"
            ) from error
        return RecordedEvent(
            originator_id=str(stored_event.originator_id),
            originator_version=stored_event.originator_version,
            event=event,
        )
