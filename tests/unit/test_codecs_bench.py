"""`vtv bench codecs`: every way is measured, and the service's own is as good as the paper's."""

import json

import pytest

from cli.main import main


@pytest.mark.slow
def test_it_measures_every_way(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "codecs", "--repeat", "1", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    read = [row for row in report["rows"] if row["what"].startswith("read")]
    written = [row for row in report["rows"] if row["what"].startswith("write")]
    assert len({row["what"] for row in read}) == 3
    assert all(row["milliseconds"] > 0 and row["difference"] < 3 for row in read)
    assert all(row["milliseconds"] > 0 and row["size"] > 100 for row in written)
    ours = [row for row in read if row["how"] == "the service's"]
    assert all(row["difference"] < 1 for row in ours)


@pytest.mark.slow
def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "codecs", "--repeat", "1"]) == 0
    assert "simplejpeg, resized by torch" in capsys.readouterr().out
