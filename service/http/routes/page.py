"""The playground and the API's description: static pages that need nothing from outside."""

from importlib.resources import files
from pathlib import Path
from typing import Final

from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import FileResponse, HTMLResponse
from starlette.staticfiles import StaticFiles

_STATIC: Final = Path(str(files("service"))) / "static"
# The page needs nothing but this server: what it loads, asks and shows comes from here or was chosen by its user.
_POLICY: Final = "default-src 'self'; img-src 'self' blob:; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"


def page_routes(title: str) -> APIRouter:
    """`title` is that of the description."""
    router = APIRouter(include_in_schema=False)
    # Relative addresses, so that a proxy may put the service below a prefix.
    description = get_swagger_ui_html(
        openapi_url="openapi.json",
        title=title,
        swagger_js_url="static/swagger/swagger-ui-bundle.js",
        swagger_css_url="static/swagger/swagger-ui.css",
        swagger_favicon_url="static/icon.svg",
        swagger_ui_parameters={"validatorUrl": None},  # which would be told this server's address
    ).body

    @router.get("/", response_class=FileResponse)
    async def page() -> FileResponse:
        return FileResponse(_STATIC / "index.html", headers={"Content-Security-Policy": _POLICY})

    @router.get("/docs", response_class=HTMLResponse)
    async def docs() -> HTMLResponse:
        return HTMLResponse(description)

    router.mount("/static", StaticFiles(directory=_STATIC), "static")
    return router
