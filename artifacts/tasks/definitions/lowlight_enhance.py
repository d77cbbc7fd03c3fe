"""A dark picture, brightened."""

from artifacts.tasks.task import Task
from artifacts.tasks.views import dark, picture

TASK = Task(
    name="lowlight_enhance",
    source=dark,
    target=picture,
    metric="mse",
    description="A picture taken in half the light, brightened.",
    training_share=0.05,
)
