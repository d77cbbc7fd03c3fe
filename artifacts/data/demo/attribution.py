"""Say where the pictures come from: a summary for readers, with the packages' own copyright files beside."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

_PACKAGES = (
    ("tuxpaint/stamps/", "tuxpaint-stamps-default"),
    ("fluent-emoji-3d/", "fluent-emoji-3d"),
    ("wallpapers/", "plasma-workspace-wallpapers"),
    ("backgrounds/gnome/", "gnome-backgrounds"),
    ("backgrounds/mate/", "mate-backgrounds"),
    ("backgrounds/lomiri", "lomiri-wallpapers"),
    ("backgrounds/warty", "lomiri-wallpapers"),
    ("backgrounds/", "ukui-wallpapers"),
)
"""Path prefix below `usr/share` to the package that installs it; the first that fits counts."""

_INTRO = """# Attribution

The scenes of this set are composites of pictures from the free packages below. `SOURCES.json` lists every
source file; `licences/` holds the packages' own copyright files, which name each file's author and licence.
The pictures were cropped, scaled, turned, re-coloured and combined. Each scene stays under the licences of
the pictures in it.
"""
_EMOJI_NOTE = "Fluent Emoji by Microsoft Corporation, packaged by LobeHub. Licence: MIT."


def package_of(path: str) -> str:
    """Name of the package that holds the source file at `path` (below `usr/share`)."""
    return next((package for prefix, package in _PACKAGES if path.startswith(prefix)), "unknown")


def licence_of(path: str) -> str:
    """Where, below the data set, the licence of the source file at `path` is stated."""
    package = package_of(path)
    return "ATTRIBUTION.md" if package == "fluent-emoji-3d" else f"licences/{package}.txt"


def write_attribution(root: Path, out: Path, paths: Sequence[str]) -> None:
    """Write `out/ATTRIBUTION.md` and copy the copyright files of the packages that `paths` come from."""
    sections = [_INTRO]
    for package in sorted({package_of(path) for path in paths}):
        count = sum(package_of(path) == package for path in paths)
        sections.append(f"## {package} (drawn from {count} files)\n\n{_summary(root, out, package)}\n")
    (out / "ATTRIBUTION.md").write_text("\n".join(sections))


def _summary(root: Path, out: Path, package: str) -> str:
    if package == "fluent-emoji-3d":
        return _EMOJI_NOTE
    copyright_file = root / "usr" / "share" / "doc" / package / "copyright"
    if not copyright_file.is_file():
        return "No copyright file was found with the package."
    copied = out / "licences" / f"{package}.txt"
    copied.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(copyright_file, copied)
    text = copyright_file.read_text(encoding="utf-8", errors="replace")
    lines = [f"Full text: `licences/{package}.txt`."]
    for title, found in (("Licences", _licences(text)), ("Copyright", _holders(text))):
        if found:
            lines += ["", f"{title}:", "", *(f"* {item}" for item in found)]
    return "\n".join(lines)


def _licences(text: str) -> list[str]:
    named = re.findall(r"^License: *(\S.*)$", text, re.MULTILINE)
    stated = re.findall(r"[Ll]icensed under (?:the )?([A-Z].*? License)", text)
    return sorted({name.strip() for name in (*named, *stated)})


def _holders(text: str) -> list[str]:
    held = re.findall(r"(?:Copyright:?|©|\(C\))[ ©(C)]*((?:19|20)\d\d\S*[^\n]*)", text)
    named = {" ".join(holder.split()) for holder in held}
    return sorted(name for name in named if "COPYRIGHT HOLDER" not in name)  # a template's unfilled line
