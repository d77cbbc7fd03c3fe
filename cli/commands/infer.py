"""`vtv infer`."""

from argparse import Namespace

from cli import options, values
from cli.parser import Commands


def add(commands: Commands) -> None:
    """Its options."""
    parser = commands.add(
        "infer",
        "answer one picture without a server",
        about="The steps are those of the service, in this process. `vtv tasks` lists the tasks.",
        examples=[
            "vtv infer cat.jpg --task segmentation -o mask.png --size original --threshold auto",
            "vtv infer cat.jpg --task inpaint --mask hole.png -o filled.jpg",
        ],
        run=run,
    )
    parser.add_argument("image", type=values.input_file, metavar="IMAGE", help="the picture's file")
    parser.add_argument("--task", required=True, metavar="NAME", help="what to do with it")
    parser.add_argument(
        "-o",
        "--output",
        type=values.output_picture,
        required=True,
        metavar="FILE",
        help="the answer's file; its ending says the format: .png, .jpg or .webp",
    )
    parser.add_argument(
        "--size", choices=["native", "original"], default="native", help="112 px, or the picture's own size"
    )
    parser.add_argument(
        "--refine", choices=["auto", "guided", "none"], default="auto", help="auto: as the task's artifact says"
    )
    parser.add_argument(
        "--mask",
        type=values.input_file,
        metavar="FILE",
        help="for tasks that fill holes: a picture, white where to paint (default: the black holes of IMAGE)",
    )
    parser.add_argument(
        "--threshold",
        choices=["none", "auto"],
        default="none",
        help="auto: masks in black and white, cut where the artifact says",
    )
    options.add_model(parser)
    options.add_store(parser)


def run(a: Namespace) -> int:
    """Paint one answer."""
    from artifacts.infer import Wanted, infer_file

    a.output.parent.mkdir(parents=True, exist_ok=True)
    wanted = Wanted(a.size, a.refine, a.mask, a.threshold)
    infer_file(a.model, a.store, a.image, a.task, a.output, wanted)
    return 0
