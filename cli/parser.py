"""How `vtv` parses words and answers wrong ones: argparse, with one line an error and help that shows every default."""

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile
from textwrap import fill
from typing import Any, NoReturn

from artifacts.suggest import did_you_mean

Run = Callable[[argparse.Namespace], int]
BAD_INPUT = 2


class UsageError(Exception):
    """Words on the command line that do not go together; the message is one line."""


class HelpFormatter(argparse.HelpFormatter):
    """Wraps text by paragraph, keeps indented ones as they are, and ends an option's help with its default."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=32)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        def wrapped(part: str) -> str:
            return part if "\n  " in part else fill(part, width, initial_indent=indent, subsequent_indent=indent)

        return "\n\n".join(map(wrapped, text.split("\n\n")))

    def _get_help_string(self, action: argparse.Action) -> str | None:
        told = action.help or ""
        if not action.option_strings or action.required or action.nargs == 0 or "default" in told:
            return action.help
        return f"{told} (default: {_shown(action.default)})".strip()


def _shown(default: object) -> str:
    """A default as one would type it."""
    if isinstance(default, list | tuple):
        return ",".join(map(str, default))
    return str(default).replace("%", "%%")


class Parser(argparse.ArgumentParser):
    """A command's words. A wrong one ends the process with exit code 2 and a line that names it.

    `commands` are the parsers of the commands below this one, by name.
    """

    commands: "dict[str, Parser]"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"formatter_class": HelpFormatter} | kwargs)
        self.commands = {}

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """As argparse's, but what a command does not know is refused here: first of all, and in that command's name."""
        words = list(sys.argv[1:] if args is None else args)
        self._refuse_unknown(takewhile(lambda word: word != "--" and word not in self.commands, words))
        parsed, unknown = super().parse_known_args(words, namespace)
        if unknown:
            self.error(f"does not know {unknown[0]}")
        return parsed, []

    def _refuse_unknown(self, words: Iterable[str]) -> None:
        """Without this, a mistyped option's value would be taken for something else and complained of instead."""
        known = [flag for action in self._actions for flag in action.option_strings]
        for word in words:
            typed = word.partition("=")[0]
            if typed.startswith("--") and not any(flag.startswith(typed) for flag in known):
                self.error(f"does not know {typed}{did_you_mean(typed, known)}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse a value that is not among the choices."""
        if action.choices is None or value in action.choices:
            return
        known = [str(choice) for choice in action.choices]
        meant = did_you_mean(str(value), known)
        if isinstance(action.choices, dict):  # commands: too many to list in a line
            self.error(f"there is no command {value}{meant}")
        raise argparse.ArgumentError(action, f"takes {one_of(known)}, not {value}{meant}")

    def error(self, message: str) -> NoReturn:
        """One line on standard error, and exit code 2."""
        print(f"{self.prog}: {_plain(message)} ({self.prog} --help says more)", file=sys.stderr)
        raise SystemExit(BAD_INPUT)


def _plain(message: str) -> str:
    """An error of argparse in fewer words: `argument --port: expected one argument` -> `--port takes one argument`."""
    message = message.removeprefix("argument ")
    flag, colon, rest = message.partition(": ")
    if flag == "the following arguments are required":
        return f"needs {rest}"
    words = f"{flag} {rest}" if colon and " " not in flag else message
    return words.replace("not allowed with argument", "does not go with").replace("expected", "takes")


def one_of(words: Sequence[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    return " or ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)


class Commands:
    """The commands that stand below `vtv`, or below one of its commands."""

    def __init__(self, parser: Parser, *, required: bool = True) -> None:
        self._parsers = parser.commands
        self._below = parser.add_subparsers(title="commands", metavar="COMMAND", required=required, prog=parser.prog)

    def add(
        self,
        name: str,
        summary: str,
        *,
        run: Run | None = None,
        about: str = "",
        examples: Iterable[str] = (),
        resumes: bool = False,
    ) -> Parser:
        """A command's parser: `summary` is its line in lists, `about` what its own help says beyond that.

        `run` gets the parsed words. `resumes`: run again after an interruption, it goes on where it was.
        """
        description = f"{summary[0].upper()}{summary[1:]}." + (f"\n\n{about}" if about else "")
        lines = "\n".join(f"  {example}" for example in examples)
        parser: Parser = self._below.add_parser(
            name, help=summary, description=description, epilog=f"examples:\n{lines}" if lines else None
        )
        self._parsers[name] = parser
        parser.set_defaults(run=run, prog=parser.prog, resumes=resumes)
        return parser
