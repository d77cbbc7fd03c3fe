"""`vtv`: one command in front of everything. Heavy imports wait until a command runs: `vtv --help` loads no torch."""

import os
import sys
from argparse import Action, ArgumentParser, Namespace
from collections.abc import Sequence

from artifacts.errors import OfflineError
from benchmarks.errors import BenchError
from cli import commands
from cli.parser import BAD_INPUT, Commands, Parser, UsageError
from engine.errors import EngineError

FAILED, INTERRUPTED = 1, 130
OFFLINE_PACKAGES = ("jinja2", "scipy", "skimage", "yaml")
"""Of the extra `offline`; a server does without them."""
OFFLINE_INSTALL = "pip install 'visual-task-vectors[offline]'"
ABOUT = """\
Visual Task Vectors: an image and a task's name in, the answer that a visual-prompting model paints out.

`vtv COMMAND --help` explains a command and shows how it is called."""
EXAMPLES = """\
examples:
  vtv serve
  vtv infer cat.jpg --task segmentation -o mask.png
  vtv tasks"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; 0 done, 1 the thing checked does not hold, 2 bad input, 130 interrupted."""
    given = Namespace(prog="vtv", resumes=False)
    try:
        parser().parse_args(argv, given)
        code = int(given.run(given))
        sys.stdout.flush()
        return code
    except (OfflineError, EngineError, BenchError, UsageError) as error:
        return _refuse(given, str(error))
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in OFFLINE_PACKAGES:
            raise
        return _refuse(given, f"this command needs more packages: {OFFLINE_INSTALL}")
    except BrokenPipeError:
        # Whoever read our output has left; what Python still holds for it must not be tried again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _refuse(given, f"{where}{error.strerror or error}")
    except KeyboardInterrupt:
        print(f"vtv: interrupted{', run the same command again to go on' if given.resumes else ''}", file=sys.stderr)
        return INTERRUPTED


def _refuse(given: Namespace, message: str) -> int:
    print(f"{given.prog}: {message}", file=sys.stderr)
    return BAD_INPUT


class Version(Action):
    """Prints the installed version; looked up only when asked, since that takes longer than all else here."""

    def __call__(self, parser: ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"vtv {version('visual-task-vectors')}")
        parser.exit()


def parser() -> Parser:
    """Every command and its options."""
    top = Parser(prog="vtv", description=ABOUT, epilog=EXAMPLES)
    top.add_argument("--version", action=Version, nargs=0, help="print the version and end")
    below = Commands(top)
    for command in commands.ALL:
        command.add(below)
    return top


if __name__ == "__main__":
    sys.exit(main())
