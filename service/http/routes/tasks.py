"""`/tasks`: what can be asked for, and changing it while the service runs."""

from typing import Any, Final

from fastapi import APIRouter, Depends, Request, Response, Security
from starlette.requests import ClientDisconnect

from service.errors import ClientClosed
from service.http.auth import API_KEY, BEARER, Authenticator
from service.http.openapi import PROBLEM
from service.http.schemas import TaskList
from service.tasks.registry import TaskRegistry
from service.tasks.store_watcher import StoreWatcher
from service.tasks.task_info import TaskInfo

_FILE: Final = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_UPLOAD: Final[dict[str, Any]] = {"requestBody": {"required": True, "content": _FILE}}


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return dict.fromkeys(statuses, PROBLEM)


def task_routes(registry: TaskRegistry, watcher: StoreWatcher, authenticator: Authenticator) -> APIRouter:
    router = APIRouter(tags=["tasks"])
    admin = [Security(BEARER), Security(API_KEY), Depends(authenticator.may_change)]

    @router.get("/tasks", summary="List the installed tasks")
    async def tasks() -> TaskList:
        return TaskList(tasks=[registry.task(name).info for name in registry.names()])

    @router.get("/tasks/{name}", summary="Describe one task", responses=_problems(404))
    async def task(name: str) -> TaskInfo:
        return registry.task(name).info

    @router.put(
        "/tasks/{name}",
        summary="Install a task",
        responses={**_problems(400, 401, 409, 413, 500), 201: {"model": TaskInfo, "description": "A new task"}},
        openapi_extra=_UPLOAD,
        dependencies=admin,
    )
    async def install(name: str, request: Request, response: Response) -> TaskInfo:
        """Serve an artifact file from now on, without a restart; its metadata must name the same task.

        Requests in flight are answered with the version they began with.
        """
        try:
            content = await request.body()
        except ClientDisconnect:
            raise ClientClosed from None
        task, new = await watcher.install(name, content)
        response.status_code = 201 if new else 200
        return task

    @router.delete(
        "/tasks/{name}",
        summary="Retire a task",
        status_code=204,
        responses=_problems(401, 404, 409, 500),
        dependencies=admin,
    )
    async def retire(name: str) -> None:
        """Take a task out of service and out of the store. Requests in flight are still answered."""
        await watcher.retire(name)

    return router
