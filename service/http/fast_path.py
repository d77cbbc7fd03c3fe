"""Leads the busiest addresses past the framework's routing.

FastAPI declares, documents and would answer these routes as well, but takes about as long to find a route
and solve its dependencies as everything else on the event loop takes together: a route that takes nothing but
the request, and text out of the address, has no use for that.
"""

from collections.abc import Callable, Sequence
from typing import Final

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send


class DirectRoutes:
    """Around the whole application: calls the endpoints of some routers' routes itself, where the method and the
    address are theirs, behind `guard` and none of the framework's own layers.

    For endpoints that take the request and the address's own parameters, as text, and return a Response.
    """

    def __init__(self, app: ASGIApp, routers: Sequence[APIRouter], guard: Callable[[ASGIApp], ASGIApp]) -> None:
        self._app: Final = app
        self._direct: Final = guard(_answer)
        routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
        self._plain: Final = {
            (method, route.path): route
            for route in routes
            for method in route.methods or ()
            if not route.param_convertors
        }
        self._patterns: Final = [route for route in routes if route.param_convertors]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._finds(scope):
            await self._direct(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _finds(self, scope: Scope) -> bool:
        """Whether a route is the request's; it and its parameters then stand in `scope`."""
        route = self._plain.get((scope["method"], scope["path"]))
        if route is not None:
            scope["route"] = route
            return True
        for route in self._patterns:
            match, found = route.matches(scope)
            if match is Match.FULL:
                scope.update(found, route=route)
                return True
        return False


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope, receive, send)
    response = await scope["route"].endpoint(request=request, **scope.get("path_params", {}))
    await response(scope, receive, send)
