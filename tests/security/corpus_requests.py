"""Requests of every form, broken in every place; each with the status and code of its answer."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.support import photo


@dataclass(frozen=True)
class Case:
    """A request and its answer."""

    name: str
    status: int
    method: str = "POST"
    path: str = "/infer?task=identity"
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    chunked: bool = False


PICTURE = photo()
TEXT = base64.b64encode(PICTURE).decode()
JPEG, JSON = {"Content-Type": "image/jpeg"}, {"Content-Type": "application/json"}
KEY = {"Authorization": "Bearer k"}
Cases = Iterator[Case]


def queries() -> Cases:
    for task, status in (
        ("identity", 200),
        ("IDENTITY", 404),
        ("identity%00", 404),
        ("%00", 404),
        ("identity%0d%0aX-Evil:%201", 404),
        ("..%2f..%2fetc%2fpasswd", 404),
        ("../identity", 404),
        ("identity/", 404),
        ("identity.", 404),
        ("%C4%B1dentity", 404),
        ("%ff%fe", 404),
        ("%F0%9F%90%88", 404),
        ("identity+identity+identity", 404),
        ("+", 404),
        ("", 400),
        ("x" * 5000, 400),
        ("__proto__", 404),
        ("$(id)", 404),
        ("%25s%25n", 404),
    ):
        yield Case(f"task {task[:40]}", status, path=f"/infer?task={task}", body=PICTURE, headers=JPEG)
    for query, status in (
        ("size=native", 200),
        ("size=Native", 400),
        ("size=", 400),
        ("size=native&size=original", 400),
        ("format=gif", 400),
        ("format=png%00", 400),
        ("refine=2", 400),
        ("threshold=0.5", 400),
        ("threshold=auto", 400),
        ("top_k=5", 400),
        ("top_k=NaN", 400),
        ("nonesuch=1", 400),
        ("&&&&", 200),
        ("=x", 400),
        ("a" * 3000 + "=1", 400),
        ("&".join(f"a{number}=1" for number in range(1500)), 400),
    ):
        yield Case(f"query {query[:40]}", status, path=f"/infer?task=identity&{query}", body=PICTURE, headers=JPEG)
    yield Case("no query", 400, path="/infer", body=PICTURE, headers=JPEG)


def headers() -> Cases:
    for kind, status in (
        ("image/jpeg", 200),
        ("IMAGE/JPEG", 200),
        ("image/jpeg; charset=utf-8", 200),
        ("image/nonesuch", 200),
        ("", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/octet-stream", 415),
        ("application/json; x=\xff", 400),
        ("multipart/form-data", 400),
        ("multipart/form-data; boundary=", 400),
        ("multipart/form-data; boundary=" + "x" * 3000, 400),
        ("multipart/mixed; boundary=x", 415),
    ):
        yield Case(f"content type {kind[:40]!r}", status, body=PICTURE, headers={"Content-Type": kind})
    for name, value, status in (
        ("Content-Encoding", "gzip", 415),
        ("Content-Encoding", "identity", 200),
        ("Accept", "*/*;q=0", 200),
        ("Accept", "," * 1000, 200),
        ("X-VTV-Timeout-Ms", "0", 504),
        ("X-VTV-Timeout-Ms", "-1", 400),
        ("X-VTV-Timeout-Ms", "1e9", 400),
        ("X-VTV-Timeout-Ms", "9" * 400, 400),
        ("X-VTV-Timeout-Ms", "\u0661".encode().decode("latin-1"), 400),
        ("X-Request-ID", "a" * 4000, 200),
        ("X-Request-ID", "a b\tc", 200),
        ("Expect", "100-continue", 200),
        ("Cookie", "x=" + "y" * 4000, 200),
        ("Range", "bytes=0-1", 200),
        ("traceparent", "00-0-0-zz", 200),
        ("If-None-Match", "*", 200),
    ):
        yield Case(f"{name}: {value[:30]!r}", status, body=PICTURE, headers=JPEG | {name: value})
    yield Case("a body in many chunks", 200, body=PICTURE, headers=JPEG, chunked=True)
    yield Case("no body", 400, headers=JPEG)
    for method, status in (
        ("GET", 405),
        ("PUT", 405),
        ("DELETE", 405),
        ("PATCH", 405),
        ("OPTIONS", 405),
        ("TRACE", 405),
    ):
        yield Case(f"{method} /infer", status, method, body=b"", headers=JPEG)


def documents() -> Cases:
    """JSON."""
    good: dict[str, Any] = {"task": "identity", "images": [TEXT]}
    for name, status, value in (
        ("as it should be", 200, good),
        ("a data URI", 200, good | {"images": [f"data:image/jpeg;base64,{TEXT}"]}),
        ("no task", 400, {"images": [TEXT]}),
        ("no images", 400, {"task": "identity"}),
        ("an empty list", 400, good | {"images": []}),
        ("one text in place of a list", 400, good | {"images": TEXT}),
        ("a list of lists", 400, good | {"images": [[TEXT]]}),
        ("null", 400, good | {"images": None}),
        ("numbers", 400, good | {"images": [1, 2]}),
        ("a thousand images", 400, good | {"images": ["AA=="] * 1000}),
        ("no base64", 422, good | {"images": ["%%%"]}),
        ("base64 of no picture", 422, good | {"images": ["aGVsbG8sIHdvcmxk"]}),
        ("an empty text", 422, good | {"images": [""]}),
        ("a mask too many", 400, good | {"masks": [TEXT, TEXT]}),
        ("a mask for a task without holes", 400, good | {"masks": [TEXT]}),
        ("an unknown field", 400, good | {"nonesuch": 1}),
        ("a task that is a number", 400, good | {"task": 5}),
        ("a task that is a list", 400, good | {"task": ["identity"]}),
        ("a task of another world", 404, good | {"task": "\U0001f408"}),
        ("a task of half a character", 400, good | {"task": "\ud800"}),
        ("a size that is true", 400, good | {"size": True}),
        ("a list", 400, [good]),
        ("a text", 400, "identity"),
        ("a number", 400, 7),
        ("null alone", 400, None),
        ("true", 400, True),
    ):
        yield Case(f"JSON, {name}", status, path="/infer", body=json.dumps(value).encode(), headers=JSON)
    start = f'{{"task": "identity", "images": ["{TEXT}"]'.encode()
    for name, status, body in (
        ("a hundred thousand brackets", 400, b"[" * 100_000),
        ("brackets that close", 400, b"[" * 50_000 + b"]" * 50_000),
        ("objects in objects", 400, b'{"a":' * 20_000 + b"1" + b"}" * 20_000),
        ("half", 400, start),
        ("nothing", 400, b""),
        ("a comma too many", 400, start + b",}"),
        ("two of them", 400, start + b"}" + start + b"}"),
        ("a number of 100,000 digits", 400, start + b', "size": ' + b"9" * 100_000 + b"}"),
        ("a number beyond all", 400, start + b', "size": 1e999999}'),
        ("NaN", 400, start + b', "size": NaN}'),
        ("Infinity", 400, start + b', "size": -Infinity}'),
        ("a name twice", 200, start + b', "task": "identity"}'),
        ("a name twice, the second unknown", 404, start + b', "task": "nonesuch"}'),
        ("a byte-order mark", 200, b"\xef\xbb\xbf" + start + b"}"),
        ("UTF-16, with its mark", 200, (start + b"}").decode().encode("utf-16")),
        ("UTF-16 without a mark", 400, (start + b"}").decode().encode("utf-16-le")),
        ("a mark of UTF-16 before UTF-8", 400, b"\xff\xfe" + start + b"}"),
        ("half a character of UTF-16", 400, b"\xff\xfe\0"),
        ("bytes that are no UTF-8", 400, b'{"task": "\xff\xfe"}'),
        ("a zero byte", 400, b'{"task": "\x00"}'),
        ("single quotes", 400, b"{'task': 'identity'}"),
        ("comments", 400, start + b"/* hello */}"),
        ("a hundred thousand keys", 400, b"{" + b",".join(b'"%d":1' % n for n in range(100_000)) + b"}"),
        ("a key of a megabyte", 400, b'{"' + b"k" * 1_000_000 + b'": 1}'),
        ("spaces", 200, b" " * 100_000 + start + b"}" + b"\n" * 100_000),
    ):
        yield Case(f"JSON, {name}", status, path="/infer", body=body, headers=JSON)


def part(name: str, content: bytes = PICTURE, disposition: str = "", more: str = "") -> bytes:
    said = disposition or f'form-data; name="{name}"; filename="a.jpg"'
    return f"--x\r\nContent-Disposition: {said}\r\n{more}\r\n".encode("latin-1", "replace") + content + b"\r\n"


def forms() -> Cases:
    end, task = b"--x--\r\n", part("task", b"identity", 'form-data; name="task"')
    good = task + part("image")
    for name, status, body in (
        ("as it should be", 200, good + end),
        ("without an end", 400, good),
        ("nothing but an end", 400, end),
        ("nothing", 400, b""),
        ("another boundary", 400, (good + end).replace(b"--x", b"--y")),
        ("line feeds alone", 400, (good + end).replace(b"\r\n", b"\n")),
        ("words before it", 400, b"hello\r\n" + good + end),
        ("words after it", 200, good + end + b"hello"),
        ("the task twice, the last counts", 200, task + good + end),
        ("the task as a file", 400, part("task", b"identity") + part("image") + end),
        ("the image as a field", 400, task + part("image", b"hello", 'form-data; name="image"') + end),
        ("an image without a file name", 400, task + part("image", PICTURE, 'form-data; name="image"') + end),
        ("an empty file name", 200, task + part("image", PICTURE, 'form-data; name="image"; filename=""') + end),
        ("an empty image", 422, task + part("image", b"") + end),
        ("no name", 400, task + part("", PICTURE, "form-data") + end),
        ("no disposition", 400, task + b"--x\r\n\r\nhello\r\n" + end),
        ("a disposition of nothing", 400, task + part("", PICTURE, ";;;") + end),
        ("a name of half a megabyte", 400, task + part("n" * 500_000) + end),
        ("a file name of a path", 200, task + part("", PICTURE, 'form-data; name="image"; filename="../../x"') + end),
        ("a file name of zeros", 200, task + part("", PICTURE, 'form-data; name="image"; filename="\0"') + end),
        ("a part's own headers", 200, task + part("image", more="X-Evil: 1\r\n" * 5) + end),
        ("a thousand headers of a part", 400, task + part("image", more="X-Evil: 1\r\n" * 1000) + end),
        ("a transfer encoding", 200, task + part("image", more="Content-Transfer-Encoding: binary\r\n") + end),
        ("a form in a form", 422, task + part("image", b"--y\r\n\r\nhello\r\n--y--\r\n") + end),
        ("an unknown field", 400, good + part("nonesuch", b"1", 'form-data; name="nonesuch"') + end),
        ("ten thousand fields", 400, part("a", b"1", 'form-data; name="a"') * 10_000 + end),
        ("ten thousand files", 400, task + part("image", b"1") * 10_000 + end),
        ("forty images", 400, task + part("image") * 40 + end),
        ("a mask for a task without holes", 400, good + part("mask") + end),
        ("one half of an example", 400, part("image") + part("example_input") + end),
        ("an example and a task", 400, good + part("example_input") + part("example_output") + end),
        ("an example", 200, part("image") + part("example_input") + part("example_output") + end),
        (
            "an example of rubbish",
            422,
            part("image") + part("example_input", b"rubbish, as it were") + part("example_output") + end,
        ),
    ):
        yield Case(
            f"form, {name}",
            status,
            path="/infer",
            body=body,
            headers={"Content-Type": "multipart/form-data; boundary=x"},
        )


def tensors() -> Cases:
    pixels = [[[[1, 2, 3]] * 16] * 16]

    def asked(**changes: Any) -> dict[str, Any]:
        return {"inputs": [{"name": "image", "datatype": "UINT8", "shape": [1, 16, 16, 3], "data": pixels} | changes]}

    path = "/v2/models/identity/infer"
    for name, status, value in (
        ("as it should be", 200, asked()),
        ("a shape of three", 400, asked(shape=[16, 16, 3])),
        ("a shape of five", 400, asked(shape=[1, 1, 16, 16, 3])),
        ("a shape of nothing", 400, asked(shape=[])),
        ("a negative shape", 400, asked(shape=[1, -16, -16, 3])),
        ("a shape of zeros", 400, asked(shape=[1, 0, 0, 3])),
        ("no pictures", 400, asked(shape=[0, 16, 16, 3])),
        ("a shape beyond all numbers", 422, asked(shape=[1, 10**30, 1, 3])),
        ("a shape of fractions", 400, asked(shape=[1, 16.5, 16, 3])),
        ("a shape in words", 400, asked(shape=["a"])),
        ("four channels", 400, asked(shape=[1, 16, 12, 4])),
        ("a ribbon", 422, asked(shape=[1, 256, 1, 3])),
        ("fewer values than it says", 400, asked(shape=[1, 17, 16, 3])),
        ("values beyond a byte", 400, asked(data=[256] * 768)),
        ("negative values", 400, asked(data=[-1] * 768)),
        ("fractions", 400, asked(data=[0.5] * 768)),
        ("texts", 400, asked(data=["1"] * 768)),
        ("a jagged list", 400, asked(data=[[1, 2], [3]])),
        ("null", 400, asked(data=None)),
        ("FP32", 400, asked(datatype="FP32")),
        ("no datatype", 400, {"inputs": [{"name": "image", "shape": [1, 16, 16, 3], "data": pixels}]}),
        ("another name", 400, asked(name="picture")),
        ("no inputs", 400, {"inputs": []}),
        ("the input twice", 400, {"inputs": asked()["inputs"] * 2}),
        ("an output that is none", 400, asked() | {"outputs": [{"name": "nonesuch"}]}),
        ("an output twice", 400, asked() | {"outputs": [{"name": "answer"}] * 2}),
        ("BYTES of texts", 200, {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": [TEXT]}]}),
        ("BYTES of numbers", 400, {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": [5]}]}),
        ("BYTES of no base64", 422, {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": ["%"]}]}),
        ("binary data that is not there", 400, asked(data=None, parameters={"binary_data_size": 768})),
        ("a binary size below nothing", 400, asked(data=None, parameters={"binary_data_size": -1})),
        ("a binary size in words", 400, asked(data=None, parameters={"binary_data_size": "768"})),
    ):
        yield Case(f"tensors, {name}", status, path=path, body=json.dumps(value).encode(), headers=JSON)
    head = json.dumps(asked(data=None, parameters={"binary_data_size": 768})).replace('"data": null, ', "").encode()
    length = "Inference-Header-Content-Length"
    for name, status, size in (
        ("as it should be", 200, str(len(head))),
        ("beyond the body", 400, "99999999"),
        ("below nothing", 400, "-1"),
        ("of words", 400, "x"),
        ("of many digits", 400, "1" * 5000),
        ("one too short", 400, str(len(head) - 1)),
        ("one too long", 400, str(len(head) + 1)),
        ("nothing", 400, "0"),
    ):
        yield Case(
            f"tensors, a header size {name}", status, path=path, body=head + bytes(768), headers=JSON | {length: size}
        )
    for task in ("nonesuch", "%00", "..%2f..", "identity%2f", "%F0%9F%90%88"):
        yield Case(f"tensors of task {task}", 404, path=f"/v2/models/{task}/infer", body=b"{}", headers=JSON)


def changes() -> Cases:
    """Of tasks."""
    for name, status, task, body, headers in (
        ("nobody's", 401, "identity", b"x", {}),
        ("with a wrong key", 401, "identity", b"x", {"Authorization": "Bearer x"}),
        ("of nothing", 400, "identity", b"", KEY),
        ("of rubbish", 400, "identity", b"rubbish" * 100, KEY),
        ("of a header beyond all numbers", 400, "identity", b"\xff" * 8 + b"{}", KEY),
        ("of an empty header", 400, "identity", bytes(8), KEY),
        ("of a picture", 400, "identity", PICTURE, KEY),
        ("under a name of dots", 400, "..", b"x", KEY),
        ("under a name of a slash", 404, "a%2fb", b"x", KEY),
        ("under a name of zeros", 400, "%00", b"x", KEY),
        ("under a name of 65", 400, "x" * 65, b"x", KEY),
        ("under no ASCII", 400, "%C3%A4", b"x", KEY),
    ):
        yield Case(f"an install {name}", status, "PUT", f"/tasks/{task}", body, headers)
    for task, status in (("nonesuch", 404), ("..", 404), ("%00", 404), ("x" * 300, 404)):
        yield Case(f"a removal of {task[:20]}", status, "DELETE", f"/tasks/{task}", headers=KEY)
    teach = KEY | {"Content-Type": "multipart/form-data; boundary=x"}
    for name, status, body in (
        ("of nothing", 400, b""),
        ("of one pair", 400, part("input") + part("output") + b"--x--\r\n"),
        ("of inputs alone", 400, part("input") * 3 + b"--x--\r\n"),
        ("of rubbish", 400, b"rubbish"),
    ):
        yield Case(f"a lesson {name}", status, path="/tasks/new/teach", body=body, headers=teach)
    yield Case("a lesson as JSON", 415, path="/tasks/new/teach", body=b"{}", headers=KEY | JSON)
    for path, status in (
        ("/jobs/nonesuch", 404),
        ("/jobs/%00", 404),
        ("/jobs/..%2f..", 404),
        ("/tasks/%00", 404),
        ("/tasks/..%2f..%2fetc", 404),
        ("/static/..%2f..%2fsettings.py", 404),
        ("//infer", 404),
        ("/%2e%2e/%2e%2e/etc/passwd", 404),
        ("/nonesuch", 404),
    ):
        yield Case(f"GET {path}", status, "GET", path, headers=KEY)


def requests() -> Cases:
    for group in (queries, headers, documents, forms, tensors, changes):
        yield from group()
