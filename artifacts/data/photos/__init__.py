"""A data set of real photographs: pairs with saliency masks, their objects on other backgrounds, plain pictures."""

from artifacts.data.photos.layout import make_photos

__all__ = ["make_photos"]
