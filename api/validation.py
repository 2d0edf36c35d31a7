"""The second look at a body that was refused: every error at once, in words for whoever sent it.

The first look stops at the first error and says it in the decoder's words. This one takes its time: it goes down
to each place that does not decode, and says what that place takes. Verdicts are the decoder's own.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

import msgspec
from msgspec import inspect

from api.errors import MAX_ERRORS, FieldError, escaped, shown
from api.exchange import MAX_BODY_BYTES
from application.commands.fields import (
    BRANCH_PATTERN,
    COUNTRY_PATTERN,
    CURRENCY_PATTERN,
    READING_PATTERN,
    ROW_HASH_PATTERN,
    SHA256_PATTERN,
    TAX_CODE_PATTERN,
    TEXT_PATTERN,
    IncomeRole,
    TaxRole,
)
from domain.annotation import METADATA_KEY_PATTERN, METADATA_TEXT_PATTERN
from domain.chart import INCOME_ROLES
from domain.ids import NAME_PATTERN, UUID_PATTERN
from domain.money import MAX_AMOUNT_MINOR
from domain.tax import RATE_PATTERN, TAX_ROLES

MAX_POINTER_STEP: Final = 200

PATTERNS: Final = {
    NAME_PATTERN: "an id of at most 40 letters, digits, dots, hyphens and underscores, the first a letter or digit",
    UUID_PATTERN: "an id that the service made, in lower case",
    COUNTRY_PATTERN: "a country's two capital letters",
    BRANCH_PATTERN: "one or two letters or digits",
    SHA256_PATTERN: "a SHA-256 in 64 hexadecimal digits",
    ROW_HASH_PATTERN: "the hash of a row in 16 hexadecimal digits",
    READING_PATTERN: "the hashes of a row and of what was read of it in 32 hexadecimal digits",
    CURRENCY_PATTERN: "a currency's three capital letters",
    TAX_CODE_PATTERN: "a tax code, such as B or GST_QST",
    RATE_PATTERN: "per cent as text, from 0 to 100 with at most four decimals",
    TEXT_PATTERN: "one line of text, not of blanks alone, without control characters",
    METADATA_KEY_PATTERN: "a name of 1 to 40 small letters, digits, dots, hyphens and underscores",
    METADATA_TEXT_PATTERN: "one line of text, without control characters",
    get_args(IncomeRole)[1].pattern: f"one of {', '.join(sorted(INCOME_ROLES))}",
    get_args(TaxRole)[1].pattern: f"one of {', '.join(sorted(TAX_ROLES.values()))}",
}
"""What the patterns of fields ask for."""
_PLAIN: Final[Mapping[type[inspect.Type], tuple[str, str]]] = {
    inspect.BoolType: ("true or false", "true or false"),
    inspect.DateType: ("a date such as 2026-12-31", "text"),
    inspect.DateTimeType: ("a time such as 2026-12-31T18:00:00Z", "text"),
    inspect.RawType: ("an object", "an object"),
}
"""What types take that nothing restricts, and of what sort of JSON that is."""
_SORTS: Final = {
    ord('"'): "text",
    ord("{"): "an object",
    ord("["): "a list",
    ord("t"): "true or false",
    ord("f"): "true or false",
    ord("n"): "null",
}


class _Place(msgspec.Struct, frozen=True, kw_only=True):
    """A place of a payload: what it takes, in `words`, and what is below it."""

    decoder: msgspec.json.Decoder[Any]
    words: str
    sort: str
    """The sort of JSON value that it takes."""
    fields: Mapping[str, "_Place"] = {}
    named: str = ""
    """The fields that may be given, in words."""
    required: frozenset[str] = frozenset()
    name: "_Place | None" = None
    """What names a member of an object that takes any; `item` is what it takes itself."""
    item: "_Place | None" = None
    least: int = 0
    most: int | None = None


def errors_in(body: bytes, kind: Any, *, at: str = "", required: str = "") -> tuple[FieldError, ...]:
    """What is wrong in a body that does not decode as `kind`: at least one error, at most `MAX_ERRORS`.

    `at` is the pointer of the body, `required` a field that it must have though its type does not ask for it.
    Raises `msgspec.DecodeError` where the body is not JSON.
    """
    place = _place(kind)
    if len(body) > MAX_BODY_BYTES:
        # Outside bulk there is none so large.
        return (FieldError(at, f"Give {place.words}; it is too large to say what is wrong with it."),)
    return tuple(islice(_errors(body.strip(), place, at, required), MAX_ERRORS))


def missing(kind: type[msgspec.Struct], name: str, at: str) -> FieldError:
    """Say that an object lacks a field; `at` is the object's pointer."""
    return _missing(_place(kind), name, at)


def _missing(place: _Place, name: str, at: str) -> FieldError:
    return FieldError(f"{at}/{name}", f"This is required: {place.fields[name].words}.")


