"""Our own server on the simulated accelerator: `python -m benchmarks.peers.ours --accelerator LOCKFILE`.

The application is the product's own, made by its public factory; only the engine is another.
"""

import argparse
import os
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import uvicorn

from benchmarks.peers.simulated import SimulatedEngine, make_store
from engine.runtime import Engine
from service.app import create_app
from service.server import DrainingServer
from service.settings import Settings


def main() -> None:
    """Serve on a port of the system's choice until told to stop; a line on standard error tells the address."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accelerator", type=Path, required=True, help="the lock file that stands for it")
    lock_file = parser.parse_args().accelerator
    with TemporaryDirectory() as directory:
        store = make_store(Path(directory))
        load = cast(partial[Engine], partial(SimulatedEngine, lock_file))  # all of Engine that the service uses
        app = create_app(load(), load, store, Settings.load(os.environ, store=store.root))
        config = uvicorn.Config(app, port=0, access_log=False, log_config=None, server_header=False)
        AnnouncingServer(config, app.state.pipeline, drain_seconds=5).run()


class AnnouncingServer(DrainingServer):
    """Says where it listens."""

    def _log_started_message(self, listeners: object) -> None:
        port = self.servers[0].sockets[0].getsockname()[1]
        os.write(2, f"listening on http://127.0.0.1:{port}\n".encode())


if __name__ == "__main__":
    main()
