"""What is done in the server's own process: what is so little that sending it to another would be most of the work."""

import logging
from typing import Final

from service.codec.codec import Codec, Order
from service.codec.images import Pixels
from service.codec.workers.process import Errand
from service.errors import ServiceError

log: Final = logging.getLogger("vtv.codec")
_MOST_PIXELS: Final = 1 << 16


class Here:
    """Pixels in and out, hardly more than the engine's own, and nothing refined: a tenth of a millisecond. For who is
    alone also refining and encoding an answer about as small: a millisecond or two that hold nobody up.

    No file is read here: a library that breaks on one must not take the server with it.
    """

    def __init__(self, codec: Codec) -> None:
        self._codec: Final = codec

    @staticmethod
    def takes(order: Order, alone: bool) -> bool:
        return (
            not isinstance(order.source, bytes)
            and order.source.shape[0] * order.source.shape[1] <= _MOST_PIXELS
            and (alone or (not order.encoded and order.settings.refine == "none"))
        )

    def prepare(self, errand: Errand) -> None:
        """Calls its `prepared` or `failed` before this returns."""
        try:
            prepared = errand.here = self._codec.prepare(errand.order)
        except ServiceError as error:
            errand.failed(error)
        else:
            errand.prepared(prepared)

    def finish(self, errand: Errand, answer: Pixels) -> None:
        """The answer at the size asked for; calls `finished` or `failed` before this returns."""
        assert errand.here is not None
        assert errand.finished is not None
        try:
            done = self._codec.finish(answer, errand.order, errand.here.guide)
        except Exception:  # whoever else's answer came with this one still gets it
            log.exception("a codec step failed")
            errand.failed(ServiceError())
        else:
            errand.finished(done)
