"""`vtv serve`, which looks into its bank and its table of slots when it has ended."""

import sys
from typing import Any

import service.app as app
from engine.runtime import Engine
from service.server import serve
from service.tasks.registry import TaskRegistry

CLEAN = "integrity: clean"


def main() -> int:
    """By the usual VTV_ variables, until told to stop; 1 where something is not as it should be."""
    engines: list[Engine] = []
    registries: list[TaskRegistry] = []
    load = Engine.load

    def kept(*given: Any, **named: Any) -> Engine:
        engines.append(load(*given, **named))
        return engines[-1]

    def registry(capacity: int) -> TaskRegistry:
        registries.append(TaskRegistry(capacity))
        return registries[-1]

    Engine.load = kept  # type: ignore[method-assign, assignment]
    app.TaskRegistry = registry  # type: ignore[misc, assignment]
    code = serve()
    for engine in engines:
        engine.bank.check_integrity()
    for one in registries:
        one.slots.check_integrity()
        assert one.slots.pinned == 0, "slots are pinned that nobody uses"
    print(f"{CLEAN}, {len(engines)} engine", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
