"""`vtv train`."""

from argparse import ArgumentTypeError, Namespace
from pathlib import Path

from cli import options, values
from cli.parser import Commands, UsageError

ABOUT = """\
tokenizer: the VQGAN that turns pictures into codes. mae: the masked autoencoder that predicts them; needs the
tokenizer in the same folder. decoder: more time for the tokenizer's decoder alone, its codes as they are.

Several GPUs or cores share a run: torchrun --nproc-per-node N -m cli train ..."""


def add(commands: Commands) -> None:
    """Its options."""
    parser = commands.add(
        "train",
        "train a base model, from scratch or from another",
        about=ABOUT,
        examples=[
            "vtv train tokenizer --dataset data/scenes -o runs/small --minutes 24",
            "vtv train mae --dataset data/scenes -o runs/small --minutes 120",
            "vtv train mae --dataset data/photos=3 --dataset data/scenes --from my-model -o runs/photos --minutes 80",
        ],
        run=run,
        resumes=True,
    )
    parser.add_argument("stage", choices=["tokenizer", "decoder", "mae"], help="what to train")
    parser.add_argument(
        "--dataset",
        type=_shared,
        action="append",
        required=True,
        metavar="DIR[=SHARE]",
        help="a VOC2012-layout folder; of mae several, SHARE: how often it is drawn, relative to the others",
    )
    options.add_output(parser, "checkpoints; a run that finds its own goes on", folder=True)
    parser.add_argument(
        "--minutes",
        type=values.positive,
        required=True,
        metavar="M",
        help="time budget of this stage, all runs together",
    )
    parser.add_argument("--size", choices=["small", "medium"], default="small", help="of the model")
    parser.add_argument(
        "--from",
        dest="start",
        type=values.input_folder,
        metavar="MODEL",
        help="of mae: go on from this model folder (default: from nothing)",
    )
    parser.add_argument(
        "--blocks",
        type=_pair,
        metavar="E,D",
        help="of mae, with --from: deepen that model to E encoder and D decoder blocks, whose new ones change nothing "
        "at first (default: as it is)",
    )
    parser.add_argument("--rate", type=values.positive, default=1.5e-3, help="of mae: the highest learning rate")
    parser.add_argument(
        "--distil",
        type=values.not_negative,
        default=0.0,
        metavar="WEIGHT",
        help="of mae: weight of a teacher's features beside the codes",
    )
    parser.add_argument(
        "--mask",
        type=values.not_negative,
        default=0.0,
        metavar="WEIGHT",
        help="of mae: weight of the masks' soft IoU beside the codes",
    )
    parser.add_argument(
        "--foreground",
        type=values.not_negative,
        default=0.0,
        metavar="WEIGHT",
        help="of mae: weight of the query's mask, asked of its tokens whatever the task",
    )
    parser.add_argument(
        "--drop-path",
        type=values.share,
        default=0.0,
        metavar="RATE",
        help="of mae: how often the last block is left out in training, the others less; against learning by heart",
    )
    parser.add_argument("--batch", type=values.whole(1), default=16, metavar="N", help="pictures a step, per process")
    options.add_seed(parser)


def _shared(word: str) -> tuple[Path, float]:
    folder, _, share = word.partition("=")
    return values.input_folder(folder), values.positive(share) if share else 1.0


def _pair(word: str) -> tuple[int, int]:
    encoder, comma, decoder = word.partition(",")
    if not comma:
        raise ArgumentTypeError(f"takes two whole numbers, such as 12,6, not {word}")
    return values.whole(1)(encoder), values.whole(1)(decoder)


def run(a: Namespace) -> int:
    """Train a stage until its time is spent."""
    from artifacts.workers import joined
    from engine.config import TRAINABLE
    from training.mae import MaeRun, train_mae
    from training.tokenizer import TokenizerRun, train_tokenizer

    config, data, out = TRAINABLE[a.size], tuple(a.dataset), a.output
    if a.stage != "mae" and len(data) > 1:
        raise UsageError(f"{a.stage} takes one --dataset")
    if a.blocks and not (a.stage == "mae" and a.start):
        raise UsageError("--blocks deepens the model of --from, and is of mae")
    with joined():
        if a.stage == "mae":
            tokenizer = out / "tokenizer.pt"
            weights = {"distil": a.distil, "mask": a.mask, "foreground": a.foreground, "drop_path": a.drop_path}
            mae = MaeRun(data, tokenizer, out, config.name, config.mae, a.minutes, a.batch, a.rate, a.seed, **weights)
            train_mae(mae, a.start, a.blocks)
        else:
            frozen = a.stage == "decoder"
            folder = data[0][0]
            train_tokenizer(
                TokenizerRun(folder, out, config.vqgan, a.minutes, a.batch, seed=a.seed, decoder_only=frozen)
            )
    return 0
