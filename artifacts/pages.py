"""HTML pages of the offline job, each one file that needs nothing beside it."""

import base64
from pathlib import Path


def write_page(path: Path, template: str, **values: object) -> None:
    """Fill a template."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # which a server, and `vtv tasks`, do without

    package = PackageLoader("artifacts")
    templates = Environment(
        loader=package, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(templates.get_template(template).render(**values) + "\n")


def picture_source(path: Path) -> str:
    """A PNG file as a `data:` address."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
