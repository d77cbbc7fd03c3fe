"""A real S3 server as a process of its own, and a proxy before it that fails on purpose."""
