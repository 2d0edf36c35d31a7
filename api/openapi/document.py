"""The OpenAPI document: the reads as FastAPI knows them, the commands from their table, and what is said of all."""

import re
from typing import Any, Final, get_args
from urllib.parse import urlencode

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.commands.bulk import MAX_ELEMENTS
from api.commands.routes import BULK_ACTIONS, BULK_PATH
from api.errors import STATUS
from api.openapi import refusals
from api.openapi.descriptions import BACK_DATING, HEADERS, PARAMETER_EXAMPLES, PARAMETERS, REASON_EXAMPLE
from api.openapi.introduction import GROUPS, INTRODUCTION, TAGS
from api.openapi.samples import Call, samples
from api.openapi.schemas import IDEMPOTENCY_KEY, choice, components, dry_run_of, name_of, ref
from api.operations import BULK, COMMANDS, READS
from api.operations.form import Codes, CommandForm, Form, ReadForm
from api.paths import PREFIX, PUBLIC
from application import commands
from application.pipeline.atomic import MAX_ATOMIC_COMMANDS
from application.pipeline.command import CommandSpec
from domain.errors import Code
from domain.invoice import InvoiceStatus

Json = dict[str, Any]

_HEADER_PARAMETERS: Final[dict[str, Json]] = {
    "Bursar-Reason": {"type": "string", "maxLength": 500},
    "Bursar-Min-Position": {"type": "integer", "minimum": 0},
    "X-Request-Id": {"type": "string", "maxLength": 128},
}


def document(app: FastAPI) -> Json:
    """The whole document, OpenAPI 3.1."""
    found = get_openapi(
        title="Bursar API",
        version=app.version,
        openapi_version="3.1.0",
        description=INTRODUCTION,
        routes=app.routes,
        license_info={"name": "Apache 2.0", "identifier": "Apache-2.0"},
        servers=[{"url": "/", "description": "The service that this document comes from."}],
        tags=[{"name": name, "description": text} for name, text in TAGS.items()],
    )
    paths: dict[str, Json] = {}
    for path, methods in found.pop("paths").items():
        read = READS[path.removeprefix(PREFIX)]
        paths[path] = {"get": _read(read, methods["get"].get("parameters", []))}
    for form in COMMANDS.values():
        paths.setdefault(f"{PREFIX}{form.path}", {})[form.method.lower()] = _command(form)
    paths[BULK_PATH] = {"post": _bulk()}
    return {
        **found,
        "x-tagGroups": [{"name": name, "tags": [*tags]} for name, tags in GROUPS.items()],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key of the tenant, as `bursar key create` prints it.",
                }
            },
            "schemas": components(),
            "parameters": {name: _header_parameter(name) for name in _HEADER_PARAMETERS},
            "headers": {
                name: {"description": text, "schema": {"type": kind}}
                for name, (text, kind) in HEADERS.items()
            },
            "examples": {
                code: {"summary": code.meaning, "value": refusals.problem(code)}
                for code in sorted(_codes_in_use())
            },
        },
    }


def _codes_in_use() -> set[Any]:
    used = set(_bulk_codes())
    for form in COMMANDS.values():
        used.update(refusals.of_command(form, key_required=_spec(form).key_required))
    for read in READS.values():
        used.update(refusals.of_read(read, public=_is_public(read)))
    return used


def _bulk_codes() -> Codes:
    return refusals.of_bulk(BULK, (form for form in COMMANDS.values() if form.in_bulk))


def _spec(form: CommandForm) -> CommandSpec:
    return commands.COMMANDS[form.action]


def _is_public(form: ReadForm) -> bool:
    return f"{PREFIX}{form.path}".startswith(PUBLIC)


# --- operations


def _operation(form: Form, description: str, **rest: Any) -> Json:
    return {
        "operationId": form.id,
        "tags": [form.tag],
        "summary": form.summary,
        "description": description,
        **rest,
    }


def _read(form: ReadForm, parameters: list[Json]) -> Json:
    public = _is_public(form)
    query = f"?{urlencode(form.query)}" if form.query else ""
    call = Call(method="GET", path=_example_path(form) + query, public=public)
    success = _success(
        "What was asked for, as of `Bursar-Position`.",
        ref(name_of(form.answer_type)),
        form.answer,
    )
    needed = " or ".join(f"`{capability}`" for capability in form.capabilities)
    return _operation(
        form,
        f"{form.description}\n\nNeeds the capability {needed}." if needed else form.description,
        **({"security": []} if public else {}),
        parameters=[
            *_path_parameters(form.path),
            *(_parameter(found, form.id) for found in parameters if found["in"] == "query"),
            *([] if public else [_header_ref("Bursar-Min-Position")]),
            _header_ref("X-Request-Id"),
        ],
        responses={"200": success, **_problems(refusals.of_read(form, public=public))},
        **{"x-codeSamples": samples(call)},
    )


