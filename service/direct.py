"""Leads the busiest addresses past the framework's routing.

FastAPI declares, documents and would answer these routes as well, but takes about as long to find a route
and solve its dependencies as everything else on the event loop takes together: a route that takes nothing but
the request has no use for that.
"""

from typing import Final

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send


class DirectRoutes:
    """ASGI middleware: calls the endpoints of a router's routes itself, where the method and the address are theirs.

    For endpoints that take the request alone and return a Response, under addresses without parameters.
    """

    def __init__(self, app: ASGIApp, router: APIRouter) -> None:
        self._app: Final = app
        self._routes: Final = {
            (method, route.path): route
            for route in router.routes
            if isinstance(route, APIRoute)
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._routes.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if route is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = route
        response = await route.endpoint(Request(scope, receive, send))
        await response(scope, receive, send)
