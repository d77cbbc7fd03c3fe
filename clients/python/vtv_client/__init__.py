"""Python client of a Visual Task Vectors server."""
