"""A task as the server holds it: what is written to the bank, and what clients are told."""

from dataclasses import dataclass
from typing import Self

from artifacts.store.artifact import Artifact
from artifacts.store.residual import AnyArtifact
from engine.classification.head import Head
from engine.task_vector import TaskVector
from service.tasks.task_info import TaskInfo, describe


@dataclass(frozen=True, slots=True, eq=False)
class InstalledTask:
    """One version of a task; `hash` is its artifact's."""

    name: str
    hash: str
    content: TaskVector | Head
    """Of a classification task the head alone: base and residual stay in the store."""
    info: TaskInfo

    @classmethod
    def of(cls, artifact: AnyArtifact) -> Self:
        """Raises EngineError or ValueError where the artifact says what is not understood."""
        content = artifact.vector if isinstance(artifact, Artifact) else artifact.value.head()
        return cls(artifact.task, artifact.hash, content, describe(artifact))
