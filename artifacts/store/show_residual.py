"""`vtv tasks show NAME` of a classification task."""

from artifacts.store.residual import ResidualArtifact
from artifacts.store.show import metric_line

FIRST_LABELS = 8


def as_text(artifact: ResidualArtifact) -> str:
    """For a terminal."""
    value = artifact.value
    first = ", ".join(value.labels[:FIRST_LABELS])
    more = len(value.labels) - FIRST_LABELS
    classes = f"{len(value.labels)}: {first}{f' and {more} more' if more > 0 else ''}"
    known = {"artifact": artifact.hash, **dict(sorted(artifact.metadata.items()))}
    known |= {"metric": metric_line(artifact), "labels": classes}
    width = max(map(len, known))
    hidden = ("task", "description")
    lines = [f"  {name:{width}}  {text}" for name, text in known.items() if text and name not in hidden]
    return "\n".join([artifact.task, artifact.description, "", *lines])
