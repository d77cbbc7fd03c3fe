"""`vtv store gc`."""

import json
from argparse import Namespace

from cli import options, values
from cli.parser import Commands

ABOUT = """\
A replaced or retired artifact stays in the store, for those who read it and to go back to. `vtv store gc` removes those
that no name has meant for --keep-days days, and what broken-off writes left. It may run beside servers, which hold what
they serve in memory, and beside publishers."""


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
        examples=["vtv store gc --store my-store", "vtv store gc --store s3://models/vtv --keep-days 30 --dry-run"],
        run=run,
    )
    collect.add_argument(
        "--store",
        type=values.input_store,
        required=True,
        metavar="STORE",
        help="store to clear up, a folder or s3://bucket/prefix",
    )
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
    from artifacts.store.open import open_store

    found = (gc.leftovers if a.dry_run else gc.collect)(open_store(a.store), a.keep_days)
    verb = "would remove" if a.dry_run else "removed"
    if a.json:
        files = [entry.path for entry in found.found]
        about = {"removed": not a.dry_run, "files": files, "bytes": found.size}
        print(json.dumps(about | {"named": found.named, "kept": found.kept}))
        return 0
    for entry in found.found:
        print(f"{verb} {entry.path}, {entry.size} bytes")
    print(f"{verb} {len(found.found)} files, {found.size} bytes")
    print(f"kept {found.named} that tasks mean, {found.kept} that none has meant for less than {a.keep_days:g} days")
    return 0
