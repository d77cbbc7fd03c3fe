"""The playground: one static page with its style, script and sample pictures."""

from importlib.resources import files
from pathlib import Path
from typing import Final

from fastapi import APIRouter
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles

_STATIC: Final = Path(str(files("service"))) / "static"


def page_routes() -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/", response_class=FileResponse)
    async def page() -> FileResponse:
        return FileResponse(_STATIC / "index.html")

    router.mount("/static", StaticFiles(directory=_STATIC), "static")
    return router
