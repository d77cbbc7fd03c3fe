"""`vtv bench engine`."""

from argparse import Namespace

from cli import options, values
from cli.commands.bench.shared import add_report, add_threads
from cli.parser import Commands

ABOUT = """\
All rows are measured in turn, one call each, over and over. Also told: what overrides cost, how long switching a task
takes, start-up cold and warm, memory of captured graphs, and the share of the matrix-product rate."""


def add(commands: Commands) -> None:
    """Its options."""
    parser = commands.add(
        "engine",
        "engines alone, set against what the public code does and against the hardware",
        about=ABOUT,
        examples=["vtv bench engine", "vtv bench engine --backend eager --backend openvino:float32 --buckets 1,8"],
        run=run,
    )
    options.add_model(parser)
    parser.add_argument(
        "--backend",
        action="append",
        metavar="BACKEND[:DTYPE]",
        help="repeat for several (default: eager, eager:bfloat16, openvino:float32, openvino; with a GPU "
        "eager:float32, eager, inductor, tensorrt, torch_tensorrt)",
    )
    options.add_device(parser)
    parser.add_argument(
        "--buckets",
        type=values.counts,
        metavar="N,N,...",
        help="batch sizes (default: 1,2,4,8,16; with a GPU up to 128)",
    )
    parser.add_argument(
        "--scope", choices=["answer", "canvas"], default="answer", help="how much of the canvas is decoded"
    )
    add_threads(parser)
    parser.add_argument("--seconds", type=values.not_negative, default=5.0, metavar="S", help="for each row")
    add_report(parser)


def run(a: Namespace) -> int:
    """Measure."""
    from benchmarks.engine import main

    return main(a)
