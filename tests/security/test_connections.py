"""What a connection may cost: headers, time, numbers; and that whoever opens thousands takes them from itself."""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from time import monotonic, sleep

import pytest

from tests.security.test_hostile_pictures import Growth
from tests.support import ServerProcess, photo, wait_until

MORE = (
    b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"CONNECT /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
)
HEAD = b"POST /infer?task=identity HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"


@pytest.fixture(scope="module")
def strict(start_server: Callable[..., ServerProcess]) -> ServerProcess:
    """Limits that are soon reached."""
    return start_server(
        max_connections="40",
        header_seconds="1",
        body_seconds="1.5",
        keep_alive_seconds="30",
        max_headers="20",
        max_header_bytes="4096",
        queue_limit="8",
        client_share="0.5",
    )


@pytest.fixture(scope="module")
def proxied(start_server: Callable[..., ServerProcess]) -> ServerProcess:
    """Behind a proxy, under a name of its own, with room for few bodies."""
    return start_server(
        trusted_proxies="127.0.0.1",
        queue_limit="8",
        client_share="0.5",
        allowed_hosts="api.example,127.0.0.1",
        max_bytes_in_hand=str(8 * 2**20),
    )


def connect(server: ServerProcess) -> socket.socket:
    host, port = server.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=30)