def _errors(raw: bytes | msgspec.Raw, place: _Place, at: str, required: str = "") -> Iterator[FieldError]:
    try:
        place.decoder.decode(raw)
    except msgspec.ValidationError:
        sort, any_below = _sort(bytes(raw)), False
        if sort == "an object" and place.fields:
            below = _errors_of_object(raw, place, at, required)
        elif sort == "an object" and place.name and place.item:
            below = _errors_of_members(raw, place, place.name, place.item, at)
        elif sort == "a list" and place.item:
            below = _errors_of_list(raw, place, place.item, at)
        else:
            instead = "" if sort == place.sort else f", not {sort}"
            yield FieldError(at, f"Give {place.words}{instead}.")
            return
        for error in below:
            any_below = True
            yield error
        if not any_below:
            # Each member that counts is right: one that is wrong has the same name.
            yield FieldError(at, "A name stands twice in this object.")


def _errors_of_object(
    raw: bytes | msgspec.Raw, place: _Place, at: str, required: str
) -> Iterator[FieldError]:
    members = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    for name, field in place.fields.items():
        if name in members:
            yield from _errors(members[name], field, f"{at}/{name}")
        elif name in place.required or name == required:
            yield _missing(place, name, at)
    for name in members:
        if name not in place.fields:
            where = f"{at}/{escaped(name)}" if len(name) <= MAX_POINTER_STEP else at
            yield FieldError(where, f"There is no field {shown(name)}; the fields are {place.named}.")


def _errors_of_members(
    raw: bytes | msgspec.Raw, place: _Place, name: _Place, item: _Place, at: str
) -> Iterator[FieldError]:
    members = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    most = len(members) if place.most is None else place.most
    if len(members) > most:
        yield FieldError(at, f"Give {place.words}, not {len(members)}.")
    for key, inner in islice(members.items(), most):
        where = f"{at}/{escaped(key)}" if len(key) <= MAX_POINTER_STEP else at
        for _ in _errors(msgspec.json.encode(key), name, where):
            yield FieldError(where, f"Name it by {name.words}.")
        yield from _errors(inner, item, where)


def _errors_of_list(raw: bytes | msgspec.Raw, place: _Place, item: _Place, at: str) -> Iterator[FieldError]:
    items = msgspec.json.decode(raw, type=list[msgspec.Raw])
    most = len(items) if place.most is None else place.most
    if not place.least <= len(items) <= most:
        yield FieldError(at, f"Give {place.words}, not {len(items)}.")
    for number, inner in enumerate(items[:most]):
        yield from _errors(inner, item, f"{at}/{number}")


def _sort(raw: bytes) -> str:
    """What sort of value a text of JSON is."""
    number = "a decimal" if any(letter in raw for letter in b".eE") else "a whole number"
    return _SORTS.get(raw[0], number)


# --- what the places of a type take


@cache
def _place(kind: Any) -> _Place:
    return _made(kind)


def _made(kind: Any) -> _Place:
    inner = _inner(kind)
    decoder = msgspec.json.Decoder(kind)
    match _shape(kind):
        case inspect.StructType(cls=struct):
            fields = msgspec.structs.fields(struct)
            refused = getattr(struct, "not_yet", ())
            named = ", ".join(field.encode_name for field in fields if field.name not in refused)
            return _Place(
                decoder=decoder,
                words=f"an object with {named}",
                sort="an object",
                named=named,
                fields={field.encode_name: _made(field.type) for field in fields},
                required=frozenset(field.encode_name for field in fields if field.required),
            )
        case inspect.ListType() | inspect.VarTupleType() as shape:
            least, most = shape.min_length or 0, shape.max_length
            return _Place(
                decoder=decoder,
                words="a list" if most is None else f"a list of {least} to {most} elements",
                sort="a list",
                item=_made(get_args(inner)[0]),
                least=least,
                most=most,
            )
        case inspect.DictType(max_length=most):
            names, items = get_args(inner)
            return _Place(
                decoder=decoder,
                words=f"an object of at most {most} texts",
                sort="an object",
                name=_made(names),
                item=_made(items),
                most=most,
            )
        case shape:
            words, sort = _words(shape, kind)
            return _Place(decoder=decoder, words=words, sort=sort)


def _words(shape: inspect.Type, kind: Any) -> tuple[str, str]:
    """What a place without others below it takes, and of what sort that is."""
    match shape:
        case inspect.IntType(ge=least, le=most):
            unit = "whole number of minor units" if most == MAX_AMOUNT_MINOR else "whole number"
            return f"a {unit} from {least} to {most}", "a whole number"
        case inspect.StrType(pattern=pattern, max_length=most):
            words = PATTERNS[pattern] if pattern else "text"
            return words + (f", at most {most} characters" if most else ""), "text"
        case inspect.LiteralType():
            return f"one of {', '.join(_choices(kind))}", "text"
        case _:
            return _PLAIN[type(shape)]


def _choices(kind: Any) -> Sequence[str]:
    """What may be chosen: what the documentation lists, where that is less than what is understood."""
    found = inspect.type_info(kind)
    schema = found.extra_json_schema if isinstance(found, inspect.Metadata) else None
    return (schema or {}).get("x-taken") or get_args(_inner(kind))


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


def _shape(kind: Any) -> inspect.Type:
    """A type as msgspec understands it, without the None beside it and without its description."""
    found = inspect.type_info(kind)
    while True:
        if isinstance(found, inspect.Metadata):
            found = found.type
        elif isinstance(found, inspect.UnionType):
            found = next(each for each in found.types if not isinstance(each, inspect.NoneType))
        else:
            return found
