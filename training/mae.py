"""`vtv train mae`: the MAE from scratch, to predict the tokenizer's codes of what it does not see.

Each step draws one kind of batch: whole prompts (answer hidden), the query alone (so that the zero-shot
canvas is in distribution), or random masking. Targets are soft: codes near the true one in the codebook
count, softmax(-distance / TARGET_TEMPERATURE). No task label is ever given.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from artifacts.data.scenes import load_scenes
from artifacts.errors import TrainingError
from engine.config import MaeConfig, ModelConfig
from engine.device import fast_autocast
from engine.geometry import Quadrant
from engine.model import MaeVqgan
from training.batches import SceneSampler
from training.checkpoint import load_state, save_state
from training.prompts import draw_prompts
from training.quick_look import quick_evaluation
from training.schedule import Budget, cosine
from training.workers import Workers

KINDS = (("one_shot", 0.76), ("zero_shot", 0.20), ("random", 0.04))
RANDOM_VISIBLE = 0.25
TARGET_TEMPERATURE = 0.2  # in units of the codebook's mean squared nearest-neighbour distance
WARM_UP = 200
EVALUATE_EVERY = 500


@dataclass(frozen=True, slots=True)
class MaeRun:
    """What one MAE training needs; `batch` is per worker, `minutes` the whole budget."""

    dataset: Path
    tokenizer: Path
    out: Path
    name: str
    config: MaeConfig
    minutes: float
    batch: int = 16
    rate: float = 1.5e-3
    seed: int = 0


class MaeTrainer:
    """Model, optimiser and data of one run; resumes from `out/mae.pt`."""

    def __init__(self, run: MaeRun, workers: Workers, model: MaeVqgan) -> None:
        self.run, self.workers, self.model = run, workers, model.to(workers.device)
        self.geometry = model.geometry
        self.step, spent = 0, 0.0
        self.state_file = run.out / "mae.pt"
        self.parameters = [p for p in model.mae.parameters() if p.requires_grad]
        decayed = [p for p in self.parameters if p.dim() > 1]
        plain = [p for p in self.parameters if p.dim() <= 1]
        groups = [{"params": decayed, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=run.rate, betas=(0.9, 0.95))
        if (state := load_state(self.state_file, asdict(run.config))) is not None:
            model.mae.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, spent = state["step"], state["spent"]
        cache = run.out / "cache"
        scenes = load_scenes(run.dataset, "train", self.geometry.cell, cache)
        self.sampler = SceneSampler(scenes, run.seed + self.step + 17, workers.rank)
        self.held_out = load_scenes(run.dataset, "val", self.geometry.cell, cache)
        self.kinds = torch.Generator().manual_seed(run.seed + self.step)
        self.scale = self._target_scale()
        self.budget = Budget(run.minutes, workers, spent)

    def train_step(self, progress: float) -> tuple[str, float]:
        """One optimiser step; returns the kind of batch and its loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.run.rate * cosine(progress, self.step, WARM_UP)
        weights = torch.tensor([share for _, share in KINDS])
        kind = KINDS[int(torch.multinomial(weights, 1, generator=self.kinds))][0]
        canvases = draw_prompts(self.sampler, self.geometry, self.run.batch).to(self.workers.device)
        with fast_autocast(self.workers.device):
            loss = self._loss(kind, canvases)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.workers.average_gradients(self.parameters)
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.step += 1
        return kind, float(loss.detach())

    def _loss(self, kind: str, canvases: Tensor) -> Tensor:
        pixels = self.model.normalise(canvases)
        rows, columns = self.geometry.tile_box(Quadrant.QUERY)
        answer_rows, answer_columns = self.geometry.tile_box(Quadrant.ANSWER)
        if kind == "random":
            return self._random_loss(pixels, canvases)
        source = pixels[..., rows, columns] if kind == "zero_shot" else pixels
        logits = self.model.answer_logits(kind, self.model.logits(kind, source))
        return self._cross_entropy(logits, self._targets(canvases[..., answer_rows, answer_columns]))

    def _random_loss(self, pixels: Tensor, canvases: Tensor) -> Tensor:
        """Reconstruct three quarters of the patches from the rest; each quadrant has its own codes."""
        batch, patches = len(pixels), self.geometry.patches
        keep = int(patches * RANDOM_VISIBLE)
        shuffled = torch.rand(batch, patches, generator=self.sampler.generator).argsort(1).to(pixels.device)
        visible, hidden = shuffled[:, :keep].sort(1).values, shuffled[:, keep:].sort(1).values
        order = torch.full((batch, patches + 1), keep + 1, device=pixels.device)
        order.scatter_(1, visible + 1, torch.arange(1, keep + 1, device=pixels.device).expand(batch, -1))
        order[:, 0] = 0
        embedded = self.model.mae.patch_embed(pixels)
        seen = embedded.gather(1, visible[..., None].expand(-1, -1, embedded.shape[2]))
        latent = self.model.mae.encode(self.model.mae.embed(seen, visible))
        everywhere = torch.arange(patches, device=pixels.device)
        logits = self.model.mae.decode(latent, order, everywhere)[:, 1:]
        target = self._canvas_targets(canvases)
        pick = hidden[..., None].expand(-1, -1, logits.shape[2])
        return self._cross_entropy(logits.gather(1, pick), target.gather(1, pick))

    def _cross_entropy(self, logits: Tensor, target: Tensor) -> Tensor:
        return -(target * F.log_softmax(logits.float(), -1)).sum(-1).mean()

    @torch.no_grad()
    def _targets(self, tiles: Tensor) -> Tensor:
        """Tiles [B,3,T,T] in [0, 1] -> soft targets [B,half*half,codes]."""
        distance = self.model.vae.distances(self.model.vae.latents(tiles * 2 - 1))
        return torch.softmax(-distance / (TARGET_TEMPERATURE * self.scale), -1)

    def _canvas_targets(self, canvases: Tensor) -> Tensor:
        out = canvases.new_empty(len(canvases), self.geometry.patches, self.model.config.mae.codes)
        for quadrant, patches in zip(Quadrant, self.geometry.quadrant_patches, strict=True):
            rows, columns = self.geometry.tile_box(quadrant)
            out[:, list(patches)] = self._targets(canvases[..., rows, columns])
        return out

    def _target_scale(self) -> Tensor:
        book = self.model.vae.codebook.detach().float()
        distance = torch.cdist(book, book).square().fill_diagonal_(float("inf"))
        return distance.min(1).values.mean()

    def state(self) -> dict[str, Any]:
        """Everything a resume needs."""
        return {
            "model": self.model.mae.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "spent": self.budget.spent,
            "name": self.run.name,
            "config": asdict(self.run.config),
        }


