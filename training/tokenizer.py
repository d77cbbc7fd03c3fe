"""`vtv train tokenizer`: the VQGAN from scratch, on quadrants of canvases.

Loss: L1 + 4 MSE + half the multi-scale gradient difference + a quarter of the commitment. The first steps
run unquantised; the codebook then starts from k-means of what the encoder has learnt to say.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from artifacts.data.scenes import Scenes, load_scenes
from engine.config import VqganConfig
from engine.device import fast_autocast
from engine.geometry import Geometry
from engine.vqgan import Vqgan
from training.batches import SceneSampler, tiles
from training.checkpoint import load_state, save_state
from training.quantizer import AveragedCodebook
from training.schedule import Budget, cosine
from training.workers import Workers

UNQUANTISED_STEPS = 250
WARM_UP = 50
EVALUATE_EVERY = 100
COMMITMENT = 0.25


@dataclass(frozen=True, slots=True)
class TokenizerRun:
    """What one tokenizer training needs; `batch` is per worker, `minutes` the whole budget."""

    dataset: Path
    out: Path
    config: VqganConfig
    minutes: float
    batch: int = 32
    rate: float = 1e-3
    seed: int = 0
    decoder_only: bool = False


def reconstruction_loss(output: Tensor, target: Tensor) -> Tensor:
    """L1 + 4 MSE + 0.5 multi-scale gradient difference of pictures [B,3,H,W]."""
    loss = F.l1_loss(output, target) + 4 * F.mse_loss(output, target)
    for _ in range(3):
        for axis in (-1, -2):
            loss = loss + 0.5 / 3 * F.l1_loss(output.diff(dim=axis), target.diff(dim=axis))
        output, target = F.avg_pool2d(output, 2), F.avg_pool2d(target, 2)
    return loss


class TokenizerTrainer:
    """Model, codebook, optimiser and data of one run; resumes from `out/tokenizer.pt`."""

    def __init__(self, run: TokenizerRun, workers: Workers) -> None:
        self.run, self.workers = run, workers
        torch.manual_seed(run.seed)
        self.geometry = Geometry()
        self.model = Vqgan(run.config).to(workers.device)
        self.book = AveragedCodebook(run.config.codes, run.config.code_width, workers).to(workers.device)
        self.step, spent = 0, 0.0
        self.state_file = run.out / "tokenizer.pt"
        state = load_state(self.state_file, asdict(run.config))
        if state is not None:
            self.model.load_state_dict(state["model"])
            self.book.load_state_dict(state["book"])
            self.step, spent = state["step"], state["spent"]
        if run.decoder_only:
            self.model.encoder.requires_grad_(False)
            self.model.quant_conv.requires_grad_(False)
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=run.rate, betas=(0.9, 0.95), weight_decay=1e-4)
        if state is not None and state["decoder_only"] == run.decoder_only:
            self.optimizer.load_state_dict(state["optimizer"])
        elif run.decoder_only:
            spent = 0.0
        cache = run.out / "cache"
        self.train = SceneSampler(self._scenes("train", cache), run.seed + self.step, workers.rank)
        self.held_out = self._held_out(self._scenes("val", cache))
        self.budget = Budget(run.minutes, workers, spent)

    def _scenes(self, split: str, cache: Path) -> Scenes:
        return load_scenes(self.run.dataset, split, self.geometry.cell, cache)

    def _held_out(self, scenes: Scenes) -> Tensor:
        return tiles(SceneSampler(scenes, 1, 0), self.geometry, 192) * 2 - 1

    def train_step(self, progress: float) -> dict[str, float]:
        """One optimiser step; returns figures to log."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.run.rate * cosine(progress, self.step, WARM_UP)
        target = (tiles(self.train, self.geometry, self.run.batch) * 2 - 1).to(self.workers.device)
        quantised = self.step > UNQUANTISED_STEPS
        with fast_autocast(self.workers.device):
            latents = self.model.latents(target).float()
            if self.step == UNQUANTISED_STEPS:
                self._start_codebook()
            codes, index, commitment = self.book(latents) if quantised else (latents, None, latents.new_zeros(()))
            output = self.model.decoder(self.model.post_quant_conv(codes))
        loss = reconstruction_loss(output.float(), target) + COMMITMENT * commitment
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.workers.average_gradients(self.parameters)
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        restarted = 0
        if index is not None and not self.run.decoder_only:
            flat = latents.detach().permute(0, 2, 3, 1).reshape(-1, latents.shape[1])
            restarted = self.book.learn(flat, index)
        self.step += 1
        return {"loss": float(loss.detach()), "restarted": float(restarted)}

    @torch.no_grad()
    def _start_codebook(self) -> None:
        rows = [
            self.model.latents((tiles(self.train, self.geometry, self.run.batch) * 2 - 1).to(self.workers.device))
            for _ in range(8)
        ]
        self.book.k_means(torch.cat([r.float().permute(0, 2, 3, 1).reshape(-1, r.shape[1]) for r in rows]))

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """PSNR in dB and codes in use on held-out quadrants."""
        errors, used = [], []
        for part in self.held_out.split(64):
            target = part.to(self.workers.device)
            with fast_autocast(self.workers.device):
                codes, index, _ = self.book(self.model.latents(target).float())
                output = self.model.decoder(self.model.post_quant_conv(codes))
            errors.append(((output.float().clamp(-1, 1) - target) / 2).square().mean((1, 2, 3)))
            used.append(index)
        psnr = -10 * torch.log10(torch.cat(errors)).mean()
        return {"psnr": float(psnr), "codes": float(torch.cat(used).unique().numel())}

    def state(self) -> dict[str, Any]:
        """Everything a resume needs."""
        self.model.codebook.data.copy_(self.book.table)
        return {
            "model": self.model.state_dict(),
            "book": self.book.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "spent": self.budget.spent,
            "decoder_only": self.run.decoder_only,
            "config": asdict(self.run.config),
        }


def train_tokenizer(run: TokenizerRun) -> None:
    """Train until the budget is spent; progress on standard output, checkpoint at every evaluation."""
    workers = Workers()
    trainer = TokenizerTrainer(run, workers)
    while (progress := trainer.budget.progress()) < 1.0:
        figures = trainer.train_step(progress)
        if trainer.step % 20 == 0 and workers.lead:
            print(
                f"step {trainer.step} {progress:.1%} loss {figures['loss']:.4f} restarted {figures['restarted']:.0f}",
                flush=True,
            )
        if trainer.step % EVALUATE_EVERY == 0 and workers.lead:
            report(trainer)
    if workers.lead:
        report(trainer)


def report(trainer: TokenizerTrainer) -> None:
    """Evaluate, print, save."""
    result = trainer.evaluate()
    print(f"step {trainer.step} held out: PSNR {result['psnr']:.2f} dB, {result['codes']:.0f} codes in use", flush=True)
    save_state(trainer.state_file, trainer.state())
