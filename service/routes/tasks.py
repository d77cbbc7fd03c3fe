"""`GET /tasks`: what can be asked for."""

from fastapi import APIRouter

from service.openapi import PROBLEM
from service.registry import TaskRegistry
from service.schemas import TaskInfo, TaskList


def task_routes(registry: TaskRegistry) -> APIRouter:
    router = APIRouter(tags=["tasks"])

    @router.get("/tasks", summary="List the installed tasks")
    async def tasks() -> TaskList:
        return TaskList(tasks=[registry.info(name) for name in registry.names()])

    @router.get("/tasks/{name}", summary="Describe one task", responses={404: PROBLEM})
    async def task(name: str) -> TaskInfo:
        return registry.info(name)

    return router
