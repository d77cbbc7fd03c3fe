"""`vtv serve`."""

from argparse import Namespace

from cli import options, values
from cli.parser import Commands

ABOUT = """\
Starts when the model is warmed up and checked, and stops cleanly on Ctrl-C or SIGTERM: requests in hand are answered
first. Every setting has a variable VTV_NAME (see the documentation); an option given here wins over its variable."""


def add(commands: Commands) -> None:
    """Its options; what is not given comes from VTV_ variables, or is the service's default."""
    parser = commands.add(
        "serve",
        "serve the HTTP API and the playground",
        about=ABOUT,
        examples=["vtv serve", "vtv serve --host 0.0.0.0 --port 9000 --store my-store --backend openvino"],
        run=run,
    )
    parser.add_argument("--model", type=values.input_folder, metavar="DIR", help="model folder (default: bundled)")
    parser.add_argument(
        "--store",
        type=values.store,
        metavar="STORE",
        help="artifact store, a folder or s3://bucket/prefix; may be empty still (default: bundled)",
    )
    parser.add_argument(
        "--tower",
        type=values.folder_or("none"),
        metavar="DIR",
        help="image tower of classification tasks; none refuses them (default: bundled)",
    )
    parser.add_argument(
        "--backend", choices=options.BACKENDS, help="what runs the model (default: auto, the best here)"
    )
    parser.add_argument("--host", help="address to listen on (default: 127.0.0.1, this machine alone)")
    parser.add_argument("--port", type=values.whole(0, 65535), help="0 lets the system choose (default: 8000)")


def run(a: Namespace) -> int:
    """Serve until told to stop."""
    from service.server import serve

    return serve(a.model, a.store, a.backend, a.host, a.port, a.tower)
