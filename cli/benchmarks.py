"""`vtv bench`."""


def bench(what: str, words: list[str]) -> int:
    """`vtv bench load|engine|peers|codecs|search|methods|scopes|teach`."""
    from importlib import import_module

    module = import_module("benchmarks.peers.command" if what == "peers" else f"benchmarks.{what}")
    return int(module.main(words))
