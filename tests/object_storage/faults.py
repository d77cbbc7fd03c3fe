"""A proxy before an object store that fails on purpose."""

import http.client
import random
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

Fault = Literal["500", "503", "hang", "reset", "truncate", "lost_answer", "stale_list", "empty_list", "gone"]
HANG_SECONDS = 2.0
"""Longer than the tests' clients wait."""
_SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
_EMPTY = (
    b'<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    b"<Name>bucket</Name><Prefix></Prefix><KeyCount>0</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>"
    b"</ListBucketResult>"
)


class FaultyProxy:
    """Hands requests on to a server on this machine, but for those that are to fail.

    `log` holds method and path of each. `script` names faults for the next requests, one each. Of all others those fail
    whose path contains `only`: with the fault `always`, or a share `chance` of them with one of `kinds`.
    """

    def __init__(self, port: int) -> None:
        self.upstream = port
        self.log: list[tuple[str, str]] = []
        self.script: deque[Fault | None] = deque()
        self.always: Fault | None = None
        self.only, self.chance, self.draw = "", 0.0, random.Random(0)
        self.kinds: tuple[Fault, ...] = ("500",)
        self.lists: dict[str, bytes] = {}
        self.lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"

    def heal(self) -> None:
        """From now on nothing fails."""
        self.script.clear()
        self.always, self.only, self.chance = None, "", 0.0

    def next_fault(self, path: str) -> Fault | None:
        with self.lock:
            if self.script:
                return self.script.popleft()
            if self.only not in path:
                return None
            if self.always is not None:
                return self.always
            return self.draw.choice(self.kinds) if self.draw.random() < self.chance else None

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(proxy: FaultyProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            self._answer(proxy.next_fault(self.path))

        def _answer(self, fault: Fault | None) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            proxy.log.append((self.command, self.path))
            match fault:
                case "500":
                    self._reply(500, b"<Error><Code>InternalError</Code></Error>")
                case "503":
                    self._reply(503, _SLOW_DOWN)
                case "hang":
                    time.sleep(HANG_SECONDS)
                    self._cut()
                case "reset":
                    self._cut()
                case "gone":
                    self._reply(404, b"<Error><Code>NoSuchKey</Code></Error>")
                case "empty_list" if "list-type" in self.path:
                    self._reply(200, _EMPTY)
                case "stale_list" if self.path in proxy.lists:
                    self._reply(200, proxy.lists[self.path])
                case _:
                    self._forward(body, fault)

        def _forward(self, body: bytes, fault: Fault | None) -> None:
            upstream = http.client.HTTPConnection("127.0.0.1", proxy.upstream, timeout=60)
            try:
                upstream.request(self.command, self.path, body, dict(self.headers))
                answer = upstream.getresponse()
                content = answer.read()
            finally:
                upstream.close()
            if fault == "lost_answer":
                self._cut()
                return
            if "list-type" in self.path and answer.status == 200:
                proxy.lists.setdefault(self.path, content)
            headers = {
                name: value
                for name, value in answer.getheaders()
                if name.lower() not in ("content-length", "connection", "transfer-encoding", "date", "server")
            }
            if self.command == "HEAD":
                headers["Content-Length"] = answer.headers.get("Content-Length", "0")
            self._reply(answer.status, content, headers, cut=fault == "truncate")

        def _reply(self, status: int, content: bytes, headers: dict[str, str] | None = None, cut: bool = False) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            if self.command != "HEAD":
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content[: len(content) // 2] if cut else content)
            if cut:
                self._cut()

        def _cut(self) -> None:
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    for method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
        setattr(Handler, f"do_{method}", Handler._handle)
    return Handler
