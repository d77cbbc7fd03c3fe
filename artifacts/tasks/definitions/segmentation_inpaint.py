"""An object's mask, from a picture with a hole."""

from artifacts.tasks.task import Task
from artifacts.tasks.views import hole, mask

TASK = Task(
    name="segmentation_inpaint",
    source=hole,
    target=mask,
    metric="iou",
    description="The object's mask, from a picture with a black square.",
    parts=("segmentation", "inpaint"),
)
