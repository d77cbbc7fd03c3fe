"""`vtv train mae`: the MAE, from scratch or from a model, to predict the tokenizer's codes of what it does not see.

Each step draws one kind of batch: whole prompts (answer hidden), the query alone (so that the zero-shot
canvas is in distribution), the query under its task's mean heads (`training.steering`: what is served), or random
masking. Targets are soft: codes near the true one in the codebook count, softmax(-distance / TARGET_TEMPERATURE).
Beside it the query's tokens may be drawn to a teacher's features (`training.teacher`) and asked for the query's mask
(`training.foreground`), and answers that are masks judged by their soft IoU (`training.mask_loss`). The weights'
average over steps is what is judged and exported.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from artifacts.console import say
from artifacts.data.scenes import PLAIN, TUNE, Scenes, has_split, load_scenes
from engine.config import MaeConfig
from engine.device import fast_autocast
from engine.geometry import Quadrant
from engine.model import MaeVqgan
from engine.program import Scope
from training.average import Average
from training.batches import Drawn, Part, SceneSampler
from training.checkpoint import load_state, save_state
from training.code_loss import CodeLoss
from training.drop_path import drop_paths
from training.foreground import Foreground
from training.mask_loss import MaskLoss
from training.prompts import Prompts, draw_prompts, draw_queries, task_pairs
from training.quick_look import quick_evaluation
from training.schedule import Budget, cosine
from training.start import from_model, from_nothing
from training.steering import MeanHeads
from training.teacher import CHANNELS, distance, scene_features
from training.workers import Workers

KINDS = (("one_shot", 0.18), ("vector", 0.60), ("zero_shot", 0.16), ("random", 0.06))
WARM_UP = 200
EVALUATE_EVERY = 500


@dataclass(frozen=True, slots=True)
class MaeRun:
    """What one MAE training needs; `batch` is per worker, `minutes` the whole budget.

    `datasets`: folders and how often each is drawn, relative to the others; the first is judged by. `distil`,
    `mask` and `foreground`: weights of the teacher's loss, of the masks' soft IoU and of what the query's tokens say
    of its mask, 0 for none. `drop_path`: how often the last blocks are left out (`training.drop_path`).
    """

    datasets: tuple[tuple[Path, float], ...]
    tokenizer: Path
    out: Path
    name: str
    config: MaeConfig
    minutes: float
    batch: int = 16
    rate: float = 1.5e-3
    seed: int = 0
    distil: float = 0.0
    mask: float = 0.0
    foreground: float = 0.0
    drop_path: float = 0.0


class MaeTrainer:
    """Model, optimiser and data of one run; resumes from `out/mae.pt`."""

    def __init__(self, run: MaeRun, workers: Workers, model: MaeVqgan) -> None:
        self.run, self.workers, self.model = run, workers, model.to(workers.device)
        self.geometry = model.geometry
        self.step, spent = 0, 0.0
        self.state_file = run.out / "mae.pt"
        self.sampler = SceneSampler(self._parts(), run.seed + 17, workers.rank)
        self.held_out = self._scenes(0, TUNE if has_split(run.datasets[0][0], TUNE) else "val")
        self.means = MeanHeads(model, len(task_pairs()[0]))
        self.guess = nn.Linear(run.config.width, CHANNELS if run.distil else 1).to(workers.device)
        self.foreground = Foreground(self.geometry, run.config.width).to(workers.device)
        self.parameters = [p for p in model.mae.parameters() if p.requires_grad]
        for weight, part in ((run.distil, self.guess), (run.foreground, self.foreground)):
            self.parameters += list(part.parameters()) if weight else []
        decayed = [p for p in self.parameters if p.dim() > 1]
        plain = [p for p in self.parameters if p.dim() <= 1]
        groups = [{"params": decayed, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=run.rate, betas=(0.9, 0.95), fused=True)
        self.average = Average(model.mae)
        if (state := load_state(self.state_file, asdict(run.config))) is not None:
            model.mae.load_state_dict(state["model"])
            self.average.load(state["average"])
            self.guess.load_state_dict(state["guess"])
            self.foreground.load_state_dict(state["foreground"])
            self.means.load(state["means"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, spent = state["step"], state["spent"]
            self.sampler.reseed((run.seed + 17 + self.step) * 1009 + workers.rank)
        self.kinds = torch.Generator().manual_seed(run.seed + self.step)
        if run.drop_path:
            drop_paths(model.mae, run.drop_path, self.sampler.generator)
        self.codes = CodeLoss(model)
        self.masks = MaskLoss(model, self.sampler.parts[0].scenes, task_pairs()[0]) if run.mask else None
        self.budget = Budget(run.minutes, workers, spent)

    def train_step(self, progress: float) -> tuple[str, float]:
        """One optimiser step; returns the kind of batch and its loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.run.rate * cosine(progress, self.step, WARM_UP)
        kind = self._kind()
        prompts = self._prompts(kind)
        with fast_autocast(self.workers.device):
            loss, beside = self._loss(kind, prompts)
        self.optimizer.zero_grad(set_to_none=True)
        (loss if beside is None else loss + beside).backward()
        self.workers.average_gradients(self.parameters)
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.average.update(self.model.mae, self.step)
        self.step += 1
        return kind, float(loss.detach())

    def _kind(self) -> str:
        """The kind of the next batch; whole prompts until every pair's mean heads are known."""
        weights = torch.tensor([share for _, share in KINDS])
        kind = KINDS[int(torch.multinomial(weights, 1, generator=self.kinds))][0]
        return "one_shot" if kind == "vector" and not self.means.ready else kind

    def _parts(self) -> list[Part]:
        """Each data set's scenes, and those without masks where it lists some."""
        parts = []
        for index, (folder, share) in enumerate(self.run.datasets):
            splits = [split for split in ("train", PLAIN) if has_split(folder, split)]
            found = {split: self._scenes(index, split) for split in splits}
            total = sum(map(len, found.values()))
            for split, scenes in found.items():
                file = self.run.out / "cache" / str(index) / f"{split}-features.npy"
                features = scene_features(folder, split, file, say) if self.run.distil else None
                parts.append(Part(scenes, share * len(scenes) / total, features))
        return parts

    def _scenes(self, index: int, split: str) -> Scenes:
        return load_scenes(self.run.datasets[index][0], split, self.geometry.cell, self.run.out / "cache" / str(index))

    def _prompts(self, kind: str) -> Prompts:
        """Queries alone are a third of a prompt's work: twice as many fit a step."""
        if kind in ("vector", "zero_shot"):
            return draw_queries(self.sampler, self.geometry, 2 * self.run.batch, alike=kind == "zero_shot")
        return draw_prompts(self.sampler, self.geometry, self.run.batch)

    def _loss(self, kind: str, prompts: Prompts) -> tuple[Tensor, Tensor | None]:
        """Of the codes, and what else the query's tokens are asked for."""
        canvases, pair = (t.to(self.workers.device) for t in (prompts.canvas, prompts.pair))
        if kind == "random":
            return self.codes.of_random(canvases, self.sampler.generator), None
        pixels = self.model.normalise(canvases)
        rows, columns = self.geometry.tile_box(Quadrant.QUERY)
        name = "one_shot" if kind == "one_shot" else "zero_shot"
        encoder, decoder, edits = self.means.recorder()
        if kind == "vector":
            some = self.sampler.generator if self.step % 2 else None
            edits = self.means.edits(self.model, pair, some)
        source = pixels if name == "one_shot" else pixels[..., rows, columns]
        latent = self.model.latent(name, source, edits[0])
        logits = self.model.logits_of(name, latent, edits[1], scope=Scope.ANSWER)
        if kind == "one_shot":
            self.means.learn(pair, encoder, decoder)
        loss = self.codes.of_answers(logits, canvases)
        if self.masks is not None and kind != "zero_shot":  # a bare query does not tell that a mask is asked for
            loss = loss + self.run.mask * self.masks.of_answers(logits, canvases, pair)
        return loss, self._beside(name, latent, prompts.query)

    def _beside(self, name: str, latent: Tensor, query: Drawn) -> Tensor | None:
        """How far the query's tokens, of [B,1+V,width], are from its teacher's features and its mask, weighted."""
        visible = self.model.program(name).visible
        tokens = latent[:, [1 + visible.index(patch) for patch in self.geometry.quadrant_patches[Quadrant.QUERY]]]
        losses = []
        if self.run.distil and query.features is not None and query.taught.any():
            rows = query.taught.to(latent.device)
            seen = query.features.to(latent.device)[rows]
            losses.append(self.run.distil * distance(self.guess(tokens[rows]), seen))
        if self.run.foreground and query.known.any():
            rows = query.known.to(latent.device)
            masks = query.scene.mask.to(latent.device)[rows]
            losses.append(self.run.foreground * self.foreground(tokens[rows], masks))
        return torch.stack(losses).sum() if losses else None

    def state(self) -> dict[str, Any]:
        """Everything a resume needs."""
        return {
            "model": self.model.mae.state_dict(),
            "average": self.average.values,
            "guess": self.guess.state_dict(),
            "foreground": self.foreground.state_dict(),
            "means": self.means.state(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "spent": self.budget.spent,
            "name": self.run.name,
            "config": asdict(self.run.config),
        }


def train_mae(run: MaeRun, start: Path | None = None, blocks: tuple[int, int] | None = None) -> None:
    """Train until the budget is spent, from a model directory if there is one, deepened to `blocks` of encoder and
    decoder; a checkpoint at every evaluation."""
    workers = Workers()
    if start is None:
        model = from_nothing(run.tokenizer, run.name, run.config, run.seed)
    else:
        model = from_model(start, run.out, blocks)
        run = replace(run, name=model.config.name, config=model.config.mae)
    trainer = MaeTrainer(run, workers, model)
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
    """Save, then judge the averaged weights on held-out prompts and print."""
    save_state(trainer.state_file, trainer.state())
    current = {name: value.clone() for name, value in trainer.model.mae.state_dict().items()}
    trainer.model.mae.load_state_dict(trainer.average.values)
    result = quick_evaluation(trainer.model, trainer.held_out, 96)
    trainer.model.mae.load_state_dict(current)
    print(f"step {trainer.step} held out: {result}", flush=True)
