"""`vtv tasks`: what an artifact is, how good it is, where it writes; in a table, on its own, or as a page."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from artifacts.pages import write_page
from artifacts.store.artifact import Artifact
from artifacts.store.residual import AnyArtifact
from artifacts.store.sites import site_groups, site_text

FIRST = ("metric", "created", "artifact", "model", "sites", "answer", "method", "granularity", "dataset", "prompts")
"""What a reader wants to know first, in this order; the rest follows by name."""
SHORT_HASH = 12


def entries(artifact: Artifact) -> dict[str, str]:
    """Everything that is known, by name: the hash first."""
    return {"artifact": artifact.hash, "sites": str(artifact.vector.sites), **dict(sorted(artifact.metadata.items()))}


def metric_line(artifact: AnyArtifact) -> str:
    """The stored metric in words; empty where it was not measured."""
    try:
        metric = json.loads(artifact.metadata["metric"])
        value = metric["value"]
    except (json.JSONDecodeError, KeyError, TypeError):
        return ""
    if value is None:
        return ""
    parts = [f"{metric.get('name')} {value}"]
    if metric.get("interval"):
        parts.append("[{}, {}]".format(*metric["interval"]))
    if metric.get("episodes"):
        parts.append(f"on {metric['episodes']} episodes ({metric.get('split', 'unknown')})")
    return " ".join(parts)


def as_table(artifacts: Sequence[AnyArtifact]) -> str:
    """A line for each artifact; what is longest stands last."""
    rows = [("TASK", "METRIC", "MADE", "ARTIFACT", "DESCRIPTION")]
    for artifact in artifacts:
        metric = metric_line(artifact).partition(" on ")[0]
        made = artifact.metadata["created"].partition("T")[0]
        rows.append((artifact.task, metric or "-", made, artifact.hash[:SHORT_HASH], artifact.description))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines)


def as_text(artifact: Artifact) -> str:
    """For a terminal."""
    known = entries(artifact) | {"metric": metric_line(artifact), "answer": answer_line(artifact)}
    names = [*FIRST, *(name for name in known if name not in (*FIRST, "task", "description"))]
    width = max(map(len, names))
    lines = [f"  {name:{width}}  {known[name]}" for name in names if known.get(name)]
    sites = site_text(site_groups(artifact.vector))
    return "\n".join([artifact.task, artifact.description, "", *lines, "", sites])


def answer_line(artifact: Artifact) -> str:
    """The answer settings in words: `refine guided, radius 24, ...`."""
    return ", ".join(f"{name} {value}" for name, value in json.loads(artifact.metadata["answer"]).items())


def summary(artifact: AnyArtifact) -> dict[str, Any]:
    """What a list of tasks says of one."""
    sites = {"sites": artifact.vector.sites} if isinstance(artifact, Artifact) else {}
    return {"task": artifact.task, "artifact": artifact.hash, **sites, **artifact.metadata}


def as_json(artifact: Artifact) -> dict[str, Any]:
    """As one object; `groups` holds the share of written sites [layer][head] of every token group."""
    groups = [
        {"part": g.part, "group": g.name, "tokens": g.tokens, "sites": g.sites, "share": g.share.tolist()}
        for g in site_groups(artifact.vector)
    ]
    return summary(artifact) | {"groups": groups}


def write_artifact_page(path: Path, artifact: Artifact) -> None:
    """An HTML page."""
    write_page(
        path,
        "artifact.html",
        task=artifact.task,
        description=artifact.description,
        metric=metric_line(artifact),
        sites=artifact.vector.sites,
        groups=site_groups(artifact.vector),
        entries=list(entries(artifact).items()),
    )
