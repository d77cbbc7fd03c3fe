"""The picture again."""

from artifacts.tasks.task import Task
from artifacts.tasks.views import picture

TASK = Task(
    name="identity",
    source=picture,
    target=picture,
    metric="mse",
    description="The picture again: what the model can paint at best.",
    training_share=0.03,
)
