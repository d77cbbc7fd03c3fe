"""Programs that some tests run and pip does not install."""

from shutil import which

CHROMIUM = which("chromium") or which("chromium-browser") or which("google-chrome")
INSTALLED = {
    "chromium": CHROMIUM is not None,
    "curl": which("curl") is not None,
    "prometheus": which("prometheus") is not None and which("promtool") is not None,
}
"""By Debian package."""
