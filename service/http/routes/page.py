"""The playground and the API's description: static pages that need nothing from outside."""

import json
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles

_STATIC: Final = Path(str(files("service"))) / "static"
# The page needs nothing but this server: what it loads, asks and shows comes from here or was chosen by its user.
_POLICY: Final = "default-src 'self'; img-src 'self' blob:; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
# Swagger UI sets styles on its elements, and its pictures are in its style sheet.
_DOCS_POLICY: Final = _POLICY.replace("blob:", "data:") + "; style-src 'self' 'unsafe-inline'"


def page_routes(describe: Callable[[], dict[str, Any]]) -> APIRouter:
    """`describe` makes the API's description."""
    router = APIRouter(include_in_schema=False)

    @cache
    def description(prefix: str) -> bytes:
        """Made once: it is a hundred kilobytes, and the same for everybody. A proxy takes the prefix away."""
        servers = {"servers": [{"url": prefix}]} if prefix else {}
        return json.dumps(describe() | servers, ensure_ascii=False, separators=(",", ":")).encode()

    @router.get("/openapi.json")
    async def openapi(request: Request) -> Response:
        return Response(description(request.scope.get("root_path", "").rstrip("/")), media_type="application/json")

    @router.get("/", response_class=FileResponse)
    async def page() -> FileResponse:
        return FileResponse(_STATIC / "index.html", headers={"Content-Security-Policy": _POLICY})

    @router.get("/docs", response_class=FileResponse)
    async def docs() -> FileResponse:
        return FileResponse(_STATIC / "docs.html", headers={"Content-Security-Policy": _DOCS_POLICY})

    router.mount("/static", StaticFiles(directory=_STATIC), "static")
    return router
