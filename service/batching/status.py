"""What is told of the engine: how far it is while it is built, and what runs once it is."""

from service.batching.engine import BuiltEngine


class EngineStatus:
    """Written by the thread that builds, read by any."""

    def __init__(self) -> None:
        self.progress = "starting"
        self.backend = self.runtime = ""
        self.passed_over: list[str] = []

    def tell(self, progress: str) -> None:
        """As `engine.runner.Progress`."""
        self.progress = progress

    def built(self, engine: BuiltEngine) -> None:
        """What runs from now on: the backend, its libraries with their versions, and the better ones that do not
        work here."""
        self.backend, self.runtime = engine.backend, engine.backend_version
        self.passed_over = [line.partition(":")[0] for line in engine.fallbacks]
        self.progress = "warming up"
