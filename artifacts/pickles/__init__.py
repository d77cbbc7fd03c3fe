"""Pickles and PyTorch's files, read without running anything that they name."""
