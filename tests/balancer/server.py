"""`vtv serve`, but for an accelerator that is simulated: answers are the model's own, at the pace of a device that
takes the processor no time. So three servers share two cores, and what they answer at best is known.
"""

import time
from collections.abc import Sequence
from typing import Any

from artifacts.store.open import open_store
from engine.geometry import Pixels
from engine.runner import Pending, Progress
from engine.runtime import Engine
from service.app import create_app
from service.server import DrainingServer, engine_plan, http_config
from service.settings import Settings
from service.telemetry.access_log import log_to_stderr

FIXED_SECONDS, IMAGE_SECONDS = 0.02, 0.04


def paced(engine: Engine) -> Engine:
    """The same engine, whose batches take as long as the accelerator's."""
    submit = engine.submit

    def slower(program: Any, pixels: Pixels, slots: Sequence[int] = ()) -> Pending:
        ready = time.monotonic() + FIXED_SECONDS + IMAGE_SECONDS * len(pixels)
        pending = submit(program, pixels, slots)
        time.sleep(max(0.0, ready - time.monotonic()))
        return pending

    engine.submit = slower  # type: ignore[method-assign]
    return engine


def main() -> None:
    """By the usual VTV_ variables, until told to stop."""
    settings = Settings.load()
    log_to_stderr(settings.log_format)
    plan = engine_plan(settings)

    def build(progress: Progress) -> Engine:
        return paced(plan.build(progress))

    app = create_app(plan, build, open_store(settings.store), settings)
    config = http_config(app, settings, host=settings.host, port=settings.port)
    DrainingServer(config, app.state.pipeline, settings.drain_seconds).run()


if __name__ == "__main__":
    main()
