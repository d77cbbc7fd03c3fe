"""A dark picture with a hole, brightened and filled in."""

from artifacts.tasks.task import Task
from artifacts.tasks.views import dark_hole, picture

TASK = Task(
    name="lowlight_inpaint",
    source=dark_hole,
    target=picture,
    metric="mse",
    description="A dark picture with a black square, brightened and filled in.",
    parts=("lowlight_enhance", "inpaint"),
)
