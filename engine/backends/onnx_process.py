"""The export in a process of its own: its libraries take 270 MB, which a process that serves would keep for good.

The network reaches it through a file without a name, so that nothing that is read can have been put there by others,
and nothing is left behind. Its standard input tells it of its parent's end, in whatever way that comes.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final

import torch

from engine.backends.onnx_export import export
from engine.backends.protocol import BackendUnavailable
from engine.errors import EngineError, first_cause
from engine.network import Network

_LONGEST_SECONDS: Final = 1800.0
"""Of an export, which takes some ten: one that is held up would be waited for without end."""
_OWN_ERRORS: Final = {error.__name__: error for error in (EngineError, BackendUnavailable)}


def export_apart(network: Network, bank_dtype: torch.dtype, opset: int, path: Path) -> None:
    """As `export`, for a network that can be pickled. Raises EngineError, too, where the process does not end well."""
    with TemporaryFile(dir=path.parent) as file:
        torch.save(network, file)
        file.seek(0)
        words = [str(file.fileno()), str(bank_dtype).removeprefix("torch."), str(opset), str(path)]
        with subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[file.fileno()],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
        ) as process:
            try:
                assert process.stdout is not None
                with _killed_later(process) as late:
                    told = process.stdout.read()
                    code = process.wait()
            finally:
                process.kill()
    if code and late.is_set():
        raise EngineError(f"{network.name} cannot be exported: it took more than {_LONGEST_SECONDS:g} s")
    if code:
        raise _error(network.name, code, told)


@contextmanager
def _killed_later(process: subprocess.Popen[bytes]) -> Iterator[threading.Event]:
    """A process that takes too long is killed, and the event set."""
    late = threading.Event()

    def kill() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(_LONGEST_SECONDS, kill)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()


def _error(name: str, code: int, told: bytes) -> EngineError:
    """What a process that failed said, or how it ended."""
    if code > 0 and told:
        kind, message = json.loads(told.splitlines()[-1])
        return _OWN_ERRORS[kind](message)
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    return EngineError(f"{name} cannot be exported: the process that does it {how}")


def main() -> int:
    """Export what lies in an open file; on standard output say why it is not possible."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal: its parent decides
    threading.Thread(target=_follow_parent, daemon=True).start()
    descriptor, bank_dtype, opset, path = sys.argv[1:]
    try:
        with open(int(descriptor), "rb") as file:
            network = torch.load(file, map_location="cpu", weights_only=False)  # its parent made it
        export(network, getattr(torch, bank_dtype), int(opset), Path(path))
    except Exception as error:
        known = isinstance(error, EngineError)
        kind = type(error).__name__ if known else EngineError.__name__
        print(json.dumps([kind, str(error) if known else f"the export failed: {first_cause(error)}"]))
        return 1
    return 0


def _follow_parent() -> None:
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
