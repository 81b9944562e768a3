"""The training loop: a step, when to stop, and the best model seen on the validation split."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from langue.base.progress import bar, log
from langue.base.seeds import derive
from langue.models.layers.device import autocast, keep_freed_memory
from langue.tokens.batches import TrainingBatch
from langue.tokens.store import TokenStore
from langue.training.config import TrainingConfig
from langue.training.recipe import Recipe

VALIDATION_TOKENS = 8_192  # of each point of the curve: two batches, so the curve costs little


@dataclass
class Progress:
    """How far a run is, in shares of its budget."""

    config: TrainingConfig
    step_tokens: int
    epoch_steps: int
    started: float = field(default_factory=time.perf_counter)
    step: int = 0

    @property
    def share(self) -> float:
        """0 at the start, 1 when the budget is spent."""
        config = self.config
        if config.steps:
            return self.step / config.steps
        if config.tokens:
            return self.step * self.step_tokens / config.tokens
        if config.epochs:
            return self.step / (config.epochs * self.epoch_steps)
        return self.seconds / (60 * (config.minutes or 3.0))

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.started


def run(recipe: Recipe, model: Any, store: TokenStore) -> dict[str, Any]:
    """Train in place, and leave the model with the weights that were best on the validation split.

    Ctrl-C ends the run early; `interrupted` in what is returned says so.

    Returns:
        What was measured: steps, tokens, seconds, and the validation curve in nats per token.
    """
    config = recipe.training
    assert config is not None
    keep_freed_memory()
    torch.manual_seed(derive(config.seed, "dropout") % 2**63)
    context = model.window
    rows = max(config.batch_tokens // context, 1)
    batches, held_out = (
        recipe.family.batches(
            store.split(split), model.vocabulary, recipe.model, height, context, config.seed
        )
        for split, height in (("train", rows), ("valid", 1))
    )
    validation = held_out.first(max(VALIDATION_TOKENS // context, 1))
    optimiser = _optimiser(model, config)
    progress = Progress(config, batches.rows * batches.context, batches.per_epoch)
    curve: list[dict[str, float]] = []
    best: dict[str, torch.Tensor] = {}
    interrupted = False
    with bar("training", total=1.0) as shown:
        try:
            while (share := progress.share) < 1:
                _set_rate(optimiser, config, share)
                _step(model, batches.batch(progress.step), optimiser, config.clip)
                progress.step += 1
                shown.advance(progress.share - share)
                speed = progress.step * progress.step_tokens / progress.seconds
                shown.note(
                    f"{speed:,.0f} tokens/s" + (f", validation {curve[-1]['loss']:.3f}" if curve else "")
                )
                if progress.share >= (len(curve) + 1) / config.evaluations:
                    best = _measure(model, validation, progress, curve, best)
        except KeyboardInterrupt:
            interrupted = True
    if not best or curve[-1]["step"] != progress.step:
        best = _measure(model, validation, progress, curve, best)
    model.load_state_dict(best)
    model.eval()
    return {
        "steps": progress.step,
        "tokens": progress.step * progress.step_tokens,
        "seconds": round(progress.seconds, 3),
        "validation": curve,
        "interrupted": interrupted,
    }


def _step(model: Any, batch: TrainingBatch, optimiser: torch.optim.Optimizer, clip: float) -> None:
    model.train()
    with autocast(model.device):
        loss = model.loss(batch)
    (loss / batch.targets_count).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)


def _optimiser(model: Any, config: TrainingConfig) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter 2019); biases and norms do not decay."""
    groups = [
        {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.95), fused=True)


def _set_rate(optimiser: torch.optim.Optimizer, config: TrainingConfig, share: float) -> None:
    """Linear warm-up, then cosine down to a tenth."""
    if share < config.warmup:
        factor = max(share / config.warmup, 0.01)
    else:
        done = (share - config.warmup) / max(1 - config.warmup, 1e-9)
        factor = 0.1 + 0.45 * (1 + math.cos(math.pi * min(done, 1.0)))
    for group in optimiser.param_groups:
        group["lr"] = config.learning_rate * factor


def _measure(
    model: Any,
    validation: TrainingBatch,
    progress: Progress,
    curve: list[dict[str, float]],
    best: dict[str, torch.Tensor],
) -> dict[str, torch.Tensor]:
    """Add a point to the curve; the best weights so far."""
    with evaluating(model), autocast(model.device):
        loss = float(model.loss(validation)) / validation.targets_count
    worse = bool(best) and loss > min(point["loss"] for point in curve)
    curve.append({"step": progress.step, "seconds": round(progress.seconds, 3), "loss": loss})
    log.info("step %d: validation %.4f nats a token", progress.step, loss)
    if worse:
        return best
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """The model without dropout or gradients, its memory of the training text put aside."""
    carry, model.carry = model.carry, {}
    model.eval()
    with torch.no_grad():
        yield
    model.carry = carry
