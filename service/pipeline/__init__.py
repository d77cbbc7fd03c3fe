"""A request's way: decode, infer, encode."""
