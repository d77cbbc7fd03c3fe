"""Who is compared, and how each is spoken to."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from benchmarks.peers import wire

OURS: Final = "vtv"
_HERE: Final = Path(str(files("benchmarks.peers")))


@dataclass(frozen=True, slots=True)
class Peer:
    """A server; its module under `benchmarks.peers.servers` takes the port as its argument."""

    name: str
    module: str
    build: wire.Build = wire.raw
    read: wire.Read = wire.whole
    port_flag: str | None = None
    """Where the port is not the first argument."""
    arguments: tuple[str, ...] = ()
    """Behind the port."""
    library: str = ""
    """Where it is not the name: several settings of one library are compared."""

    @property
    def environment(self) -> str:
        """The name of its environment."""
        return self.library or self.name

    @property
    def requirements(self) -> Path:
        """What its environment holds."""
        return _HERE / "requirements" / f"{self.environment}.txt"


PEERS: Final = {
    peer.name: peer
    for peer in (
        Peer("fastapi", "plain_fastapi", wire.form),
        Peer("litserve", "litserve_server", wire.form),
        Peer("litserve-2-workers", "litserve_server", wire.form, arguments=("2",), library="litserve"),
        Peer("mosec", "mosec_server", wire.msgpack, port_flag="--port"),
        Peer("ray", "ray_server"),
        Peer("bentoml", "bentoml_server", wire.form),
        Peer("pytriton", "pytriton_server", wire.open_inference, wire.after_json),
    )
}
