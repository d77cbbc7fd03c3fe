"""The command line as a user meets it: help, defaults, examples, errors in one line, exit codes."""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from artifacts.errors import OfflineError
from artifacts.taskres.templates import TEMPLATES
from benchmarks.methods import METHODS
from benchmarks.peers.entries import OURS, PEERS
from cli import commands, options, taskres_options
from cli.commands import collect, tasks
from cli.commands.bench import methods, peers
from cli.main import main, parser
from cli.parser import Parser
from engine.backends.choice import BACKENDS

Capture = pytest.CaptureFixture[str]
FILES = (
    *("cat.jpg", "hole.png", "segmentation.means", "inpaint.means", "segmentation.vector"),
    *("animals.base", "animals.task", "names.txt", "model.pth.tar-100"),
    *("task_mean_activations.pkl", "bernoullis.pkl", "MAE.pth", "last.ckpt", "model.yaml"),
)
FOLDERS = (
    "my-model",
    "my-store",
    "pairs",
    "packages",
    "photos",
    "pictures",
    "animals",
    "sketches",
    "my-tower",
    "clip-vit-base-patch16",
    "data/photos",
    "data/scenes",
    "runs/small",
    "tests/data/golden/public",
)
"""What the examples read."""


def every_parser(top: Parser) -> Iterator[Parser]:
    for below in top.commands.values():
        yield below
        yield from every_parser(below)


COMMANDS = {each.prog: each for each in every_parser(parser())}


def refused(words: str, capsys: Capture) -> str:
    """The line that a wrong call is answered with."""
    try:
        code = main(shlex.split(words))
    except SystemExit as stop:
        code = int(stop.code or 0)
    told = capsys.readouterr()
    assert code == 2, words
    assert told.out == ""
    assert told.err.count("\n") == 1, told.err
    return told.err.strip()


def test_every_command_of_the_contract_is_there() -> None:
    contract = (
        "serve infer tasks collect search evaluate publish build teach import-upstream import-checkpoint data train"
    )
    contract += " compile parity bench"
    assert {f"vtv {name}" for name in contract.split()} <= COMMANDS.keys()
    assert len(commands.ALL) == len(parser().commands)


@pytest.mark.parametrize("prog", COMMANDS)
def test_help_describes_gives_an_example_and_every_default(prog: str) -> None:
    command = COMMANDS[prog]
    text = command.format_help()
    assert len((command.description or "").split()) >= 4
    assert re.search(rf"examples:\n  {prog}", text)
    assert "None" not in text
    formatter = command.formatter_class(prog)
    for action in command._actions:
        assert action.help or isinstance(action, argparse._SubParsersAction), action.option_strings
        if action.option_strings and not action.required and action.nargs != 0:
            assert "default" in str(formatter._get_help_string(action)), action.option_strings


