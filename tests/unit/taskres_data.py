"""A tower of random weights with class texts, and class folders of pictures that it tells apart."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from artifacts.taskres.text_map import TextMap, save_text_map
from engine.towers.folder import save_tower
from tests.support import random_tower

NAMES = ("ant", "basset hound", "cat")
COLOURS = {"ant": (220, 40, 40), "basset hound": (40, 220, 40), "cat": (40, 40, 220)}


def make_tower_folder(folder: Path) -> str:
    """Returns its fingerprint."""
    mark = save_tower(random_tower(), folder)
    generator = torch.Generator().manual_seed(5)
    rows, weight = torch.randn(4, 1280, generator=generator), torch.randn(8, 1280, generator=generator)
    save_text_map(TextMap(rows, torch.zeros(8), weight, (*NAMES, "dog"), 20.0, mark), folder)
    return mark


def make_class_folders(root: Path, names: tuple[str, ...] = NAMES, train: int = 5, test: int = 4) -> Path:
    """Noisy pictures of a colour for each class."""
    for split, count in (("train", train), ("test", test)):
        for name in names:
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                draw = np.random.default_rng([number, len(split), *name.encode()])
                noise = draw.normal(0, 25, (24, 30, 3)) + COLOURS[name]
                Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(root / split / name / f"{number}.png")
    return root
