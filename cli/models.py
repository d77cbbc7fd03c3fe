"""`vtv` commands that make a model and its data, or take over and check a published one."""

from argparse import Namespace

from artifacts.console import say


def data(a: Namespace) -> int:
    """`vtv data demo`."""
    from artifacts.data.demo import make_demo

    make_demo(a.root, a.output, size=a.size, train=a.train, val=a.val, seed=a.seed, workers=a.workers)
    return 0


def train(a: Namespace) -> int:
    """`vtv train tokenizer|decoder|mae`."""
    from artifacts.workers import joined
    from engine.config import TRAINABLE
    from training.mae import MaeRun, train_mae
    from training.tokenizer import TokenizerRun, train_tokenizer

    config, data, out = TRAINABLE[a.size], a.dataset, a.output
    with joined():
        if a.what == "mae":
            tokenizer = out / "tokenizer.pt"
            train_mae(MaeRun(data, tokenizer, out, config.name, config.mae, a.minutes, a.batch, seed=a.seed))
        else:
            frozen = a.what == "decoder"
            train_tokenizer(
                TokenizerRun(data, out, config.vqgan, a.minutes, a.batch, seed=a.seed, decoder_only=frozen)
            )
    return 0


def export(a: Namespace) -> int:
    """`vtv export`."""
    from training.export import export as run

    say(f"model {run(a.folder, a.output)} in {a.output}")
    return 0


def import_checkpoint(a: Namespace) -> int:
    """`vtv import-checkpoint`."""
    from training.import_checkpoint import import_checkpoint as run

    mark = run(a.mae, a.vqgan, a.vqgan_config, a.output, heads=a.heads, decoder_heads=a.decoder_heads)
    say(f"model {mark} in {a.output}")
    return 0


def parity(a: Namespace) -> int:
    """`vtv parity`."""
    from parity import main as run

    return run(a.directory, sizes=a.size, as_json=a.json)
