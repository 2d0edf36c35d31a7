"""The OpenAPI document: the reads as FastAPI knows them, the commands from their table, examples for all."""

import json
import re
from functools import cache
from html import escape
from typing import Any, Final

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse

from api.commands.routes import BULK_PATH, PREFIX, ROUTES
from api.errors import STATUS
from api.openapi import examples
from application.commands import COMMANDS
from application.pipeline.command import Command

_PROBLEM: Final = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "code", "request_id", "tenant", "errors"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "code": {"type": "string", "enum": sorted(STATUS)},
        "request_id": {"type": "string"},
        "tenant": {"type": ["string", "null"]},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}
_PATH_PARAMETER: Final = re.compile(r"{(\w+)}")


def document(app: FastAPI) -> dict[str, Any]:
    """The whole document, OpenAPI 3.1."""
    found = get_openapi(title=app.title, version=app.version, openapi_version="3.1.0", routes=app.routes)
    components, schemas = _schemas()
    found["components"] = {
        "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        "schemas": {**components, "Problem": _PROBLEM},
    }
    found["security"] = [{"key": []}]
    for path, operations in found["paths"].items():
        for operation in operations.values():
            _complete_read(path, operation)
    for (method, path), action in ROUTES.items():
        spec = COMMANDS[action]
        full = f"{PREFIX}/{path.replace('{}', '{' + spec.command_type.path + '}')}"
        found["paths"].setdefault(full, {})[method.lower()] = _command(full, action, schemas)
    found["paths"][BULK_PATH] = {"post": _bulk()}
    return found


def _schemas() -> tuple[dict[str, Any], dict[type, Any]]:
    types = {
        kind
        for action in ROUTES.values()
        for kind in (COMMANDS[action].command_type, COMMANDS[action].answer_type)
    }
    ordered = sorted(types, key=lambda kind: kind.__name__)
    schemas, components = msgspec.json.schema_components(ordered, ref_template="#/components/schemas/{name}")
    for kind in types:
        if issubclass(kind, Command) and kind.path:
            # It is the path's, and in a body only in bulk.
            del components[kind.__name__]["properties"][kind.path]
    # Python's \Z has no counterpart in the regular expressions of JSON Schema; there $ ends a string.
    text = json.dumps({"components": components}).replace(r"\\Z", "$")
    return json.loads(text)["components"], dict(zip(ordered, schemas, strict=True))


def _command(path: str, action: str, schemas: dict[type, Any]) -> dict[str, Any]:
    spec = COMMANDS[action]
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PATH_PARAMETER.findall(path)
    ]
    parameters.append(
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": spec.key_required,
            "schema": {"type": "string", "minLength": 8, "maxLength": 200, "pattern": "^[\\x21-\\x7e]+$"},
        }
    )
    parameters.append({"name": "dry_run", "in": "query", "schema": {"type": "boolean", "default": False}})
    return {
        "operationId": action.replace(".", "_"),
        "summary": (spec.command_type.__doc__ or "").strip().split("\n", maxsplit=1)[0],
        "description": f"Action `{action}`; needs the capability `{spec.capability}`.",
        "parameters": parameters,
        "requestBody": {
            "required": bool(examples.REQUESTS[action]),
            "content": _json(schemas[spec.command_type], examples.REQUESTS[action]),
        },
        "responses": {
            str(spec.status): {
                "description": "Done, and durable.",
                "headers": _position_header(),
                "content": _json(schemas[spec.answer_type], examples.ANSWERS[action]),
            },
            **({} if spec.status == 200 else {"200": {"description": "A dry run."}}),
            **_problems(),
        },
    }


def _bulk() -> dict[str, Any]:
    element = {
        "type": "object",
        "required": ["action", "idempotency_key", "data"],
        "properties": {
            "action": {"type": "string"},
            "idempotency_key": {"type": "string"},
            "data": {"type": "object"},
        },
    }
    return {
        "operationId": "bulk",
        "summary": "Many commands in one request, each standing alone, in order",
        "requestBody": {
            "required": True,
            "content": _json({"type": "array", "maxItems": 10000, "items": element}, examples.BULK_REQUEST),
        },
        "responses": {
            "200": {
                "description": "One result for each element.",
                "headers": _position_header(),
                "content": _json({"type": "object"}, examples.BULK_ANSWER),
            },
            **_problems(),
        },
    }


