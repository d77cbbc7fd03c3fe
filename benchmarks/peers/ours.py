"""Our own server on the simulated accelerator: `python -m benchmarks.peers.ours PORT --accelerator LOCKFILE`.

The application is the product's own, made by its public factory; only the engine is another.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.peers.simulated import SimulatedEngine, make_store
from service.app import create_app
from service.server import DrainingServer, http_config
from service.settings import Settings


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accelerator", type=Path, required=True, help="the lock file that stands for it")
    parser.add_argument("port", type=int)
    asked = parser.parse_args()
    with TemporaryDirectory() as directory:
        store = make_store(Path(directory))
        engine = SimulatedEngine(asked.accelerator)
        settings = Settings.load(store=store.root)
        app = create_app(engine, lambda progress: engine, store, settings)
        DrainingServer(http_config(app, settings, port=asked.port), app.state.pipeline, drain_seconds=5).run()


if __name__ == "__main__":
    main()
