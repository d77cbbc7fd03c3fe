"""Options that several commands share, so that they are called and explained alike."""

from argparse import SUPPRESS
from argparse import _ActionsContainer as Container  # parser or group: argparse has no public name for both

from artifacts.paths import BUNDLED_MODEL, BUNDLED_STORE
from cli import values

BACKENDS = ("auto", "eager", "inductor", "openvino", "tensorrt", "torch_tensorrt")
"""As `engine.backends.choice.BACKENDS`, which would load torch for every `--help`."""


def add_model(command: Container) -> None:
    """`--model`."""
    command.add_argument(
        "--model",
        type=values.input_folder,
        default=BUNDLED_MODEL,
        metavar="DIR",
        help="model folder (default: bundled)",
    )


def add_store(command: Container, *, again: bool = False) -> None:
    """`--store`, to read from; `again` where the command above takes it too."""
    command.add_argument(
        "--store",
        type=values.input_store,
        default=SUPPRESS if again else BUNDLED_STORE,
        metavar="STORE",
        help="artifact store, a folder or s3://bucket/prefix (default: bundled)",
    )


def add_target_store(command: Container) -> None:
    """`--store`, to publish into."""
    command.add_argument(
        "--store",
        type=values.output_store,
        required=True,
        metavar="STORE",
        help="store to publish into, a folder (made if missing) or s3://bucket/prefix",
    )


def add_device(command: Container) -> None:
    """`--device`."""
    command.add_argument(
        "--device", choices=["cpu", "cuda"], help="where to compute (default: cuda where there is one)"
    )


def add_backend(command: Container) -> None:
    """`--backend`; auto is the best that works."""
    command.add_argument("--backend", choices=BACKENDS, default="auto", help="what runs the model")


def add_dataset(command: Container) -> None:
    """`--dataset` and `--fold`."""
    command.add_argument(
        "--dataset",
        type=values.dataset,
        default="demo",
        metavar="DATA",
        help="demo (bundled), a VOC2012-layout folder, or a folder of pairs (input/NAME.*, output/NAME.*)",
    )


def add_fold(command: Container) -> None:
    """`--fold`."""
    command.add_argument(
        "--fold",
        type=values.whole(0, 3),
        metavar="0..3",
        help="this fold of Pascal-5i, of a VOC2012-layout folder (default: all classes, no folds)",
    )


def add_seed(command: Container) -> None:
    """`--seed`."""
    command.add_argument("--seed", type=values.whole(0), default=0, metavar="N", help="of everything drawn at random")


def add_episodes(command: Container) -> None:
    """`--episodes`."""
    command.add_argument(
        "--episodes", type=values.whole(1), default=300, metavar="N", help="held-out examples to score, for each task"
    )


def add_json(command: Container, *, again: bool = False) -> None:
    """`--json`; `again` where the command above takes it too."""
    command.add_argument(
        "--json",
        action="store_true",
        default=SUPPRESS if again else False,
        help="print one JSON object on standard output and nothing else",
    )


def add_output(command: Container, what: str, *, folder: bool = False, required: bool = True) -> None:
    """`-o`, looked at before work begins."""
    kind = values.output_folder if folder else values.output_file
    metavar = "DIR" if folder else "FILE"
    command.add_argument("-o", "--output", type=kind, required=required, metavar=metavar, help=what)


def add_ray(command: Container) -> None:
    """`--ray`."""
    command.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="compute on a Ray cluster: HOST:PORT, auto, or local for one of this machine's processors (default: here)",
    )
