"""What a tower is: a frozen image encoder with fixed shapes, so that any backend can compile it."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import Tensor, nn


class Tower(nn.Module, ABC):
    """Pictures uint8 [B,size,size,3], RGB -> features float32 [B,width], not normalised.

    `artifacts.pictures.resize.middle_square` makes these of a picture of any shape: its shorter edge becomes
    `shorter_edge` pixels, of which the middle `size` are taken. Whatever else the encoder wants it does itself.
    """

    architecture: ClassVar[str]
    fingerprint: str = ""
    """SHA-256 of the weights and the sizes, set by `load_tower`: what heads are bound to."""

    def __init__(self, size: int, shorter_edge: int, width: int) -> None:
        super().__init__()
        self.size, self.shorter_edge, self.width = size, shorter_edge, width

    @abstractmethod
    def forward(self, pixels: Tensor) -> Tensor:
        """Features of pictures."""

    def config(self) -> dict[str, Any]:
        """What an empty tower is made of again, as plain JSON types."""
        return {"architecture": self.architecture, "size": self.size, "shorter_edge": self.shorter_edge}
