"""What is measured between steps, which figure is the better, and the weights that were best."""

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch

from langue.nn.precision import autocast
from langue.protocols import Trainable
from langue.tokens.batches import TrainingBatch
from langue.training import failures, forward
from langue.training.state import State
from langue.training.tensors import copy, weights
from langue.training.trainer import Trainer


class Validation(NamedTuple):
    """How a model is measured while it is trained."""

    measure: Callable[[int], float]  # of the weights as they stand, at most so many rows at a time
    figure: str = "loss"  # what it is
    larger_is_better: bool = False
    patience: int = 0  # points in a row that are no better, after which training stops; 0: it goes on

    def best(self, curve: list[dict[str, float]]) -> float:
        """The best figure of a curve that has points."""
        figures = [point[self.figure] for point in curve]
        return max(figures) if self.larger_is_better else min(figures)


def validation_loss(model: Trainable, batch: TrainingBatch, row_tokens: int, precision: str) -> Validation:
    """Nats per target of a batch, no more at a time than in training: rows of a stream may be longer here.

    Args:
        row_tokens: of a row in training.
    """
    longer = max(batch.targets_count / (batch.rows * row_tokens), 1.0)

    def measure(rows: int) -> float:
        at_once = max(int(rows / longer), 1)
        total = 0.0
        for begin in range(0, batch.rows, at_once):
            with evaluating(model), autocast(model.device, precision):
                total += float(model.loss(batch.cut(begin, min(begin + at_once, batch.rows))))
        return float(total / batch.targets_count)

    return Validation(measure)


class Best:
    """The weights that were best on the validation data so far."""

    def __init__(self, trainer: Trainer, validation: Validation) -> None:
        self.trainer = trainer
        self.validation = validation
        self.weights = {name: tensor.clone() for name, tensor in weights(trainer.module).items()}

    @property
    def state(self) -> State:
        return self.trainer.state

    @property
    def point(self) -> int:
        """Which point of the curve they are of, from 0."""
        curve, figure = self.state.curve, self.validation.figure
        best = self.validation.best(curve)
        return next(index for index, point in enumerate(curve) if point[figure] == best)

    @property
    def exhausted(self) -> bool:
        """Whether so many points were no better that it is time to stop (early stopping)."""
        curve, patience = self.state.curve, self.validation.patience
        return bool(patience and curve) and len(curve) - 1 - self.point >= patience

    def measure(self) -> float:
        """Add a point to the curve, and keep the weights if none before were as good.

        Raises:
            LangueError: the figure is not finite.
        """
        trainer, state, curve = self.trainer, self.state, self.state.curve
        with trainer.average.applied() if trainer.average is not None else contextlib.nullcontext():
            value = self.validation.measure(state.micro_batch_rows)
            if not math.isfinite(value):
                raise failures.diverged(trainer.config, state.step, value)
            before = self.validation.best(curve) if curve else None
            curve.append(
                {"step": state.step, "seconds": round(state.seconds, 3), self.validation.figure: value}
            )
            if self.validation.best(curve) != before:
                copy(weights(trainer.module), self.weights)
        return value

    def restore(self) -> None:
        """Leave the model with the best weights, as it was before training but for those."""
        trainer = self.trainer
        if self.state.curve:
            copy(self.weights, weights(trainer.module))
        elif trainer.average is not None:
            copy(trainer.average.tensors, weights(trainer.module))
        trainer.model.carry = {}
        forward.restore(trainer.module)
        trainer.model.eval()


@contextlib.contextmanager
def evaluating(model: Trainable) -> Iterator[None]:
    """The model without dropout or gradients, its memory of the training text put aside."""
    carry, model.carry = model.carry, {}
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.carry = carry
