"""moto's S3 server, in a process of its own, on a port of the system's choice."""

import re
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Mapping

from tests.support import wait_until

BUCKET = "bucket"


class S3Server:
    """Started when made; holds one empty bucket."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", "0"]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        wait_until(lambda: bool(self._found()), "the S3 server's start")
        self.port = int(self._found()[0])
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.make_bucket()

    def make_bucket(self) -> None:
        urllib.request.urlopen(urllib.request.Request(f"{self.endpoint}/{BUCKET}", method="PUT")).close()

    def wipe(self) -> None:
        """The bucket is there, with nothing in it."""
        urllib.request.urlopen(urllib.request.Request(f"{self.endpoint}/moto-api/reset", method="POST")).close()
        self.make_bucket()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()
        self._reader.join()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if len(self._lines) < 20:  # of its log only the start is of use
                self._lines.append(line)
        self._process.stderr.close()

    def _found(self) -> list[str]:
        return re.findall(r"Running on http://127\.0\.0\.1:(\d+)", "".join(self._lines))


def environment(endpoint: str) -> Mapping[str, str]:
    """What tells the library where its S3 is."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
    }
