"""The second look at a body that was refused: every error at once, in words for whoever sent it.

The first look stops at the first error and says it in the decoder's words. This one takes its time: it goes down
to each place that does not decode, and says what that place takes. Verdicts are the decoder's own.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import islice
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

import msgspec
from msgspec import inspect

from api.errors import MAX_ERRORS, FieldError, escaped, shown
from api.exchange import MAX_BODY_BYTES
from application.commands.fields import CURRENCY_PATTERN, TEXT_PATTERN, IncomeRole
from domain.chart import INCOME_ROLES
from domain.ids import NAME_PATTERN, UUID_PATTERN
from domain.money import MAX_AMOUNT_MINOR

MAX_POINTER_STEP: Final = 200

PATTERNS: Final = {
    NAME_PATTERN: "an id of at most 40 letters, digits, dots, hyphens and underscores, the first a letter or digit",
    UUID_PATTERN: "an id that the service made, in lower case",
    CURRENCY_PATTERN: "a currency's three capital letters",
    TEXT_PATTERN: "one line of text without control characters",
    get_args(IncomeRole)[1].pattern: f"one of {', '.join(sorted(INCOME_ROLES))}",
}
"""What the patterns of fields ask for."""
_KINDS: Final = {
    ord('"'): "text",
    ord("{"): "an object",
    ord("["): "a list",
    ord("t"): "true or false",
    ord("f"): "true or false",
    ord("n"): "null",
}


class _Field(msgspec.Struct, frozen=True):
    type: Any
    required: bool


def errors_in(body: bytes, kind: Any, *, at: str = "", required: str = "") -> tuple[FieldError, ...]:
    """What is wrong in a body that does not decode as `kind`: at least one error, at most `MAX_ERRORS`.

    `at` is the pointer of the body, `required` a field that it must have though its type does not ask for it.
    Raises `msgspec.DecodeError` where the body is not JSON.
    """
    if len(body) > MAX_BODY_BYTES:
        # Outside bulk there is none so large.
        return (FieldError(at, f"Give {_words(kind)}; it is too large to say what is wrong with it."),)
    return tuple(islice(_errors(body.strip(), kind, at, required), MAX_ERRORS))


def missing(kind: type[msgspec.Struct], name: str, at: str) -> FieldError:
    """Say that an object lacks a field; `at` is the object's pointer."""
    return FieldError(f"{at}/{name}", f"This is required: {_words(_fields(kind)[name].type)}.")


def _errors(raw: bytes | msgspec.Raw, kind: Any, at: str, required: str = "") -> Iterator[FieldError]:
    try:
        msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError:
        inner, sent, any_below = _inner(kind), _sent(bytes(raw)), False
        if sent == "an object" and _is_struct(inner):
            below = _errors_of_object(raw, inner, at, required)
        elif sent == "a list" and get_origin(inner) in (list, tuple):
            below = _errors_of_list(raw, kind, at)
        else:
            yield FieldError(at, f"Give {_words(kind)}{_instead(kind, sent)}.")
            return
        for error in below:
            any_below = True
            yield error
        if not any_below:
            # Each member that counts is right: one that is wrong has the same name.
            yield FieldError(at, "A name stands twice in this object.")


def _errors_of_object(
    raw: bytes | msgspec.Raw, kind: type[msgspec.Struct], at: str, required: str
) -> Iterator[FieldError]:
    members = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    fields = _fields(kind)
    for name, field in fields.items():
        if name in members:
            yield from _errors(members[name], field.type, f"{at}/{name}")
        elif field.required or name == required:
            yield missing(kind, name, at)
    for name in members:
        if name not in fields:
            place = f"{at}/{escaped(name)}" if len(name) <= MAX_POINTER_STEP else at
            yield FieldError(place, f"There is no field {shown(name)}; the fields are {', '.join(fields)}.")


def _errors_of_list(raw: bytes | msgspec.Raw, kind: Any, at: str) -> Iterator[FieldError]:
    items = msgspec.json.decode(raw, type=list[msgspec.Raw])
    shape = _shape(kind)
    least, most = shape.min_length or 0, shape.max_length or len(items)
    if not least <= len(items) <= most:
        yield FieldError(at, f"Give {_words(kind)}, not {len(items)}.")
    item = get_args(_inner(kind))[0]
    for number, inner in enumerate(items[:most]):
        yield from _errors(inner, item, f"{at}/{number}")


# --- types


def _inner(kind: Any) -> Any:
    """A type without the None beside it, and without what restricts it."""
    while True:
        alternatives = [each for each in get_args(kind) if each is not NoneType]
        if get_origin(kind) is Annotated or (
            get_origin(kind) in (Union, UnionType) and len(alternatives) == 1
        ):
            kind = alternatives[0]
        else:
            return kind


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


@cache
def _fields(kind: type[msgspec.Struct]) -> Mapping[str, _Field]:
    return {field.encode_name: _Field(field.type, field.required) for field in msgspec.structs.fields(kind)}


def _shape(kind: Any) -> Any:
    """A type as msgspec understands it, without the None beside it and without its description."""
    found = inspect.type_info(kind)
    while True:
        if isinstance(found, inspect.Metadata):
            found = found.type
        elif isinstance(found, inspect.UnionType):
            found = next(each for each in found.types if not isinstance(each, inspect.NoneType))
        else:
            return found


def _words(kind: Any) -> str:
    """What a place takes."""
    match _shape(kind):
        case inspect.IntType(ge=least, le=most):
            unit = "whole number of minor units" if most == MAX_AMOUNT_MINOR else "whole number"
            words = f"a {unit} from {least} to {most}"
        case inspect.StrType(pattern=pattern, max_length=most):
            words = PATTERNS[pattern] if pattern else "text"
            words += f", at most {most} characters" if most else ""
        case inspect.LiteralType():
            words = f"one of {', '.join(get_args(_inner(kind)))}"
        case inspect.BoolType():
            words = "true or false"
        case inspect.DateType():
            words = "a date such as 2026-12-31"
        case inspect.ListType(max_length=None):
            words = "a list"
        case (
            inspect.ListType(min_length=least, max_length=most)
            | inspect.VarTupleType(min_length=least, max_length=most)
        ):
            words = f"a list of {least} to {most} elements"
        case inspect.StructType(cls=struct):
            words = f"an object with {', '.join(_fields(struct))}"
        case inspect.RawType():
            words = "a value"
        case other:
            raise TypeError(f"no words for {other}")
    return words


def _sent(raw: bytes) -> str:
    """What kind of value a text of JSON is."""
    number = "a decimal" if any(letter in raw for letter in b".eE") else "a whole number"
    return _KINDS.get(raw[0], number)


def _instead(kind: Any, sent: str) -> str:
    """What was sent, where it is of another kind than what the place takes."""
    match _shape(kind):
        case inspect.IntType():
            wanted = "a whole number"
        case inspect.BoolType():
            wanted = "true or false"
        case inspect.ListType() | inspect.VarTupleType():
            wanted = "a list"
        case inspect.StructType():
            wanted = "an object"
        case _:
            wanted = "text"
    return "" if sent == wanted else f", not {sent}"
