"""What the server and a codec process write to each other."""

from typing import Any

import numpy as np
import pytest

from engine.confidence import Confidence
from engine.task_vector import AnswerSettings
from service.codec.spec import ImageSpec
from service.codec.workers.frames import Frame, Frames, framed
from service.codec.workers.messages import Decode, packed, unpacked

TRUST = Confidence("contrast", ((0.1, 0.2), (0.9, 0.8)))


def test_messages_arrive_whole_however_they_are_cut() -> None:
    messages = [Frame(3, size, b"about", [b"x" * size, b"y"][: size % 3]) for size in (0, 1, 7, 11, 100_001)]
    stream = b"".join(map(framed, messages))
    for size in (1 << 20, 4096, 9):
        frames = Frames()
        arrived = [message for at in range(0, len(stream), size) for message in frames.feed(stream[at : at + size])]
        assert arrived == messages


@pytest.mark.parametrize("source", [b"a file", np.arange(24, dtype=np.uint8).reshape(2, 4, 3)])
@pytest.mark.parametrize("mask", [None, b"its mask", np.zeros((2, 4, 3), np.uint8)])
def test_all_of_a_spec_arrives(source: Any, mask: Any) -> None:
    how = AnswerSettings(0.7, "luma", 8, 1e-2, chroma=0.8, detail=0.5, threshold="otsu", confidence=TRUST)
    sent = ImageSpec(source, None if mask is not None else (b"in", b"out"), mask, "original", "webp", True, how)
    (frame,) = Frames().feed(packed(Decode(7, sent, alone=True)))
    got = unpacked(frame).spec
    for one, other in zip(got, sent, strict=True):
        assert np.array_equal(one, other) if isinstance(other, np.ndarray) else one == other
