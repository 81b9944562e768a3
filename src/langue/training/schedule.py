"""Budgets and learning-rate schedules: both speak of the progress of a run, from 0 to 1."""

import math
from dataclasses import dataclass

from langue.training.config import TrainingConfig

DEFAULT_MINUTES = 3.0


@dataclass(frozen=True)
class Budget:
    """When a run ends.

    By steps, tokens or epochs it is the same run on every machine. By minutes it is not: the clock
    decides how many steps there are, and a run that was stopped counts only the time it ran.
    """

    config: TrainingConfig
    step_tokens: int
    epoch_steps: int

    def progress(self, step: int, seconds: float) -> float:
        """0 at the start, 1 when the budget is spent."""
        config = self.config
        if config.steps:
            return step / config.steps
        if config.tokens:
            return step * self.step_tokens / config.tokens
        if config.epochs:
            return step / (config.epochs * self.epoch_steps)
        return seconds / (60 * (config.minutes or DEFAULT_MINUTES))


def rate(config: TrainingConfig, progress: float) -> float:
    """Learning rate at some progress: linear warm-up, then the schedule."""
    if progress < config.warmup:
        return config.learning_rate * max(progress / config.warmup, 0.01)
    begin = max(config.warmup, 1 - config.decay) if config.schedule == "wsd" else config.warmup
    done = min(max((progress - begin) / max(1 - begin, 1e-9), 0.0), 1.0)  # of the descent
    cosine = (1 + math.cos(math.pi * done)) / 2
    left = {"constant": 1.0, "linear": 1 - done, "wsd": 1 - done, "cosine": cosine}[config.schedule]
    return config.learning_rate * (config.min_lr_ratio + (1 - config.min_lr_ratio) * left)