def model_with_tokenizer(run: MaeRun) -> MaeVqgan:
    """A fresh MAE around a trained, frozen tokenizer."""
    state = load_state(run.tokenizer)
    if state is None:
        raise TrainingError(f"no tokenizer at {run.tokenizer}: train one first with `vtv train tokenizer`")
    torch.manual_seed(run.seed)
    model = MaeVqgan(ModelConfig.from_json({"name": run.name, "mae": asdict(run.config), "vqgan": state["config"]}))
    initialise(model.mae)
    model.vae.load_state_dict(state["model"])
    model.vae.requires_grad_(False).eval()
    return model


def initialise(mae: torch.nn.Module) -> None:
    """Xavier-uniform linear layers and small tokens, as in MAE."""
    for name, parameter in mae.named_parameters():
        if name in ("cls_token", "mask_token"):
            torch.nn.init.normal_(parameter, std=0.02)
        elif parameter.dim() > 1:
            torch.nn.init.xavier_uniform_(parameter.view(parameter.shape[0], -1))
        elif name.endswith(".bias"):
            torch.nn.init.zeros_(parameter)


def train_mae(run: MaeRun) -> None:
    """Train until the budget is spent; progress on standard output, checkpoint at every evaluation."""
    workers = Workers()
    trainer = MaeTrainer(run, workers, model_with_tokenizer(run))
    losses: dict[str, list[float]] = {kind: [] for kind, _ in KINDS}
    while (progress := trainer.budget.progress()) < 1.0:
        kind, loss = trainer.train_step(progress)
        losses[kind].append(loss)
        if trainer.step % 50 == 0 and workers.lead:
            shown = " ".join(f"{k} {sum(v) / len(v):.3f}" for k, v in losses.items() if v)
            print(f"step {trainer.step} {progress:.1%} {shown}", flush=True)
            losses = {k: [] for k in losses}
        if trainer.step % EVALUATE_EVERY == 0 and workers.lead:
            report(trainer)
    if workers.lead:
        report(trainer)


def report(trainer: MaeTrainer) -> None:
    """Save, then evaluate on held-out prompts and print."""
    save_state(trainer.state_file, trainer.state())
    result = quick_evaluation(trainer.model, trainer.held_out, 96)
    print(f"step {trainer.step} held out: {result}", flush=True)
