"""docs/operations.md: its settings are the settings class's, its metrics the server's."""

from service.settings import Settings
from tests.docs.settings_table import PAGE, with_table
from tests.support import ServerProcess


def test_the_settings_are_those_of_the_class() -> None:
    page = PAGE.read_text()
    assert page == with_table(page), "run: python -m tests.docs.settings_table"
    assert page.count("| `VTV_") >= len(Settings.model_fields) - 1


def test_every_metric_is_explained(server: ServerProcess) -> None:
    page = PAGE.read_text()
    types = [line.split() for line in server.client.get("/metrics").text.splitlines() if line.startswith("# TYPE")]
    names = [name for _, _, name, _ in types]
    assert len(names) > 15
    assert [name for name in names if f"`{name}" not in page and f"{name}{{" not in page] == []
