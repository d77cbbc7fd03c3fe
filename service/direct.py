"""Leads the busiest addresses past the framework's routing.

FastAPI declares, documents and would answer these routes as well, but takes about as long to find a route
and solve its dependencies as everything else on the event loop takes together: a route that takes nothing but
the request has no use for that.
"""

from collections.abc import Callable
from typing import Final

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send


class DirectRoutes:
    """Around the whole application: calls the endpoints of a router's routes itself, where the method and the address
    are theirs, behind `guard` and none of the framework's own layers.

    For endpoints that take the request alone and return a Response, under addresses without parameters.
    """

    def __init__(self, app: ASGIApp, router: APIRouter, guard: Callable[[ASGIApp], ASGIApp]) -> None:
        self._app: Final = app
        self._direct: Final = guard(_answer)
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
        await self._direct(scope, receive, send)


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    response = await scope["route"].endpoint(Request(scope, receive, send))
    await response(scope, receive, send)
