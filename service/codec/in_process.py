"""What is done in the server's own process: what is so little that sending it to another would be most of the work."""

import logging
from typing import Final

from engine.geometry import Pixels
from service.codec.codec import Codec, Decoded, EncodedAnswer
from service.codec.spec import ImageSpec
from service.errors import ServiceError

log: Final = logging.getLogger("vtv.codec")
_MOST_PIXELS: Final = 1 << 16


class InProcessCodec:
    """Pixels in and out, hardly more than the engine's own, and nothing refined: a tenth of a millisecond. For who is
    alone also refining and encoding an answer about as small: a millisecond or two that hold nobody up.

    No file is read here: a library that breaks on one must not take the server with it.
    """

    def __init__(self, codec: Codec) -> None:
        self._codec: Final = codec

    @staticmethod
    def takes(spec: ImageSpec, alone: bool) -> bool:
        return (
            not isinstance(spec.source, bytes)
            and not isinstance(spec.mask, bytes)
            and spec.source.shape[0] * spec.source.shape[1] <= _MOST_PIXELS
            and (alone or (not spec.encoded and spec.settings.refine == "none"))
        )

    def decode(self, spec: ImageSpec) -> Decoded:
        """Raises InvalidImage."""
        return self._codec.decode(spec)

    def encode(self, answer: Pixels, spec: ImageSpec, decoded: Decoded) -> EncodedAnswer:
        """The answer at the size asked for. Raises ServiceError."""
        try:
            return self._codec.encode(answer, spec, decoded.guide)
        except Exception:
            log.exception("a codec step failed")
            raise ServiceError from None
