"""`vtv store gc`."""

import json
from argparse import Namespace

from cli import options, values
from cli.parser import Commands

ABOUT = """\
A replaced or retired artifact stays in the store, for those who read it and to go back to. `vtv store gc` removes those
that no name has meant for --keep-days days, and what broken-off writes left. Servers hold what they serve in memory:
it may run beside them."""


def add(commands: Commands) -> None:
    """Its one command."""
    parser = commands.add(
        "store",
        "remove what a store holds and nothing needs",
        about=ABOUT,
        examples=["vtv store gc --store my-store"],
    )
    collect = Commands(parser).add(
        "gc",
        "remove artifacts that no name means",
        examples=["vtv store gc --store my-store", "vtv store gc --store my-store --keep-days 30 --dry-run"],
        run=run,
    )
    collect.add_argument("--store", type=values.input_folder, required=True, metavar="DIR", help="store in a folder")
    collect.add_argument(
        "--keep-days",
        type=values.not_negative,
        default=7.0,
        metavar="DAYS",
        help="how long an artifact without a name is kept (default: 7)",
    )
    collect.add_argument("--dry-run", action="store_true", help="remove nothing (default: off)")
    options.add_json(collect)


def run(a: Namespace) -> int:
    """Find, and remove."""
    from artifacts.store import gc
    from artifacts.store.folder import Store

    found = (gc.leftovers if a.dry_run else gc.collect)(Store(a.store), a.keep_days)
    entry = {"removed": not a.dry_run, "files": [path.name for path in found.files], "bytes": found.size}
    verb = "would remove" if a.dry_run else "removed"
    print(json.dumps(entry) if a.json else f"{verb} {len(found.files)} files, {found.size} bytes")
    return 0
