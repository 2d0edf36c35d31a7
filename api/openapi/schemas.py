"""The document's schemas, made of the very types that are decoded and encoded."""

import json
from collections.abc import Iterable
from copy import deepcopy
from typing import Any, Final, get_args, get_origin

import msgspec

from api.commands.routes import BULK_ACTIONS, ROUTES
from api.errors import STATUS, FieldError
from api.openapi.descriptions import FIELDS
from api.operations import READS
from application.commands import COMMANDS
from application.commands.fields import UNTAXED
from application.pipeline.command import Command, CommandSpec
from application.pipeline.deciding import DryRun, DryRunEvent
from domain.chart import INCOME_ROLES
from domain.invoice import InvoiceStatus
from domain.tender import TenderType
from domain.wallet import HoldStatus
from projections.engine.reading import Page

_AT: Final = "#/components/schemas/"
_CHOICES: Final = {
    "HoldStatus": sorted(get_args(HoldStatus)),
    "IncomeRole": sorted(INCOME_ROLES),
    "InvoiceStatus": sorted(get_args(InvoiceStatus)),
    "TaxCode": sorted(UNTAXED),
    "TenderType": sorted(get_args(TenderType)),
}
"""Choices that stand in several places, each a type of its own in a generated client."""
_TEXT_OR_NULL: Final = {"anyOf": [{"type": "string"}, {"type": "null"}]}

Schema = dict[str, Any]


def ref(name: str) -> Schema:
    """A reference to a schema."""
    return {"$ref": _AT + name}


def name_of(kind: Any) -> str:
    """A type's name in the document."""
    if get_origin(kind) is Page:
        return f"{name_of(get_args(kind)[0])}Page"
    return str(kind.__name__)


def dry_run_of(spec: CommandSpec) -> Schema:
    """What a dry run of a command answers."""
    return ref(f"{name_of(spec.answer_type)}DryRun")


def components() -> dict[str, Schema]:
    """Every schema by its name, each of its fields with a description."""
    specs = [COMMANDS[action] for action in ROUTES.values()]
    schemas = _of_types(
        [
            *(spec.command_type for spec in specs),
            *(spec.answer_type for spec in specs),
            *(read.answer_type for read in READS.values()),
            DryRun,
            DryRunEvent,
            FieldError,
        ]
    )
    dry_run = schemas.pop("DryRun")
    for key in ("DateKey", "DocumentKey", "StatementKey"):  # of which cursors are made
        del schemas[key]
    for spec in specs:
        answer = name_of(spec.answer_type)
        properties = {
            **dry_run["properties"],
            "dry_run": {"type": "boolean", "const": True},
            "answer": ref(answer),
        }
        schemas[f"{answer}DryRun"] = {**dry_run, "properties": properties, "required": [*properties]}
        _take_path(schemas, spec.command_type)
    schemas |= _bulk(schemas) | {"Problem": deepcopy(_PROBLEM)}
    for name, schema in schemas.items():
        for field, found in schema.get("properties", {}).items():
            schema["properties"][field] = _described(name, field, found)
    for name, choices in _CHOICES.items():
        schemas[name] = {"type": "string", "enum": choices, "description": FIELDS[name]}
    return {name: {**schemas[name], "title": name} for name in sorted(schemas)}


def choice(values: Iterable[str]) -> Schema:
    """The schema of a choice between texts."""
    ordered = sorted(values)
    for name, choices in _CHOICES.items():
        if choices == ordered:
            return ref(name)
    return {"type": "string", "enum": ordered}


def _of_types(types: Iterable[Any]) -> dict[str, Schema]:
    """What msgspec says of types and all that they hold, less what the document has no use for."""
    ordered = list(dict.fromkeys(types))
    references, found = msgspec.json.schema_components(
        ordered, ref_template=_AT + "{name}", schema_hook=lambda _: {"type": "object"}
    )
    text = json.dumps(found)
    for kind, reference in zip(ordered, references, strict=True):
        text = text.replace(f'"{reference["$ref"].removeprefix(_AT)}"', f'"{name_of(kind)}"')
    # Python's \Z has no counterpart in the regular expressions of JSON Schema; there $ ends a string.
    return {name: _tidied(schema) for name, schema in json.loads(text.replace(r"\\Z", "$")).items()}


def _tidied(schema: Schema) -> Schema:
    if "description" in schema:
        schema["description"] = " ".join(schema["description"].split())
    if "has_more" in schema.get("properties", {}):
        # What a query gives as the key of the next rows leaves the service as an opaque cursor.
        schema["properties"]["next"] = _TEXT_OR_NULL
    return schema


def _take_path(schemas: dict[str, Schema], kind: type[Command]) -> None:
    """Part a command's schema from the parameter of its path, which only an element of bulk has in its data."""
    schema = schemas[kind.__name__]
    for field in kind.not_yet:
        del schema["properties"][field]
    if kind.path:
        parameter = schema["properties"].pop(kind.path)
        parameter.pop("default")
        schemas[f"{kind.__name__}InBulk"] = {
            **schema,
            "properties": {kind.path: parameter, **schema["properties"]},
            "required": [kind.path, *schema.get("required", ())],
        }


