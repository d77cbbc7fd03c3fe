"""A gray picture, in colour."""

from artifacts.tasks.task import Task
from artifacts.tasks.views import gray, picture

TASK = Task(
    name="colorization",
    source=gray,
    target=picture,
    metric="mse",
    description="A gray picture in colour.",
    refinements=("luma",),
    recolour=True,
    training_share=0.08,
)
