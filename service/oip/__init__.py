"""The Open Inference Protocol: its routes and tensors."""
