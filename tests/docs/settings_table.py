"""The settings table of docs/operations.md, made from the settings class: `python -m tests.docs.settings_table`."""

import re
from pathlib import Path
from typing import Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from service.settings import PREFIX, Settings
from tests.docs.examples import DOCS

PAGE = DOCS / "operations.md"
_PLACE = re.compile(r"(?<=<!-- settings: begin -->\n).*?(?=<!-- settings: end -->)", re.DOTALL)


def settings_table() -> str:
    """A row for each setting: variable, default, meaning."""
    rows = [f"| {_variable(name, field)} | {_default(field)} | {_meaning(field)} |" for name, field in _fields()]
    return "\n".join(["| variable | default | |", "|---|---|---|", *rows, ""])


def with_table(page: str) -> str:
    return _PLACE.sub(lambda _: f"\n{settings_table()}\n", page)


def _fields() -> list[tuple[str, FieldInfo]]:
    return list(Settings.model_fields.items())


def _variable(name: str, field: FieldInfo) -> str:
    return "`OTEL_EXPORTER_OTLP_ENDPOINT`" if field.validation_alias else f"`{PREFIX}{name.upper()}`"


def _default(field: FieldInfo) -> str:
    default = field.default
    if default in (None, "", ()) or isinstance(default, Path):
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _meaning(field: FieldInfo) -> str:
    assert field.description, f"{field} has no docstring"
    text = " ".join(field.description.split())
    if get_origin(field.annotation) is Literal:
        text += " One of " + ", ".join(f"`{value}`" for value in get_args(field.annotation)) + "."
    return text


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
