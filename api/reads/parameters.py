"""The parameters of reads, in paths and queries, and what a client hears where they are wrong."""

import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, ClassVar, Final, Literal, get_args

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationInfo, field_validator

from api.errors import ApiError, FieldError, escaped, invalid_request, shown
from api.validation import PATTERNS
from domain.errors import Code
from domain.ids import NAME_PATTERN, UUID_PATTERN
from domain.money import MAX_BALANCE_MINOR
from domain.wallet import HoldStatus, WalletStatus

MAX_LIMIT: Final = 500
Status = Literal["draft", "issued", "partially_paid", "paid", "void", "written_off"]
DocumentState = Literal[
    "blocked",
    "pending",
    "sent",
    "confirmed",
    "unknown",
    "held",
    "needs_mapping",
    "needs_sign_in",
    "dead",
]

# --- in paths

_NO_UUID: Final = "00000000-0000-0000-0000-000000000000"


def uuid(text: str) -> str:
    """An id as the database takes it; what cannot be one names nothing."""
    return text if re.match(UUID_PATTERN, text) else _NO_UUID


def name(text: str) -> str:
    """A name as it is stored; what cannot be one names nothing."""
    return text.upper() if re.match(NAME_PATTERN, text) else ""


# --- in queries


class Takes:
    """Says, beside a parameter's type, what the parameter takes."""

    def __init__(self, words: str) -> None:
        self.words = words


NameParameter = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$", to_upper=True),
    Takes(PATTERNS[NAME_PATTERN]),
]
OptionalName = Annotated[NameParameter | None, Takes(PATTERNS[NAME_PATTERN])]
BalanceParameter = Annotated[
    int | None,
    Takes("a whole number of minor units"),
    Field(ge=-MAX_BALANCE_MINOR, le=MAX_BALANCE_MINOR),
]
DateParameter = Annotated[date, Takes("a date such as 2026-12-31")]


class NoParameters(BaseModel):
    """Unknown parameters are refused: nobody's filter is dropped in silence.

    Those of `not_yet` will be there once, and are refused in these words (`not_supported`).
    """

    model_config = ConfigDict(extra="forbid")
    not_yet: ClassVar[Mapping[str, str]] = {}


class PageParameters(NoParameters):
    limit: Annotated[int, Takes(f"a whole number from 1 to {MAX_LIMIT}")] = Field(
        default=100, ge=1, le=MAX_LIMIT
    )
    cursor: Annotated[str | None, Takes("the `next` of a page of this list")] = Field(
        default=None, max_length=100, pattern=r"^[\x21-\x7e]+$"
    )

    def filters(self) -> str:
        """What is asked for, whatever page of it."""
        return self.model_dump_json(exclude={"limit", "cursor"})


class InvoiceParameters(PageParameters):
    payer: OptionalName = None
    status: Annotated[Status | None, Takes(f"one of {', '.join(get_args(Status))}")] = None


class HoldParameters(PageParameters):
    status: Annotated[HoldStatus | None, Takes(f"one of {', '.join(get_args(HoldStatus))}")] = None


class DocumentParameters(PageParameters):
    state: Annotated[DocumentState | None, Takes(f"one of {', '.join(get_args(DocumentState))}")] = None


class ImportParameters(PageParameters):
    sketch: Annotated[bool, Takes("true or false")] = False


class WalletParameters(PageParameters):
    payer: OptionalName = None
    status: Annotated[WalletStatus | None, Takes(f"one of {', '.join(get_args(WalletStatus))}")] = None
    min_balance: BalanceParameter = None
    max_balance: BalanceParameter = None

    @field_validator("max_balance")
    @classmethod
    def _check_balances(cls, most: int | None, info: ValidationInfo) -> int | None:
        least = info.data.get("min_balance")
        if least is not None and most is not None and least > most:
            raise ValueError("`max_balance` lies below `min_balance`.")
        return most


class DatedParameters(PageParameters):
    from_: Annotated[DateParameter | None, Takes("a date such as 2026-12-31")] = Field(
        default=None, alias="from", description="First effective date, inclusive."
    )
    to: Annotated[DateParameter | None, Takes("a date such as 2026-12-31")] = Field(
        default=None, description="Last effective date, inclusive."
    )

    @field_validator("to")
    @classmethod
    def _check_range(cls, to: date | None, info: ValidationInfo) -> date | None:
        first = info.data.get("from_")
        if first is not None and to is not None and first > to:
            raise ValueError("`to` lies before `from`.")
        return to


class StatementParameters(DatedParameters):
    account: NameParameter


class SaleParameters(DatedParameters):
    not_yet: ClassVar = {"till": "Tills are not supported yet; leave `till` out."}

    receipt: OptionalName = None
    customer: OptionalName = None
    wallet: OptionalName = None


class TransactionParameters(DatedParameters):
    account: OptionalName = None
    wallet: OptionalName = None
    action: Annotated[str | None, Takes("an action such as wallet.top_up")] = Field(
        default=None, max_length=40, pattern=r"^[a-z_]+\.[a-z_]+$"
    )


class ReceiptParameters(DatedParameters):
    number: OptionalName = None


# --- what is wrong


def wrong_parameters(request: Request, error: RequestValidationError) -> ApiError:
    """What is wrong with the parameters of a read's query."""
    (query,) = request.scope["route"].dependant.query_params
    model: type[NoParameters] = query.field_info.annotation
    for found in error.errors():
        if found["type"] == "extra_forbidden" and (why := model.not_yet.get(found["loc"][1])):
            return ApiError(Code.NOT_SUPPORTED, why)
    fields: dict[str, Any] = {field.alias or name: field for name, field in model.model_fields.items()}
    return invalid_request(*(_field_error(found, fields) for found in error.errors()))


def _field_error(found: Any, fields: dict[str, Any]) -> FieldError:
    place = str(found["loc"][1])
    pointer = f"/query/{escaped(place)}"
    if found["type"] == "extra_forbidden":
        known = f"the parameters are {', '.join(fields)}" if fields else "this read takes none"
        return FieldError(pointer, f"There is no parameter {shown(place)}; {known}.")
    takes = next(each.words for each in fields[place].metadata if isinstance(each, Takes))
    match found["type"]:
        case "missing":
            return FieldError(pointer, f"This is required: {takes}.")
        case "value_error":
            return FieldError(pointer, str(found["ctx"]["error"]))
        case _:
            return FieldError(pointer, f"Give {takes}.")