def _complete_read(path: str, operation: dict[str, Any]) -> None:
    """Add to a read what FastAPI does not know: its position, its example, the error envelope."""
    operation.pop("tags", None)
    operation["responses"] = {
        "200": {
            "description": "As projected at `Bursar-Position`.",
            "headers": _position_header(),
            "content": _json({"type": "object"}, examples.READS[path.removeprefix(PREFIX)]),
        },
        **_problems(),
    }
    if path.startswith(f"{PREFIX}/receipts"):
        operation["security"] = []
    else:
        header = {"type": "integer", "minimum": 0}
        operation.setdefault("parameters", []).append(
            {"name": "Bursar-Min-Position", "in": "header", "required": False, "schema": header}
        )


def _position_header() -> dict[str, Any]:
    return {"Bursar-Position": {"schema": {"type": "integer"}, "description": "A position of the log."}}


def _json(schema: Any, example: Any) -> dict[str, Any]:
    return {"application/json": {"schema": schema, "example": example}}


def _problems() -> dict[str, Any]:
    by_status: dict[int, list[str]] = {}
    for code, status in STATUS.items():
        by_status.setdefault(status, []).append(code)
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        str(status): {"description": f"Code {', '.join(sorted(codes))}.", "content": content}
        for status, codes in sorted(by_status.items())
    }


def add_routes(app: FastAPI) -> None:
    """Serve the document at /openapi.json and a reference page at /docs, which needs nothing from elsewhere."""

    @cache
    def made() -> dict[str, Any]:
        return document(app)

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi_json() -> JSONResponse:
        return JSONResponse(made())

    @app.get("/docs", include_in_schema=False)
    async def reference() -> HTMLResponse:
        return HTMLResponse(_page(made()))


def _page(found: dict[str, Any]) -> str:
    sections: list[str] = []
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            sections.append(_section(method.upper(), path, operation))
    return _HTML.format(
        title=escape(f"{found['info']['title']} {found['info']['version']}"), body="\n".join(sections)
    )


def _section(method: str, path: str, operation: dict[str, Any]) -> str:
    parts = [f"<h2><b>{method}</b> {escape(path)}</h2><p>{escape(operation['summary'])}</p>"]
    rows = "".join(
        f"<tr><td>{escape(p['name'])}<td>{p['in']}<td>{'required' if p.get('required') else ''}</tr>"
        for p in operation.get("parameters", [])
    )
    if rows:
        parts.append(f"<table>{rows}</table>")
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    if body.get("example") is not None:
        parts.append(f"<h3>Request</h3><pre>{escape(json.dumps(body['example'], indent=2))}</pre>")
    for status, response in operation["responses"].items():
        example = response.get("content", {}).get("application/json", {}).get("example")
        if example is not None:
            parts.append(f"<h3>Answer {status}</h3><pre>{escape(json.dumps(example, indent=2))}</pre>")
    return f"<section>{''.join(parts)}</section>"


_HTML: Final = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 54rem; margin: 2rem auto; padding: 0 1rem; color: #1b1f24 }}
section {{ border-top: 1px solid #d5d9de; padding: .5rem 0 1rem }} h2 {{ font-size: 1.05rem; font-family: monospace }}
h2 b {{ background: #0b5; color: #fff; border-radius: 4px; padding: 2px 8px }} h3 {{ font-size: .9rem; margin: .6rem 0 }}
pre {{ background: #f5f7f9; padding: .8rem; border-radius: 6px; overflow-x: auto; font-size: 13px }}
td {{ padding: 2px 1rem 2px 0; font-size: 14px }}
</style><h1>{title}</h1><p>Every path takes <code>Authorization: Bearer KEY</code>. Amounts are minor units.
The machine-readable document is at <a href="/openapi.json">/openapi.json</a>.</p>
{body}</html>"""
