"""`vtv bench`: one module a benchmark."""

from cli.commands.bench import classification, codecs, engine, load, methods, peers, ray, scopes, search, teach
from cli.parser import Commands

ABOUT = """\
Each prints a table; --json prints one JSON object instead, and -o also writes it to a file. Figures are ratios to a
named baseline that is measured in turns with them, so that whatever else the machine does meets all alike. `make
bench` runs the first two."""


def add(commands: Commands) -> None:
    """Every benchmark."""
    parser = commands.add(
        "bench",
        "measure the service, the engine and the offline job",
        about=ABOUT,
        examples=["vtv bench engine", "vtv bench load --concurrency 1,8,32"],
    )
    below = Commands(parser)
    for bench in (load, engine, peers, codecs, search, methods, scopes, teach, classification, ray):
        bench.add(below)
