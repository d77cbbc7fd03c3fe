"""A long run of a real server with every kind of client at once; `make soak`."""
