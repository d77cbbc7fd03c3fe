"""A hole, filled in."""

from artifacts.tasks.task import Task
from artifacts.tasks.views import hole, picture

TASK = Task(
    name="inpaint",
    source=hole,
    target=picture,
    metric="mse",
    description="The black hole, or what the mask shows, filled in.",
    refinements=("hole",),
    training_share=0.08,
)