def _command(form: CommandForm) -> Json:
    spec = _spec(form)
    back_dating = BACK_DATING if Code.EFFECTIVE_DATE_TOO_EARLY in form.codes else ""
    reason = REASON_EXAMPLE if spec.reason_required else None
    call = Call(method=form.method, path=_example_path(form), key=form.key, reason=reason, body=form.request)
    dry_run: Json = {"schema": dry_run_of(spec), "example": form.dry_run()}
    dry_text = "A dry run: what would have been answered. Nothing was written."
    done = _success("Done, and durable.", ref(name_of(spec.answer_type)), form.answer, "Idempotency-Replayed")
    if spec.status == 200:
        done["description"] += f" Or {dry_text[0].lower()}{dry_text[1:]}"
        done["content"]["application/json"] = {
            "schema": {"oneOf": [ref(name_of(spec.answer_type)), dry_run_of(spec)]},
            "examples": {
                "done": {"summary": "Done", "value": form.answer},
                "dry_run": {"summary": "A dry run", "value": dry_run["example"]},
            },
        }
    else:
        dry_run = _success(dry_text, **dry_run)
    return _operation(
        form,
        f"{_doc(spec.command_type)}\n\nAction `{form.action}`; needs the capability `{spec.capability}`.{back_dating}",
        parameters=[
            *_path_parameters(form.path),
            _parameter({"name": "dry_run", "in": "query", "schema": {"type": "boolean", "default": False}}),
            _parameter(
                {
                    "name": "Idempotency-Key",
                    "in": "header",
                    "required": spec.key_required,
                    "schema": {**IDEMPOTENCY_KEY},
                    "example": form.key,
                }
            ),
            _required("Bursar-Reason", reason) if reason else _header_ref("Bursar-Reason"),
            _header_ref("X-Request-Id"),
        ],
        requestBody={
            "required": bool(form.request),
            "content": {
                "application/json": {"schema": ref(name_of(spec.command_type)), "example": form.request}
            },
        },
        responses={
            str(spec.status): done,
            **({} if spec.status == 200 else {"200": dry_run}),
            **_problems(refusals.of_command(form, key_required=spec.key_required)),
        },
        **{"x-codeSamples": samples(call)},
    )


def _bulk() -> Json:
    actions = ", ".join(
        f"`{action}` (`{commands.COMMANDS[action].capability}`)" for action in sorted(BULK_ACTIONS)
    )
    call = Call(method="POST", path=BULK_PATH, body=BULK.request)
    schema = {"type": "array", "maxItems": MAX_ELEMENTS, "items": ref("BulkElement")}
    return _operation(
        BULK,
        f"Up to {MAX_ELEMENTS:,} commands, done in order, each standing alone: one that is refused stops no other. Each"
        f" has an idempotency key of its own. The answer is 200 with one result for each. With `atomic=true` at most"
        f" {MAX_ATOMIC_COMMANDS} commands are one, committed whole or not at all: all results have one position, and where"
        f" one is refused the answer is its refusal, whose `errors` point at the element. Actions, with the capability that each needs: {actions}.",
        parameters=[
            _parameter({"name": "atomic", "in": "query", "schema": {"type": "boolean", "default": False}}),
            _header_ref("Bursar-Reason"),
            _header_ref("X-Request-Id"),
        ],
        requestBody={
            "required": True,
            "content": {"application/json": {"schema": schema, "example": BULK.request}},
        },
        responses={
            "200": _success("One result for each element.", ref("BulkAnswer"), BULK.answer),
            **_problems(_bulk_codes()),
        },
        **{"x-codeSamples": samples(call)},
    )


def _doc(kind: type) -> str:
    return " ".join((kind.__doc__ or "").split())


# --- parameters


def _path_parameters(path: str) -> list[Json]:
    return [
        _parameter({"name": name, "in": "path", "required": True, "schema": {"type": "string"}})
        for name in re.findall(r"{(\w+)}", path)
    ]


def _parameter(found: Json, operation: str = "") -> Json:
    """A parameter with its description and an example; in a query, what may be left out is not null instead."""
    name, schema = found["name"], dict(found["schema"])
    if "anyOf" in schema:
        schema = dict(schema["anyOf"][0])
    if name == "status" and operation == "list_invoices":
        schema = choice(get_args(InvoiceStatus))  # only those that occur
    for noise in ("title", "description"):
        schema.pop(noise, None)
    own = PARAMETERS.get(f"{operation}.{name}")
    parameter = {**found, "description": own or PARAMETERS[name], "schema": schema}
    if name in PARAMETER_EXAMPLES and not own:
        parameter["example"] = PARAMETER_EXAMPLES[name]
    return parameter


def _header_parameter(name: str) -> Json:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": PARAMETERS[name],
        "schema": _HEADER_PARAMETERS[name],
    }


def _required(name: str, example: str) -> Json:
    """A header that this operation cannot do without."""
    return {**_header_parameter(name), "required": True, "example": example}


def _header_ref(name: str) -> Json:
    return {"$ref": f"#/components/parameters/{name}"}


def _example_path(form: Form) -> str:
    return PREFIX + form.path.format(**PARAMETER_EXAMPLES)


# --- answers


def _headers(*names: str) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _success(description: str, schema: Json, example: Any, *more: str) -> Json:
    return {
        "description": description,
        "headers": _headers("Bursar-Position", "X-Request-Id", *more),
        "content": {"application/json": {"schema": schema, "example": example}},
    }


def _problems(codes: Codes) -> Json:
    """The refusals by status, each code with its meaning and an example, so that a search finds it."""
    by_status: dict[int, list[Any]] = {}
    for code in codes:
        by_status.setdefault(STATUS[code], []).append(code)
    more = {401: ("WWW-Authenticate",), 503: ("Retry-After",)}
    return {
        str(status): {
            "description": "\n".join(f"- `{code}`: {code.meaning}" for code in found),
            "headers": _headers("X-Request-Id", *more.get(status, ())),
            "content": {
                "application/problem+json": {
                    "schema": ref("Problem"),
                    "examples": {code: {"$ref": f"#/components/examples/{code}"} for code in found},
                }
            },
        }
        for status, found in sorted(by_status.items())
    }
