"""CLIP from a folder on disk, in the format of `transformers` (`save_pretrained`): both towers and the scale.

OpenAI's checkpoints with a vision transformer, and OpenCLIP's that were exported to this format. Nothing is fetched.
"""

import json
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from artifacts.errors import OfflineError
from artifacts.store.residual import TaskResidual
from artifacts.taskres.base import base_of, class_base
from artifacts.taskres.templates import filled
from engine.checkpoint import load_exactly
from engine.towers.clip import INSTALL, SHAPE, ClipTower

MEAN, STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
"""OpenAI's, where the folder has no preprocessor_config.json."""
TOKENIZER_FILES = (("tokenizer.json",), ("vocab.json", "merges.txt"))
BATCH = 64


class Clip:
    """Both towers of a folder; raises OfflineError where the library cannot read it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model = _load(folder)
        self.scale = float(self.model.logit_scale.exp())
        self.tower = ""

    def image_tower(self) -> ClipTower:
        """With pictures prepared as the folder says."""
        vision = self.model.config.vision_config
        mean, std, edge = self._preparation(int(vision.image_size))
        width = int(self.model.visual_projection.out_features)
        tower = ClipTower({name: getattr(vision, name) for name in SHAPE}, width, edge, mean, std)
        kept = ("vision_model.", "visual_projection.")
        state = {name: tensor for name, tensor in self.model.state_dict().items() if name.startswith(kept)}
        load_exactly(tower, state)
        return tower.eval().requires_grad_(False)

    @property
    def projection(self) -> Tensor:
        """The text projection, float32 [W,D]."""
        weight: Tensor = self.model.text_projection.weight
        return weight.T.contiguous()

    @torch.inference_mode()
    def hidden(self, names: Sequence[str], templates: Sequence[str], keep_underscores: bool = False) -> Tensor:
        """End-of-text features before the projection, float32 [K,T,W]."""
        texts = [text for name in names for text in filled(templates, name, keep_underscores)]
        most = int(self.model.config.text_config.max_position_embeddings)
        found = []
        for start in range(0, len(texts), BATCH):
            part = texts[start : start + BATCH]
            tokens = self._tokenizer(part, padding="max_length", truncation=True, max_length=most, return_tensors="pt")
            found.append(self.model.text_model(**tokens).pooler_output)
        return torch.cat(found).reshape(len(names), len(templates), -1)

    def base(self, names: Sequence[str], templates: Sequence[str], keep_underscores: bool = False) -> TaskResidual:
        """The public trainer's regular base."""
        rows = class_base(self.hidden(names, templates, keep_underscores), self.projection)
        return base_of(rows, self.scale, names, self.tower)

    @cached_property
    def _tokenizer(self) -> Any:
        from transformers import CLIPTokenizer

        # Of a folder without these the library makes a tokenizer that knows no word, without a word.
        if not any(all((self.folder / file).is_file() for file in files) for files in TOKENIZER_FILES):
            raise OfflineError(f"{self.folder} has no tokenizer: tokenizer.json, or vocab.json and merges.txt")
        try:
            tokenizer = CLIPTokenizer.from_pretrained(str(self.folder))
        except Exception as error:  # the library raises whatever it stumbles over
            raise OfflineError(f"{self.folder} has no tokenizer that can be read: {_line(error)}") from None
        if len(tokenizer) != (size := self.model.config.text_config.vocab_size):
            raise OfflineError(f"{self.folder}: a tokenizer of {len(tokenizer)} words does not fit a model of {size}")
        return tokenizer

    def _preparation(self, size: int) -> tuple[list[float], list[float], int]:
        """Means, deviations, and the shorter edge before the crop."""
        path = self.folder / "preprocessor_config.json"
        try:
            about = json.loads(path.read_text()) if path.is_file() else {}
            edge = about.get("size", size)
            edge = edge["shortest_edge"] if isinstance(edge, dict) else edge
            return list(about.get("image_mean", MEAN)), list(about.get("image_std", STD)), int(edge)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise OfflineError(f"{path} is not understood: {_line(error)}") from None


def _load(folder: Path) -> Any:
    os.environ["HF_HUB_OFFLINE"] = "1"  # the library would otherwise ask the network for what the folder lacks
    try:
        from transformers import CLIPModel
        from transformers.utils import logging
    except ImportError:
        raise OfflineError(f"CLIP needs more packages: {INSTALL}") from None
    logging.disable_progress_bar()
    library: Any = CLIPModel  # its types say that loading gives a model alone
    try:
        model, about = library.from_pretrained(
            str(folder), local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except Exception as error:  # the library raises whatever it stumbles over
        raise OfflineError(f"{folder} is no CLIP in the format of transformers: {_line(error)}") from None
    if about["missing_keys"]:
        raise OfflineError(f"{folder} lacks {', '.join(sorted(about['missing_keys']))[:160]}")
    return model.float().eval().requires_grad_(False)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
