"""What the service says of itself."""

from collections.abc import Mapping, Sequence

import msgspec

from api.reads.reader import OneRead
from api.services import Connection
from domain.capability import Capability
from projections.engine.registry import head_position, positions
from projections.views import tenants


class Ping(msgspec.Struct, frozen=True, kw_only=True):
    """Whose service this is, and how far it is: `position` is the log's, `projections` what each reflects."""

    tenant: str
    version: str
    position: int
    projections: dict[str, int]
    currency: str
    time_zone: str


def ping(version: str) -> OneRead:
    """The ping of a service of this version."""

    async def fetch(connection: Connection, keys: Sequence[str]) -> Mapping[str, Ping]:
        school = await tenants.tenant(connection)
        assert school is not None
        answer = Ping(
            tenant=school.tenant,
            version=version,
            position=await head_position(connection),
            projections=await positions(connection),
            currency=school.currency,
            time_zone=school.time_zone,
        )
        return dict.fromkeys(keys, answer)

    return OneRead(path="/ping", capabilities=(Capability.WALLET_READ, Capability.ACCOUNT_READ), fetch=fetch)
