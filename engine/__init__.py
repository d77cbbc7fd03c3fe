"""Tensors only: geometry, MAE, VQGAN, overrides, bank, checkpoints, backends, runtime."""
