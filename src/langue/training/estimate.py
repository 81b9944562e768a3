"""What a run would take, before it starts: `langue train --dry-run`."""

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from langue.base.errors import LangueError
from langue.tokens.store import TokenStore
from langue.training.metrics import clock, figures_for, peak_memory
from langue.training.recipe import Recipe
from langue.training.train import new_model, trainer_of, training_of

if TYPE_CHECKING:
    from langue.training.trainer import Trainer

STEPS = 3  # tried at most
PATIENCE = 2.0  # seconds: a part of a step that takes longer is not tried with four times the rows


@dataclass(frozen=True)
class Estimate:
    """Counted where it can be, else measured in a few steps on this machine."""

    family: str
    parameters: int
    epoch_tokens: int
    batch_tokens: int  # of a step
    steps: int
    epochs: float
    seconds: float
    tokens_per_second: float
    share_of_peak: float | None
    state_bytes: int  # weights, gradients, and all that a checkpoint holds
    peak_bytes: int  # of this process in those steps
    tried: float  # share of a step that was tried
    all_held: bool  # whether as many rows passed at a time as will in training

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        share = f", {self.share_of_peak:.0%} of the machine's peak" if self.share_of_peak else ""
        more = "" if self.all_held else " (more in training)"
        tried = "steps" if self.tried == 1 else f"{self.tried:.2%} of a step"
        rows = {
            "model": f"{self.family}, {self.parameters:,} parameters",
            "data": f"{self.epoch_tokens:,} tokens an epoch",
            "budget": f"{self.steps:,} steps of {self.batch_tokens:,} tokens: {self.epochs:,.2f} epochs",
            "memory": f"{self.peak_bytes / 1e6:,.0f} MB measured{more}, of which weights, gradients and "
            f"optimizer {self.state_bytes / 1e6:,.0f} MB",
            "speed": f"{self.tokens_per_second:,.0f} tokens/s measured in {tried}{share}",
            "time": f"{clock(self.seconds)}, without evaluations and checkpoints",
        }
        return "\n".join(f"{name:8} {value}" for name, value in rows.items())


def estimate(recipe: Recipe, store: TokenStore) -> Estimate:
    """Try a few steps, or parts of long ones, and forget them; nothing is written.

    Raises:
        LangueError: the store has nothing to train on, or there are several processes.
    """
    from langue.nn.device import keep_freed_memory
    from langue.training.distributed import world
    from langue.training.tensors import weights

    keep_freed_memory()
    if (alone := world()).size > 1:
        raise LangueError("a dry run is of one process: start it without torchrun")
    model = new_model(recipe, store)
    trainer = trainer_of(recipe, model, store, alone)
    rows, seconds = _tried(trainer)
    tried = rows / trainer.source.rows
    speed = trainer.step_tokens / seconds
    progress = trainer.budget.progress(1, seconds)  # of the run that one step is
    epoch_tokens = trainer.source.per_epoch * trainer.step_tokens
    steps = max(round(1 / progress), 1)
    average = trainer.average.tensors if trainer.average is not None else {}
    # The gradients, and the best weights, are as large as the weights.
    groups = [*[weights(model)] * 3, trainer.optimizer.tensors(), average]
    return Estimate(
        family=recipe.family.name,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        epoch_tokens=epoch_tokens,
        batch_tokens=trainer.step_tokens,
        steps=steps,
        epochs=steps * trainer.step_tokens / epoch_tokens,
        seconds=steps * seconds,
        tokens_per_second=speed,
        share_of_peak=figures_for(model, store.manifest, training_of(recipe).precision, 1).share_of_peak(
            speed
        ),
        state_bytes=sum(tensor.nbytes for group in groups for tensor in group.values()),
        peak_bytes=peak_memory(),
        tried=tried,
        all_held=rows >= trainer.state.micro_batch_rows,
    )


def _tried(trainer: "Trainer") -> tuple[int, float]:
    """How many rows of a batch were tried, and the seconds of a step with all of them.

    A step costs something whatever its rows (the optimizer's part) and something for each: two sizes tell
    them apart.
    """
    rows, seconds, of_a_row = 1, _time(trainer, 1), 0.0
    while rows < trainer.source.rows and (rows == 1 or seconds < PATIENCE):
        more = min(4 * rows, trainer.source.rows)
        longer = _time(trainer, more)
        of_a_row = max(longer - seconds, 0.0) / (more - rows)
        rows, seconds = more, longer
    return rows, seconds + of_a_row * (trainer.source.rows - rows)


def _time(trainer: "Trainer", rows: int) -> float:
    """Seconds of a step with the first rows of a batch."""
    trainer.model.carry = {}
    seconds: list[float] = []
    while len(seconds) < 2 or (len(seconds) < STEPS and sum(seconds) < PATIENCE):
        started = time.perf_counter()
        trainer.step(trainer.source.batch(trainer.state.step).cut(0, rows))
        seconds.append(time.perf_counter() - started)
    return min(seconds[1:])  # in the first, memory is fetched and kernels are chosen
