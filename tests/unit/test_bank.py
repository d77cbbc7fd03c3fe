"""The bank: fixed addresses, a no-op slot, and each slot's own content."""

import dataclasses

import pytest
import torch

from engine.bank import Bank
from engine.errors import EngineError, ModelMismatch
from engine.geometry import Geometry
from engine.program import zero_shot
from engine.task_vector import AnswerSettings, TaskVector, site_shapes
from tests.support import TINY

PROGRAM = zero_shot(Geometry())


def vector(seed: int, temperature: float = 0.5) -> TaskVector:
    generator = torch.Generator().manual_seed(seed)
    tensors = []
    for shape in site_shapes(TINY.mae, PROGRAM).values():
        tensors += [torch.randn(shape, generator=generator), torch.rand(shape[:3], generator=generator) < 0.5]
    return TaskVector(*tensors, program="zero_shot", model="m", answer=AnswerSettings(temperature=temperature))


def bank(slots: int = 4) -> Bank:
    return Bank(TINY.mae, PROGRAM, slots, torch.device("cpu"))


def test_install_is_in_place_and_touches_one_slot() -> None:
    subject = bank()
    addresses = [tensor.data_ptr() for tensor in subject.tensors()]
    for slot in (1, 3, 1):
        before = [tensor.clone() for tensor in subject.tensors()]
        subject.write(slot, vector(slot, 0.25 * slot))
        others = [row for row in range(4) if row != slot]
        for old, new in zip(before[:4], subject.tensors()[:4], strict=True):
            assert torch.equal(old[:, others], new[:, others])
        assert torch.equal(before[4][others], subject.temperature[others])
    assert [tensor.data_ptr() for tensor in subject.tensors()] == addresses


def test_a_slot_holds_what_was_written() -> None:
    subject, given = bank(), vector(7, 0.0)
    subject.write(2, given)
    assert torch.equal(subject.encoder_value[:, 2], given.encoder_value)
    assert torch.equal(subject.encoder_mask[:, 2, ..., 0], given.encoder_mask)
    assert torch.equal(subject.decoder_value[:, 2], given.decoder_value)
    assert torch.equal(subject.decoder_mask[:, 2, ..., 0], given.decoder_mask)
    assert subject.temperature[2] == 0


def test_slot_0_stays_the_no_op() -> None:
    subject = bank()
    for slot in (0, -1, 4):
        with pytest.raises(EngineError, match=r"not one of 1\.\.3"):
            subject.write(slot, vector(1))
    assert not subject.encoder_mask.any()
    assert not subject.decoder_mask.any()
    with pytest.raises(EngineError, match="at least 2"):
        bank(1)


def test_a_vector_of_another_model_program_or_shape_is_refused() -> None:
    good = vector(1)
    good.check(TINY.mae, PROGRAM, "m")
    broken = good.encoder_value.clone()
    broken[0, 0, 0, 0] = float("nan")
    for change, reason in (
        ({"model": "other"}, "model other"),
        ({"program": "one_shot"}, "program one_shot"),
        ({"encoder_mask": good.encoder_mask[:, 1:]}, "do not fit"),
        ({"encoder_value": broken}, "not all finite"),
    ):
        with pytest.raises(ModelMismatch, match=reason):
            dataclasses.replace(good, **change).check(TINY.mae, PROGRAM, "m")


def test_a_cleared_slot_is_the_no_op_again() -> None:
    subject = bank()
    subject.write(1, vector(1, 0.0))
    subject.clear(1)
    for own in subject.tensors():
        assert torch.equal(own, bank().tensors()[[own is t for t in subject.tensors()].index(True)])
    with pytest.raises(EngineError, match=r"not one of 1\.\.3"):
        subject.clear(0)


def test_a_bank_lies_on_its_device_alone() -> None:
    """Two slots are the least; a mask holds one value for a whole head."""
    subject = Bank(TINY.mae, PROGRAM, 2, torch.device("meta"))
    assert {own.device.type for own in subject.tensors()} == {"meta"}
    assert [own.shape[1] for own in subject.tensors()[:4]] == [2] * 4
    assert [own.shape[-1] for own in subject.tensors()[:4]] == [16, 1, 16, 1]


def test_a_bank_in_half_precision_rounds_the_values_alone() -> None:
    subject = Bank(TINY.mae, PROGRAM, 4, torch.device("cpu"), torch.float16)
    half, boolean = torch.float16, torch.bool
    assert [own.dtype for own in subject.tensors()] == [half, boolean, half, boolean, torch.float32]
    given = vector(3, 0.3)
    subject.write(1, given)
    assert torch.equal(subject.encoder_value[:, 1], given.encoder_value.half())
    assert torch.equal(subject.encoder_mask[:, 1, ..., 0], given.encoder_mask)
    assert subject.temperature[1] == torch.tensor(0.3)


def test_integrity() -> None:
    subject = bank()
    subject.write(2, vector(2))
    subject.check_integrity()
    subject.temperature[2] = float("nan")
    with pytest.raises(EngineError, match="temperature"):
        subject.check_integrity()
    subject.write(2, vector(2))
    subject.decoder_value[0, 3, 0, 0, 0] = float("inf")
    with pytest.raises(EngineError, match="decoder values are not all finite"):
        subject.check_integrity()
    subject.clear(3)
    subject.encoder_mask[0, 0, 0, 0] = True
    with pytest.raises(EngineError, match="slot 0"):
        subject.check_integrity()
    subject.encoder_mask[0, 0, 0, 0] = False
    subject.check_integrity()
    subject.encoder_value = subject.encoder_value.clone()
    with pytest.raises(EngineError, match="has moved"):
        subject.check_integrity()


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_values_that_are_no_numbers_are_found(part: str) -> None:
    subject = bank()
    getattr(subject, f"{part}_value")[0, 1, 0, 0, 0] = float("nan")
    with pytest.raises(EngineError, match=f"the bank's {part} values"):
        subject.check_integrity()


@pytest.mark.parametrize(("temperature", "allowed"), [(0.0, True), (10.0, True), (-0.01, False), (10.01, False)])
def test_temperatures_lie_between_0_and_10(temperature: float, allowed: bool) -> None:
    subject = bank()
    subject.temperature[1] = temperature
    if allowed:
        subject.check_integrity()
    else:
        with pytest.raises(EngineError, match=r"^a temperature in the bank is outside 0\.\.10$"):
            subject.check_integrity()