@pytest.mark.parametrize("prog", COMMANDS)
def test_examples_can_be_typed(prog: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in FOLDERS:
        Path(folder).mkdir(parents=True)
    for file in FILES:
        Path(file).touch()
    examples = re.findall(r"^  (vtv .*)", COMMANDS[prog].epilog or "", re.MULTILINE)
    assert examples
    for example in examples:
        words = shlex.split(example)[1:]
        if words[-1] != "--help":
            assert callable(parser().parse_args(words).run)


def test_help_loads_nothing_heavy() -> None:
    """`vtv --help` and the help of commands that compute are there at once, so torch must not be loaded for them."""
    code = """
import sys
from contextlib import suppress
from cli.main import main
for words in ([], ["serve"], ["search"], ["bench"], ["bench", "engine"], ["bench", "peers"]):
    with suppress(SystemExit):
        main([*words, "--help"])
print(sorted({"torch", "numpy", "PIL", "httpx", "pydantic", "fastapi"} & sys.modules.keys()), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert "Serve the HTTP API" in done.stdout


def test_names_that_are_written_twice_for_the_sake_of_help() -> None:
    assert options.BACKENDS == BACKENDS
    assert list(methods.METHODS) == list(METHODS)
    assert list(peers.SERVERS) == [OURS, *PEERS]
    assert tuple(TEMPLATES) == taskres_options.TEMPLATE_SETS


def test_version_and_module() -> None:
    done = subprocess.run([sys.executable, "-m", "cli", "--version"], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"vtv \d+\.\d+\.\d+\S*\n", done.stdout)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("", "vtv: needs COMMAND"),
        ("infr", "vtv: there is no command infr; did you mean infer?"),
        ("bench lod", "vtv bench: there is no command lod; did you mean load?"),
        ("tasks sho x", "vtv tasks: there is no command sho; did you mean show?"),
        ("tasks --html x.html", "vtv tasks: does not know --html"),
        ("infer x.jpg --modle m", "vtv infer: does not know --modle; did you mean --model?"),
        ("infer", "vtv infer: needs PICTURES, --task"),
        (
            "infer none.jpg --task a -o b.png",
            "vtv infer: PICTURES takes a file or folder, and there is none at none.jpg",
        ),
        (
            "infer folder --task a -o b.png",
            "vtv infer: -o/--output: many pictures are answered in a folder, not in b.png",
        ),
        ("infer file --task a -o folder", "vtv infer: -o/--output takes a file to write, and folder is a folder"),
        ("infer folder --task a -o answers --mask file", "vtv infer: --mask goes with one picture"),
        ("infer file --task a -o b.tiff", "vtv infer: -o/--output takes a name that ends in .png"),
        ("infer file --task a -o file/b.png", "vtv infer: -o/--output cannot write file/b.png"),
        ("infer file --task a -o b.png --size huge", "--size takes native or original, not huge"),
        ("serve --backend opnvino", "tensorrt or torch_tensorrt, not opnvino; did you mean openvino?"),
        ("serve --port 99999", "vtv serve: --port takes a whole number from 0 to 65535, not 99999"),
        ("serve --port http", "vtv serve: --port takes a whole number, not http"),
        ("serve --port", "vtv serve: --port takes one argument"),
        ("serve --store file", "vtv serve: --store takes a folder, and file is a file"),
        ("compile --buckets 1,0", "vtv compile: --buckets takes a whole number of 1 or more, not 0"),
        ("collect --task a -o means --fold 4", "vtv collect: --fold takes a whole number from 0 to 3, not 4"),
        ("collect --task a -o means --dataset dmo", "--dataset takes demo or a folder, and there is none at dmo"),
        ("collect --task segmentaton -o means", "did you mean segmentation?"),
        ("evaluate --fold 1 --all-folds", "vtv evaluate: --all-folds does not go with --fold"),
        ("evaluate --seed 1", "vtv evaluate: does not know --seed"),
        ("evaluate --no-vector --controls folder", "--controls adds vectors to compare"),
        ("compose a b -o both --seed 1", "vtv compose: does not know --seed"),
        ("compose a b -o both --direct file", "vtv compose: --direct goes with --evaluate TASK"),
        ("search --task a --means file -o v --prune 1", "--prune takes a number from 0 to below 1, not 1"),
        ("search --task a --means file -o v --rate nan", "--rate takes a number above 0, not nan"),
        ("search --task a --task b --means file -o v", "vtv search: every --task needs its --means"),
        ("search --task a --means file -o folder", "vtv search: -o takes a file for one task"),
        ("search --task identity --means file -o v --method all --steps 3", "--steps has no effect with --method all"),
        ("train mae --dataset folder -o out --minutes -1", "--minutes takes a number above 0, not -1"),
        (
            "train mea --dataset folder -o out --minutes 1",
            "takes tokenizer, decoder or mae, not mea; did you mean mae?",
        ),
        ("bench load --rate 1 --sweep", "vtv bench load: --sweep does not go with --rate"),
        ("tasks show segmentaton", "did you mean segmentation?"),
    ],
)
def test_wrong_words_are_one_line_that_says_what_is_taken(
    words: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path("folder").mkdir()
    assert says in refused(words, capsys)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_tasks_are_a_table(tiny_store: Path, capsys: Capture) -> None:
    assert main(["tasks", "--store", str(tiny_store)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["TASK", "METRIC", "MADE", "ARTIFACT", "DESCRIPTION"]
    assert len(lines) == 6
    place = lines[0].index("DESCRIPTION")
    assert all(line[place:].startswith("Random vector number") for line in lines[1:])
    assert "iou 0.5" in lines[1]
    assert "2026-01-01" in lines[1]


@pytest.mark.parametrize("words", ["--store {} --json show inpaint", "show inpaint --json --store {}"])
def test_options_of_tasks_stand_before_show_or_behind(words: str, tiny_store: Path, capsys: Capture) -> None:
    assert main(["tasks", *words.format(tiny_store).split()]) == 0
    assert json.loads(capsys.readouterr().out)["task"] == "inpaint"


def test_a_task_is_a_readable_block(tiny_store: Path, capsys: Capture) -> None:
    assert main(["tasks", "show", "inpaint", "--store", str(tiny_store)]) == 0
    text = capsys.readouterr().out
    assert text.startswith("inpaint\nRandom vector number 2.\n\n  metric       iou 0.5\n")
    assert re.search(r"^  answer +.*refine hole", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("raised", "code", "says"),
    [
        (OfflineError("the data are not there"), 2, "vtv tasks: the data are not there"),
        (OSError(28, "No space left on device", "out.json"), 2, "vtv tasks: out.json: No space left on device"),
        (KeyboardInterrupt(), 130, "vtv: interrupted"),
    ],
)
def test_what_a_command_raises(
    raised: BaseException, code: int, says: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def fail(_: argparse.Namespace) -> int:
        raise raised

    monkeypatch.setattr(tasks, "list_all", fail)
    assert main(["tasks"]) == code
    assert capsys.readouterr().err == f"{says}\n"


def test_an_interrupted_command_that_resumes_says_so(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    def interrupt(_: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(collect, "run", interrupt)
    assert main(["collect", "--task", "identity", "-o", "means"]) == 130
    assert capsys.readouterr().err == "vtv: interrupted, run the same command again to go on\n"


def test_a_reader_that_has_left_is_no_traceback(tiny_store: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    words = [sys.executable, "-m", "cli", "tasks", "--store", str(tiny_store)]
    done = subprocess.run(words, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")
