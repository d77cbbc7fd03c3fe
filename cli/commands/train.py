"""`vtv train`."""

from argparse import Namespace

from cli import options, values
from cli.parser import Commands

ABOUT = """\
tokenizer: the VQGAN that turns pictures into codes. mae: the masked autoencoder that predicts them; needs the
tokenizer in the same folder. decoder: more time for the tokenizer's decoder alone, its codes as they are.

Several GPUs or cores share a run: torchrun --nproc-per-node N -m cli train ..."""


def add(commands: Commands) -> None:
    """Its options."""
    parser = commands.add(
        "train",
        "train a base model from scratch",
        about=ABOUT,
        examples=[
            "vtv train tokenizer --dataset data/scenes -o runs/small --minutes 24",
            "vtv train mae --dataset data/scenes -o runs/small --minutes 120",
        ],
        run=run,
        resumes=True,
    )
    parser.add_argument("stage", choices=["tokenizer", "decoder", "mae"], help="what to train")
    parser.add_argument(
        "--dataset", type=values.input_folder, required=True, metavar="DIR", help="a VOC2012-layout folder"
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
    parser.add_argument("--batch", type=values.whole(1), default=16, metavar="N", help="pictures a step, per process")
    options.add_seed(parser)


def run(a: Namespace) -> int:
    """Train a stage until its time is spent."""
    from artifacts.workers import joined
    from engine.config import TRAINABLE
    from training.mae import MaeRun, train_mae
    from training.tokenizer import TokenizerRun, train_tokenizer

    config, data, out = TRAINABLE[a.size], a.dataset, a.output
    with joined():
        if a.stage == "mae":
            tokenizer = out / "tokenizer.pt"
            train_mae(MaeRun(data, tokenizer, out, config.name, config.mae, a.minutes, a.batch, seed=a.seed))
        else:
            frozen = a.stage == "decoder"
            train_tokenizer(TokenizerRun(data, out, config.vqgan, a.minutes, a.batch, seed=a.seed, decoder_only=frozen))
    return 0
