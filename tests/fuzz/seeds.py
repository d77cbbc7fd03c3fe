"""Small right inputs of each target, from which the fuzzer begins: `python -m tests.fuzz.seeds` writes them."""

import base64
import io
import json
import pickle
import struct
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from artifacts.store.artifact import save_artifact
from engine.task_vector import TaskVector
from tests.fuzz.targets import BOUNDARY, TARGETS
from tests.support import make_residual

SEEDS = Path(__file__).parent / "seeds"


def pictures() -> list[bytes]:
    found = []
    draw = np.random.default_rng(0)
    for file_format, mode, options in (
        ("PNG", "RGB", {}),
        ("PNG", "RGBA", {}),
        ("PNG", "P", {}),
        ("PNG", "L", {}),
        ("PNG", "1", {}),
        ("PNG", "I;16", {}),
        ("JPEG", "RGB", {}),
        ("JPEG", "L", {}),
        ("JPEG", "CMYK", {}),
        ("JPEG", "RGB", {"progressive": True}),
        ("WEBP", "RGB", {}),
        ("WEBP", "RGBA", {"lossless": True}),
    ):
        noise = Image.fromarray(draw.integers(0, 256, (9, 7, 3), np.uint8))
        picture = Image.fromarray(np.zeros((9, 7), np.uint16)) if mode == "I;16" else noise.convert(mode)
        exif = Image.Exif()
        exif[0x0112] = 6
        buffer = io.BytesIO()
        picture.save(buffer, file_format, exif=exif.tobytes(), **options)
        found.append(buffer.getvalue())
    return found


def forms(file: bytes) -> list[bytes]:
    def part(name: str, content: bytes, more: str = "") -> bytes:
        return (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + content + b"\r\n"
        )

    end, picture = f"--{BOUNDARY}--\r\n".encode(), '; filename="a.png"\r\nContent-Type: image/png'
    one = part("task", b"identity") + part("image", file, picture)
    return [
        one + end,
        one + part("size", b"original") + part("format", b"webp") + part("mask", file, picture) + end,
        part("example_input", file, picture)
        + part("example_output", file, picture)
        + part("image", file, picture)
        + end,
    ]


def vector() -> bytes:
    values = torch.zeros(1, 2, 1, 2)
    small = TaskVector(values, values[..., 0] == 0, values, values[..., 0] == 0, "zero_shot", "f" * 64)
    keys = ("granularity", "method", "prompts", "dataset", "created", "code")
    about = dict.fromkeys(keys, "x") | {"task": "t", "seed": "0", "metric": "{}"}
    with tempfile.TemporaryDirectory() as folder:
        save_artifact(Path(folder) / "a", small, about)
        return (Path(folder) / "a").read_bytes()


def residual() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        make_residual(Path(folder) / "a", "t", "f" * 64, 0, width=4, classes=2)
        return (Path(folder) / "a").read_bytes()


def torch_pickle(data: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(data, buffer)
    with zipfile.ZipFile(buffer) as archive:
        return archive.read("archive/data.pkl")


def all_seeds() -> dict[str, list[bytes]]:
    file = pictures()[0]
    text = base64.b64encode(file).decode()
    array, tensor = np.arange(4, dtype=np.float32), torch.arange(4.0)
    named = {"cls_token": torch.zeros(1, 1, 4), "decoder.x": torch.zeros(2, 2), "loss": torch.zeros(1)}
    json_tensor = {"name": "image", "datatype": "UINT8", "shape": [1, 1, 2, 3], "data": [[[[1, 2, 3], [4, 5, 6]]]]}
    binary = {"name": "image", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": len(file) + 4}}
    head = json.dumps(
        {"inputs": [binary], "outputs": [{"name": "answer", "parameters": {"binary_data": True}}]}
    ).encode()
    return {
        "artifact": [vector(), residual()],
        "pickle": [pickle.dumps([7, each, each], protocol=p) for p in (0, 2, 5) for each in (array, tensor, 0.5)],
        "checkpoint": [torch_pickle({"model": named, "epoch": 3}), torch_pickle({"state_dict": named})],
        "multipart": forms(file),
        "json": [
            json.dumps(each).encode()
            for each in (
                {"task": "identity", "images": [text]},
                {"task": "a+b", "images": [f"data:image/png;base64,{text}"] * 2, "masks": [text, text], "top_k": 3},
                {"task": "x", "images": [text], "size": "original", "refine": "none", "threshold": "auto"},
            )
        ],
        "query": [b"task=identity&size=original&format=webp", b"task=a+b&refine=none&threshold=auto&top_k=3"],
        "tensors": [
            b"\xff\xff" + json.dumps({"id": "1", "inputs": [json_tensor]}).encode(),
            struct.pack("<H", len(head)) + head + struct.pack("<I", len(file)) + file,
        ],
        "image": pictures(),
    }


if __name__ == "__main__":
    found = all_seeds()
    assert found.keys() == TARGETS.keys()
    for target, seeds in found.items():
        (SEEDS / target).mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(seeds):
            (SEEDS / target / f"{number:02}").write_bytes(seed)
