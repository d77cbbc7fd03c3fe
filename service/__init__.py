"""The HTTP service: images and a task name in, the model's pictures out."""
