"""Sales."""

from api.reads.parameters import uuid
from api.reads.reader import OneRead
from domain.capability import Capability
from domain.errors import Code
from projections.views import sales

SALE = OneRead(
    path="/sales/{sale}",
    capabilities=(Capability.STATEMENT_READ,),
    key=uuid,
    fetch=sales.find,
    missing=(Code.SALE_NOT_FOUND, "There is no sale {}."),
)