def _described(name: str, field: str, schema: Schema) -> Schema:
    """A field's schema without what says nothing, and with a description: its own, else that of the table."""
    schema = deepcopy(schema)
    if schema.get("default", 0) is None:
        del schema["default"]
    taken = schema.get("x-taken") or schema.get("enum")
    if taken:
        kept: Schema = {key: schema[key] for key in ("description", "default") if key in schema}
        schema = {**kept, **choice(taken)}
    if field.endswith("_at"):
        for one in schema.get("anyOf", [schema]):
            if one["type"] == "string":
                one["format"] = "date-time"
    inner = [one.pop("description") for one in schema.get("anyOf", ()) if "description" in one]
    text = (
        FIELDS.get(f"{name}.{field}")
        or FIELDS.get(f"{name.removesuffix('InBulk')}.{field}")
        or schema.get("description")
        or "".join(inner)
        or FIELDS.get(field)
    )
    if text and (schema.get("$ref", "").removeprefix(_AT) in {"", *_CHOICES}):
        return {"description": text, **{key: value for key, value in schema.items() if key != "description"}}
    return schema


# --- bulk and problems


def _bulk(schemas: dict[str, Schema]) -> dict[str, Schema]:
    specs = [COMMANDS[action] for action in sorted(BULK_ACTIONS)]
    elements = {spec.action: f"Bulk{spec.command_type.__name__}" for spec in specs}
    # A client that tries one after the other finds the right one first: what asks for more comes earlier.
    answers = sorted(
        {name_of(spec.answer_type) for spec in specs},
        key=lambda name: (-len(schemas[name]["required"]), name),
    )
    integer, text = {"type": "integer"}, {"type": "string"}
    done: Schema = {
        "status": integer,
        "code": {"type": "null"},
        "position": integer,
        "replayed": {"type": "boolean"},
        "data": {"anyOf": [ref(answer) for answer in answers]},
    }
    refused: Schema = {
        "status": integer,
        "code": text,
        "position": {"type": "null"},
        "replayed": {"type": "boolean", "const": False},
        "data": {"type": "null"},
        "detail": text,
        "errors": {"type": "array", "items": ref("FieldError")},
    }
    return {
        **{elements[spec.action]: _element(spec) for spec in specs},
        "BulkElement": {
            "description": "One command: the action, a key of its own, and the body of the command's own route with"
            " the path's parameter in it.",
            "oneOf": [ref(name) for name in elements.values()],
            "discriminator": {
                "propertyName": "action",
                "mapping": {action: _AT + name for action, name in elements.items()},
            },
        },
        "BulkDone": {
            "description": "A command of bulk that was done, now or before.",
            "type": "object",
            "properties": done,
            "required": [*done],
        },
        "BulkRefused": {
            "description": "A command of bulk that was refused; what a problem would say of it stands beside.",
            "type": "object",
            "properties": refused,
            "required": [*refused],
        },
        "BulkAnswer": {
            "description": "What became of each element.",
            "type": "object",
            "properties": {
                "data": {"type": "array", "items": {"oneOf": [ref("BulkRefused"), ref("BulkDone")]}}
            },
            "required": ["data"],
        },
    }


def _element(spec: CommandSpec) -> Schema:
    kind = spec.command_type
    properties = {
        "action": {"type": "string", "const": spec.action},
        "idempotency_key": {**IDEMPOTENCY_KEY},
        "data": ref(f"{kind.__name__}InBulk" if kind.path else kind.__name__),
    }
    return {
        "description": f"`{spec.action}`: needs the capability `{spec.capability}`.",
        "type": "object",
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
    }


IDEMPOTENCY_KEY: Final[Schema] = {
    "type": "string",
    "minLength": 8,
    "maxLength": 200,
    "pattern": "^[\\x21-\\x7e]+$",
}

_EVERY_PROBLEM: Final[Schema] = {
    "type": {"type": "string"},
    "title": {"type": "string"},
    "status": {"type": "integer"},
    "detail": {"type": "string"},
    "instance": {"type": "string"},
    "code": {
        "type": "string",
        "description": "Programs branch on it alone. New codes may come; now it is one of "
        + ", ".join(f"`{code}`" for code in sorted(STATUS))
        + ".",
    },
    "request_id": {"type": "string"},
    "tenant": _TEXT_OR_NULL,
    "errors": {"type": "array", "items": ref("FieldError")},
}
_PROBLEM: Final[Schema] = {
    "description": "Why nothing was done (RFC 9457). Further members may say more, depending on the code.",
    "type": "object",
    "properties": {
        **_EVERY_PROBLEM,
        "available": {"type": "integer"},
        "required": {"type": "integer"},
        "capability": {"type": "string"},
        "earliest": {"type": "string", "format": "date"},
        "transaction_id": {"type": "string"},
        "amount": {"type": "integer"},
        "account": {"type": "string"},
    },
    "required": [*_EVERY_PROBLEM],
}
