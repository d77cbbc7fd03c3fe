"""The codec in processes of its own: the pool, its messages, and the processes."""
