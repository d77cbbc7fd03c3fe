"""The demonstration data set: photo cut-outs composited over wallpapers, with exact masks."""

from artifacts.data.demo.layout import make_demo

__all__ = ["make_demo"]
