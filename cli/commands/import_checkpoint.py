"""`vtv import-checkpoint`."""

from argparse import Namespace

from artifacts.console import say
from cli import options, values
from cli.parser import Commands


def add(commands: Commands) -> None:
    """Its options."""
    parser = commands.add(
        "import-checkpoint",
        "make a model folder from the official checkpoints",
        about="Takes MAE's checkpoint and VQGAN's as they are published; nothing in them is run.",
        examples=["vtv import-checkpoint MAE.pth --vqgan last.ckpt --vqgan-config model.yaml -o my-model"],
        run=run,
    )
    parser.add_argument("mae", type=values.input_file, metavar="MAE", help="the MAE checkpoint, {'model': ...}")
    parser.add_argument("--vqgan", type=values.input_file, required=True, metavar="FILE", help="VQGAN's last.ckpt")
    parser.add_argument(
        "--vqgan-config", type=values.input_file, metavar="FILE", help="its model.yaml (default: as published)"
    )
    parser.add_argument(
        "--heads",
        type=values.whole(1),
        metavar="N",
        help="of the encoder (default: the published model's of its width)",
    )
    parser.add_argument(
        "--decoder-heads", type=values.whole(1), metavar="N", help="of the decoder (default: the published model's)"
    )
    options.add_output(parser, "the model folder", folder=True)


def run(a: Namespace) -> int:
    """Convert, and say the model's fingerprint."""
    from training.import_checkpoint import import_checkpoint

    mark = import_checkpoint(a.mae, a.vqgan, a.vqgan_config, a.output, heads=a.heads, decoder_heads=a.decoder_heads)
    say(f"model {mark} in {a.output}")
    return 0