def said(connection: socket.socket) -> bytes:
    """All that comes until the server closes."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionError:
        pass
    return b"".join(parts)


def is_closed_while_sending(connection: socket.socket, part: bytes, pause: float = 0.0) -> bool:
    """Whether the server closes a connection that sends a part again and again, for 20 seconds at most."""
    began = monotonic()
    try:
        while monotonic() - began < 20:
            connection.sendall(part)
            sleep(pause)
    except OSError:
        return True
    return False


@pytest.fixture(autouse=True)
def honest_clients_are_served(strict: ServerProcess) -> Iterator[None]:
    yield
    assert strict.infer("identity", photo()).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [b"a:b\r\n" * 21, b"x: " + b"y" * 5000 + b"\r\n", b"a:b\r\n" * 5000, b"x" * 5000 + b": y\r\n"],
    ids=["too many", "one too long", "far too many", "a name too long"],
)
def test_headers_beyond_the_limits_are_refused(strict: ServerProcess, headers: bytes) -> None:
    before = strict.metric("vtv_connections_dropped_total", reason="header_size")
    with connect(strict) as connection:
        connection.sendall(HEAD + headers + b"\r\n")
        reply = said(connection)
    assert reply.startswith(b"HTTP/1.1 431 ") or reply == b""
    wait_until(lambda: strict.metric("vtv_connections_dropped_total", reason="header_size") == before + 1)


def test_an_address_beyond_the_limit_is_refused(strict: ServerProcess) -> None:
    with connect(strict) as connection:
        connection.sendall(b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert said(connection).startswith(b"HTTP/1.1 431 ")


def test_an_endless_header_costs_neither_memory_nor_anybodys_time(strict: ServerProcess) -> None:
    growth = Growth(strict)
    with connect(strict) as connection:
        connection.sendall(HEAD)
        assert is_closed_while_sending(connection, b"a:b\r\n" * 1000)
    assert growth.most() < 50 * 2**20


def test_what_does_not_come_is_not_waited_for(strict: ServerProcess) -> None:
    began = monotonic()
    with ExitStack() as stack:
        connections = []
        for sent in (b"", HEAD, b"G", HEAD + b"Content-Length: 10\r\n\r\nabc", b"\r\n" * 10):
            connections.append(stack.enter_context(connect(strict)))
            connections[-1].sendall(sent)
        replies = [said(connection) for connection in connections]
    assert 0.5 < monotonic() - began < 10
    assert [reply[:13] for reply in replies] == [b"HTTP/1.1 408 "] * len(replies)


def test_a_body_that_trickles_is_not_waited_for(strict: ServerProcess) -> None:
    with connect(strict) as connection:
        connection.sendall(HEAD + b"Content-Length: 100000\r\n\r\n")
        assert is_closed_while_sending(connection, b"x", pause=0.05)


def test_an_idle_connection_is_kept(strict: ServerProcess) -> None:
    with connect(strict) as connection:
        for pause in (0, 2):  # longer than a header or a body may take
            sleep(pause)
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_who_opens_thousands_takes_them_from_itself(strict: ServerProcess) -> None:
    answered = strict.infer("identity", photo()).content  # a connection that has finished a request
    with ExitStack() as stack:
        for number in range(150):
            connection = stack.enter_context(connect(strict))
            try:
                connection.sendall(HEAD[: number % len(HEAD)])
            except OSError:
                continue
        for _ in range(20):
            assert strict.infer("identity", photo()).content == answered
            assert strict.client.get("/readyz").status_code == 200
        assert strict.metric("vtv_connections") <= 41
    assert strict.metric("vtv_connections_dropped_total", reason="evicted") >= 100


@pytest.mark.parametrize("method", [b"POST", b"GET"])
@pytest.mark.parametrize("protocol", [b"websocket", b"h2c"])
def test_a_wish_for_another_protocol_is_answered_in_this_one(
    strict: ServerProcess, method: bytes, protocol: bytes
) -> None:
    body = photo() if method == b"POST" else b""
    upgrade = b"Connection: Upgrade\r\nUpgrade: " + protocol + b"\r\nContent-Length: %d\r\n\r\n" % len(body)
    with connect(strict) as connection:
        began = monotonic()
        connection.sendall(HEAD.replace(b"POST", method) + upgrade + body)
        reply = connection.recv(65536)
    assert monotonic() - began < 10
    assert reply.split(b" ")[1] == (b"200" if method == b"POST" else b"405")


@pytest.mark.parametrize("protocol", [b"websocket", b"h2c"])
def test_a_wish_for_another_protocol_may_come_in_pieces_and_with_more_behind_it(
    strict: ServerProcess, protocol: bytes
) -> None:
    wish = HEAD + b"Connection: Upgrade\r\nUpgrade: " + protocol + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
    request = wish + b"%x\r\n%s\r\n0\r\n\r\n" % (len(photo()), photo())
    for pieces in ([request * 3], [request[at : at + 100] for at in range(0, len(request), 100)] * 3):
        with connect(strict) as connection:
            for piece in pieces:
                connection.sendall(piece)
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert said(connection).count(b"HTTP/1.1 200 OK") == 4


@pytest.mark.parametrize("what", [b"0\r\nX: ", b"0\r\n", b"1;x=", b""], ids=["trailer", "name", "extension", "size"])
def test_what_comes_beside_a_body_is_bounded_as_a_head_is(strict: ServerProcess, what: bytes) -> None:
    growth = Growth(strict)
    with connect(strict) as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n" + what)
        assert is_closed_while_sending(connection, b"0" * 50_000)
    assert growth.most() < 50 * 2**20


def test_chunks_of_one_byte_are_a_body(strict: ServerProcess) -> None:
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in photo())
    with connect(strict) as connection:
        connection.sendall(HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
        assert said(connection).startswith(b"HTTP/1.1 200 ")


def test_chunks_of_one_byte_without_end_are_refused(strict: ServerProcess) -> None:
    before = strict.metric("vtv_connections_dropped_total", reason="tiny_chunks")
    with connect(strict) as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        assert is_closed_while_sending(connection, b"1\r\nx\r\n" * 1000)
    assert strict.metric("vtv_connections_dropped_total", reason="tiny_chunks") == before + 1


def test_who_asks_on_and_never_reads_is_stopped(strict: ServerProcess) -> None:
    growth = Growth(strict)
    before = strict.metric("vtv_connections_dropped_total", reason="pipelined")
    with connect(strict) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50)
        wait_until(lambda: connection.recv(65536, socket.MSG_PEEK).count(b"HTTP/1.1 200 OK") == 50)
    with connect(strict) as connection:
        assert is_closed_while_sending(connection, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 500)
    assert strict.metric("vtv_connections_dropped_total", reason="pipelined") == before + 1
    assert growth.most() < 50 * 2**20
    assert "Traceback" not in strict.log


def test_answers_that_are_not_read_are_not_kept_for_ever(strict: ServerProcess) -> None:
    """Nor is what waits behind them."""
    growth = Growth(strict)
    before = strict.metric("vtv_connections_dropped_total", reason="unread")
    with ExitStack() as stack:
        for end in (b"", b"Connection: close\r\n"):
            connection = stack.enter_context(narrow(strict))
            ask = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n"
            connection.sendall((ask + b"\r\n") * 90 + ask + end + b"\r\n")
        wait_until(lambda: strict.metric("vtv_connections_dropped_total", reason="unread") == before + 2)
    assert growth.most() < 50 * 2**20


def test_answers_that_are_read_slowly_are_read_to_their_end(strict: ServerProcess) -> None:
    """For longer than a body may take."""
    began, read, count = monotonic(), b"", 40
    with narrow(strict, 32 * 1024) as connection:
        connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * count)
        while read.count(b"HTTP/1.1 200 OK") < count:
            sleep(0.02)
            part = connection.recv(65536)
            assert part
            read += part
    assert monotonic() - began > 2


def narrow(server: ServerProcess, room: int = 4096) -> socket.socket:
    """A connection whose client takes in `room` bytes before they are read."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    connection.settimeout(30)
    host, port = server.url.removeprefix("http://").split(":")
    connection.connect((host, int(port)))
    return connection


def test_spaces_behind_a_header_are_none_of_it(strict: ServerProcess) -> None:
    body = photo()
    spaced = HEAD.replace(b"localhost", b"localhost \t") + b"Content-Length: %d  \r\nConnection: close\r\n\r\n" % len(
        body
    )
    with connect(strict) as connection:
        connection.sendall(spaced + body)
        assert said(connection).startswith(b"HTTP/1.1 200 ")


def test_a_body_packed_for_its_way_is_not_understood(strict: ServerProcess) -> None:
    packed = HEAD + b"Connection: close\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
    with connect(strict) as connection:
        connection.sendall(packed)
        assert said(connection).startswith(b"HTTP/1.1 415 ")


