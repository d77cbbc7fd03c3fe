"""A real Prometheus in a process of its own, with the committed configuration pointed at a test's server."""

import json
import math
import socket
import subprocess
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.support import PATIENCE, wait_until

MONITORING = Path(__file__).parents[2] / "deploy" / "monitoring"
CONFIG = MONITORING / "prometheus" / "prometheus.yml"
RULES = sorted((MONITORING / "prometheus" / "rules").glob("*.yml"))
_SCRAPE_SECONDS = "200ms"


def rules() -> list[dict[str, Any]]:
    """Every rule of the committed files."""
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


class Prometheus:
    """Scrapes `target` several times a second until stopped."""

    def __init__(self, target: str, directory: Path) -> None:
        config = yaml.safe_load(CONFIG.read_text())
        config["global"] = dict.fromkeys(("scrape_interval", "scrape_timeout", "evaluation_interval"), _SCRAPE_SECONDS)
        config["rule_files"] = [str(path) for path in RULES]
        config["scrape_configs"][0]["static_configs"][0]["targets"] = [target.removeprefix("http://")]
        path = directory / "prometheus.yml"
        path.write_text(yaml.safe_dump(config))
        port = _free_port()
        self._log = (directory / "log").open("w")
        self._process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={path}",
                f"--storage.tsdb.path={directory / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stderr=self._log,
        )
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=PATIENCE)
        wait_until(self._is_ready, "Prometheus")

    def _is_ready(self) -> bool:
        assert self._process.poll() is None, Path(self._log.name).read_text()
        try:
            return self.client.get("/-/ready").status_code == 200
        except httpx.TransportError:
            return False

    def get(self, path: str, **query: str) -> Any:
        """The data of a reply of Prometheus's API."""
        reply = self.client.get(f"/api/v1/{path}", params=query).json()
        assert reply["status"] == "success", reply
        return reply["data"]

    def values(self, expression: str) -> list[float]:
        """What an expression is right now; values that are no numbers are left out."""
        data = self.get("query", query=expression)
        samples = [data] if data["resultType"] == "scalar" else data["result"]
        found = [float(sample["value"][1]) for sample in samples]
        return [value for value in found if not math.isnan(value)]

    def stop(self) -> None:
        self.client.close()
        self._process.terminate()
        self._process.wait(PATIENCE)
        self._log.close()


def dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((MONITORING / "grafana" / "dashboards" / "vtv.json").read_text())
    return loaded


def _free_port() -> int:
    """Prometheus cannot say which port the system chose for it."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
