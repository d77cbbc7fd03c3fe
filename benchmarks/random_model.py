"""A model folder of a known size with random weights: `python -m benchmarks.random_model large DIR`.

Arithmetic does not depend on what the weights hold, and the published checkpoints are not at hand everywhere.
"""

import argparse
from pathlib import Path

import torch

from engine.checkpoint import save_model
from engine.config import PUBLISHED, TRAINABLE
from engine.model import MaeVqgan


def main() -> None:
    """Write the folder."""
    sizes = PUBLISHED | TRAINABLE
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("size", choices=sorted(sizes))
    parser.add_argument("directory", type=Path)
    asked = parser.parse_args()
    torch.manual_seed(0)
    save_model(MaeVqgan(sizes[asked.size]), asked.directory)


if __name__ == "__main__":
    main()