@pytest.mark.parametrize(
    "line", [b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00", b"hello\r\n\r\n", b"GET\r\n\r\n", *MORE]
)
def test_what_is_no_http_is_told_so(strict: ServerProcess, line: bytes) -> None:
    with connect(strict) as connection:
        connection.sendall(line)
        assert said(connection).startswith(b"HTTP/1.1 400 ")


def test_hosts_that_are_not_ours_are_refused(strict: ServerProcess, proxied: ServerProcess) -> None:
    for server, good, bad in (
        (
            strict,
            ("localhost:1", "LOCALHOST", "localhost.", "127.0.0.1", "[::1]:80"),
            ("evil.example", "localhost.evil.example", "localhost..", ""),
        ),
        (proxied, ("api.example", "API.example:443"), ("localhost", "127.0.0.2")),
    ):
        for host, status in (*((host, b"200") for host in good), *((host, b"400") for host in bad)):
            with connect(server) as connection:
                connection.sendall(f"GET /tasks HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
                assert said(connection).split(b" ")[1] == status, host


@pytest.mark.slow
def test_forwarded_addresses_are_believed_of_proxies_alone(strict: ServerProcess, proxied: ServerProcess) -> None:
    """Seen in shares of the queue: a client's own is full where its address is believed, or none is."""
    slow = [("image", (str(i), photo(2000, 2000, file_format="PNG"))) for i in range(4)]
    for server, second in ((proxied, 200), (strict, 429)):
        form = {"task": "identity", "size": "original"}
        headers = {"X-Forwarded-For": "192.0.2.1"}
        sent = {"data": form, "files": slow, "headers": headers}
        asking = threading.Thread(target=server.client.post, args=("/infer",), kwargs=sent)
        asking.start()
        wait_until(lambda server=server: server.metric("vtv_queue_depth") == 4)
        asked = {"Content-Type": "image/jpeg", "X-Forwarded-For": "192.0.2.2"}
        again = server.client.post("/infer?task=identity", content=photo(), headers=asked | headers)
        reply = server.client.post("/infer?task=identity", content=photo(), headers=asked)
        assert (again.status_code, reply.status_code) == (429, second)
        asking.join()


@pytest.mark.slow
def test_bodies_of_all_requests_together_are_bounded(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server(max_bytes_in_hand=str(128 * 2**20), codec_processes="1")
    growth, body = Growth(server), photo()[:-2] + bytes(31 * 2**20)
    statuses: list[int] = []

    def ask() -> None:
        headers = {"Content-Type": "image/jpeg"}
        statuses.append(server.client.post("/infer?task=identity", content=body, headers=headers).status_code)

    clients = [threading.Thread(target=ask) for _ in range(12)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert len(statuses) == 12
    assert growth.most() < 500 * 2**20


def test_bodies_of_unknown_length_do_not_wait_for_each_other(proxied: ServerProcess) -> None:
    """Each has a part of the budget that they all need, and none is whole."""
    body, statuses, all_begun = photo() + bytes(5 * 2**20), list[int](), threading.Barrier(4)

    def parts() -> Iterator[bytes]:
        yield body[: 2**20]
        all_begun.wait()
        for at in range(2**20, len(body), 2**18):
            yield body[at : at + 2**18]

    def ask() -> None:
        headers = {"Content-Type": "image/jpeg", "X-VTV-Timeout-Ms": "20000"}
        statuses.append(proxied.client.post("/infer?task=identity", content=parts(), headers=headers).status_code)

    clients = [threading.Thread(target=ask) for _ in range(4)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert statuses == [200] * 4


@pytest.fixture
def heard_hangups() -> Iterator[None]:
    """A server that is started as `nohup` does ignores SIGHUP; so do tests that were."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("heard_hangups")
@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP])
def test_an_idle_server_says_503_before_it_goes(
    start_server: Callable[..., ServerProcess], how: signal.Signals
) -> None:
    server = start_server(drain_notice_seconds="3")
    server.process.send_signal(how)
    wait_until(lambda: server.client.get("/readyz").status_code == 503)
    sleep(1)
    assert server.client.get("/readyz").status_code == 503
    assert server.process.wait(30) == 0


@pytest.mark.slow
def test_an_interrupted_server_goes_at_once(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server(drain_notice_seconds="20")
    began = monotonic()
    assert server.stop(signal.SIGINT) == 130
    assert monotonic() - began < 10


def test_bodies_that_are_not_whole_are_told_that_the_server_stops(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server()
    with connect(server) as idle, connect(server) as uploading:
        uploading.sendall(HEAD + b"Content-Length: 100000\r\n\r\nabc")
        wait_until(lambda: server.metric("vtv_connections") == 3)
        server.process.send_signal(signal.SIGTERM)
        assert said(uploading).startswith(b"HTTP/1.1 503 ")
        assert said(idle) == b"", "a reply would be taken for that to a request just sent"
    assert server.process.wait(30) == 0
    assert "Traceback" not in server.log
