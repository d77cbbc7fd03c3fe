"""An object's mask, from its picture."""

from artifacts.tasks.task import Task
from artifacts.tasks.views import mask, picture

TASK = Task(
    name="segmentation",
    source=picture,
    target=mask,
    metric="iou",
    refinements=("grabcut",),
    description="White where the object is, black elsewhere.",
    training_share=0.50,
)
