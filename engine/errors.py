"""Errors the engine raises; every message is one line that names what is wrong and what to do."""


class EngineError(Exception):
    """The engine cannot do what was asked."""


class BankFull(EngineError):
    """Every slot of the bank is pinned by a request in flight."""


class ModelMismatch(EngineError):
    """A task vector was made for another model or another program."""


class CheckpointError(EngineError):
    """A checkpoint is missing, incomplete, or not of the stated architecture."""


class NothingToFill(EngineError):
    """A picture has no hole, or its mask shows none; the message names the mask and may be shown to anybody."""


def first_cause(error: BaseException) -> str:
    """The innermost cause's first line: that is where a compiler names the operator."""
    while error.__cause__ is not None:
        error = error.__cause__
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
