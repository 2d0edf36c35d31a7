"""The document at /openapi.json, and at /docs a page to read it and to try it, which needs nothing from elsewhere."""

import gzip
import json
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Final

import msgspec
import stopments
from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response

from api.openapi.document import document

_PAGE: Final = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Bursar API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
</head>
<body>
<div id="reference"></div>
<noscript>The machine-readable document is at <a href="/openapi.json">/openapi.json</a>.</noscript>
<script src="/docs/docs.js"></script>
<script src="/docs/scalar.js"></script>
</body>
</html>
"""

_START: Final = b"""\
// Before the renderer is loaded: its validator would ask whether it may compile code, which the policy forbids.
globalThis.__zod_globalConfig = { jitless: true }
addEventListener('DOMContentLoaded', () => Scalar.createApiReference('#reference', {
  url: '/openapi.json',
  hideModels: true, // each stands where it is taken or answered
  hiddenClients: true, // the document's own samples alone, in curl and Python
  defaultOpenAllTags: true,
  orderSchemaPropertiesBy: 'preserve',
  documentDownloadType: 'direct',
  withDefaultFonts: false, // nothing from elsewhere
  telemetry: false,
  hideClientButton: true,
  showDeveloperTools: 'never',
  agent: { disabled: true },
  mcp: { disabled: true },
}))
"""

_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # kept, but asked for: a new release shows at once
    "Vary": "Accept-Encoding",
}


class _File(msgspec.Struct, frozen=True, kw_only=True):
    """What is served as it is, and packed for those who take it so."""

    body: bytes
    packed: bytes
    tag: str
    media_type: str


def _file(body: bytes, media_type: str) -> _File:
    tag = sha256(body).hexdigest()[:32]
    return _File(body=body, packed=gzip.compress(body, mtime=0), tag=tag, media_type=media_type)


def _answer(request: Request, file: _File) -> Response:
    packed = "gzip" in request.headers.get("accept-encoding", "")
    tag = f'"{file.tag}-gzip"' if packed else f'"{file.tag}"'
    headers = {**_HEADERS, "ETag": tag, **({"Content-Encoding": "gzip"} if packed else {})}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(file.packed if packed else file.body, headers=headers, media_type=file.media_type)


def add_routes(app: FastAPI) -> None:
    """Serve document and page, and lead there from /."""

    def renderer() -> bytes:
        return (files(stopments) / "static" / "scalar-api-reference.js").read_bytes()

    def serve(path: str, make: Callable[[], bytes], media_type: str) -> None:
        @cache
        def made() -> _File:
            return _file(make(), media_type)

        # A plain function, which runs beside the loop: what is served is made and packed at its first use.
        @app.get(path, include_in_schema=False)
        def get(request: Request) -> Response:
            return _answer(request, made())

    serve("/openapi.json", lambda: json.dumps(document(app), ensure_ascii=False).encode(), "application/json")
    serve("/docs", lambda: _PAGE, "text/html")
    serve("/docs/docs.js", lambda: _START, "text/javascript")
    serve("/docs/scalar.js", renderer, "text/javascript")

    @app.get("/", include_in_schema=False)
    async def home() -> Response:
        return RedirectResponse("/docs")
