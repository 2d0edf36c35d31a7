"""The committed OpenAPI document, and the check that an answer is one that it promises."""

import json
import re
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from openapi_schema_validator import OAS31Validator

COMMITTED: Final = Path(__file__).parents[2] / "docs" / "reference" / "openapi.json"
DOCUMENT: Final[dict[str, Any]] = json.loads(COMMITTED.read_text(encoding="utf-8"))
OPERATIONS: Final = [
    (method, path, operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
]
MAX_CHECKED_BYTES: Final = 50_000
"""A larger answer is many times the same."""

_PATTERNS: Final = [
    (method.upper(), re.compile(re.sub(r"{\w+}", "[^/]+", path)), operation)
    for method, path, operation in OPERATIONS
]
_OPEN: Final = ("Problem", "BulkRefused")
"""To these, members may be added by the code."""


def operation_of(method: str, path: str) -> dict[str, Any] | None:
    """The operation that a request is one of."""
    for own, pattern, operation in _PATTERNS:
        if method == own and pattern.fullmatch(unquote(path)):
            return operation
    return None


def check(method: str, path: str, status: int, media_type: str, content: bytes) -> None:
    """Assert that the document promises an answer: its status, the code of a refusal, and every member."""
    operation = operation_of(method, path)
    if operation is None or len(content) > MAX_CHECKED_BYTES:
        return
    where = f"{method} {path}: {status} {content[:500]!r}"
    assert str(status) in operation["responses"], where
    promised = operation["responses"][str(status)]["content"]
    assert media_type in promised, where
    body = json.loads(content)
    if media_type == "application/problem+json":
        assert body["code"] in promised[media_type]["examples"], where
        if body["code"] == "capability_missing":
            assert f"`{body['capability']}`" in operation["description"], where
    _validator(json.dumps(promised[media_type]["schema"])).validate(body)


@cache
def _validator(schema: str) -> Any:
    return OAS31Validator({**json.loads(schema), "components": {"schemas": _strict()}})


@cache
def _strict() -> dict[str, Any]:
    """The schemas, which let clients meet members that they do not know, without that leave."""
    schemas = deepcopy(DOCUMENT["components"]["schemas"])
    for name, schema in schemas.items():
        if "properties" in schema and name not in _OPEN:
            schema["additionalProperties"] = False
    return schemas
