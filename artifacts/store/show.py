"""`vtv tasks show NAME`: what an artifact is, where it writes, how good it is; on the terminal or as a page."""

import json
from pathlib import Path
from typing import Any

from artifacts.pages import write_page
from artifacts.store.artifact import Artifact
from artifacts.store.sites import site_groups, site_text


def entries(artifact: Artifact) -> dict[str, str]:
    """Everything that is known, by name: the hash first."""
    return {"artifact": artifact.hash, "sites": str(artifact.vector.sites), **dict(sorted(artifact.metadata.items()))}


def metric_line(artifact: Artifact) -> str:
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


def as_text(artifact: Artifact) -> str:
    """For a terminal."""
    lines = [f"{name}: {value}" for name, value in entries(artifact).items() if value]
    return "\n".join([artifact.task, artifact.description, *lines, "", site_text(site_groups(artifact.vector))])


def as_json(artifact: Artifact) -> dict[str, Any]:
    """As one object; `groups` holds the share of written sites [layer][head] of every token group."""
    groups = [
        {"part": g.part, "group": g.name, "tokens": g.tokens, "sites": g.sites, "share": g.share.tolist()}
        for g in site_groups(artifact.vector)
    ]
    about = {"task": artifact.task, "artifact": artifact.hash, "sites": artifact.vector.sites}
    return about | artifact.metadata | {"groups": groups}


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
