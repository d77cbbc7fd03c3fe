"""Options that several benchmarks share."""

from argparse import ArgumentParser

from cli import options, values


def add_report(parser: ArgumentParser) -> None:
    """`-o` and `--json`."""
    options.add_output(parser, "also write the JSON to a file (default: none)", required=False)
    options.add_json(parser)


def add_plot(parser: ArgumentParser) -> None:
    """`--plot`."""
    parser.add_argument(
        "--plot",
        type=values.output_file,
        metavar="FILE",
        help="also draw latency against throughput, PNG (default: none)",
    )


def add_threads(parser: ArgumentParser) -> None:
    """`--threads`."""
    parser.add_argument(
        "--threads", type=values.whole(1), metavar="N", help="of the processor (default: as many as torch takes)"
    )


def add_load(parser: ArgumentParser, *, seconds: str, warm_up: float) -> None:
    """How long a load lasts and what counts as answered in time."""
    parser.add_argument("--seconds", type=values.positive, default=5.0, metavar="S", help=seconds)
    parser.add_argument(
        "--warm-up",
        type=values.not_negative,
        default=warm_up,
        metavar="S",
        help="seconds of load before the first that counts",
    )
    parser.add_argument(
        "--bound-ms", type=values.positive, default=250.0, metavar="MS", help="goodput counts answers within it"
    )
