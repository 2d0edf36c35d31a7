"""Every operation as a command of curl and as a program: made of its example, to be run as it stands.

Both take the service's address from `BURSAR_URL` and the key from `BURSAR_API_KEY`.
"""

import json
from pprint import pformat
from typing import Any, Final

import msgspec

MAX_LINE_CHARACTERS: Final = 60
"""A longer body stands on lines of its own."""
_TYPE: Final = "Content-Type: application/json"


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A request: `path` with its query, and `body` where it takes one. `key` is its idempotency key, `reason` its why."""

    method: str
    path: str
    public: bool = False
    key: str | None = None
    reason: str | None = None
    body: Any = None


def samples(call: Call) -> list[dict[str, str]]:
    """The `x-codeSamples` of a call."""
    return [
        {"lang": "curl", "label": "curl", "source": _curl(call)},
        {"lang": "Python", "label": "Python (httpx)", "source": _python(call)},
    ]


def _curl(call: Call) -> str:
    method = "" if call.method == ("GET" if call.body is None else "POST") else f"-X {call.method} "
    parts = [f'curl -sS {method}"$BURSAR_URL{call.path}"']
    if not call.public:
        parts.append('-H "Authorization: Bearer $BURSAR_API_KEY"')
    if call.body is not None:
        parts.append(f"-H '{_TYPE}'")
    if call.key is not None:
        parts.append(f"-H 'Idempotency-Key: {call.key}'")
    if call.reason is not None:
        parts.append(f"-H 'Bursar-Reason: {call.reason}'")
    if call.body is not None:
        text = json.dumps(call.body)
        if len(text) > MAX_LINE_CHARACTERS:
            text = json.dumps(call.body, indent=2).replace("\n", "\n  ")
        parts.append(f"-d '{text}'")
    return " \\\n  ".join(parts)


def _python(call: Call) -> str:
    headers = [] if call.public else ['"Authorization": f"Bearer {os.environ[\'BURSAR_API_KEY\']}"']
    if call.key is not None:
        headers.append(f'"Idempotency-Key": "{call.key}"')
    if call.reason is not None:
        headers.append(f'"Bursar-Reason": "{call.reason}"')
    lines = [f'    os.environ["BURSAR_URL"] + "{call.path}",']
    if headers:
        lines.append(f"    headers={{{', '.join(headers)}}},")
    if call.body is not None:
        body = pformat(call.body, sort_dicts=False, width=MAX_LINE_CHARACTERS).replace("\n", "\n         ")
        lines.append(f"    json={body},")
    return "\n".join(
        [
            "import os",
            "",
            "import httpx",
            "",
            f"answer = httpx.{call.method.lower()}(",
            *lines,
            ")",
            "answer.raise_for_status()",
            "print(answer.json())",
        ]
    )
