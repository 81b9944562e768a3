"""Whether probabilities are true: of what is said with 80 %, four of five are right (Guo et al. 2017)."""

from typing import Any, NamedTuple

import numpy as np

from langue.base.arrays import Float64Array, Floats, Int64Array

BINS = 15  # of the probability of the likeliest label (Guo et al. 2017)
PRIOR = 0.5  # weight of (log T)²: a few examples that are all right are not to make every answer certain
LOWEST, HIGHEST = np.log(0.05), np.log(20.0)
STEPS = 60  # of the search, each of which leaves 0.62 of the range
GOLDEN = (5**0.5 - 1) / 2


class Calibration(NamedTuple):
    """How far probabilities are from what comes true."""

    ece: float  # expected calibration error: mean distance of probability and share of right answers
    nats: float  # mean -log p of the right label
    ece_before: float  # with logits as they were learned, at temperature 1
    temperature: float

    def to_json(self) -> dict[str, Any]:
        return {name: round(value, 5) for name, value in self._asdict().items()}

    def __str__(self) -> str:
        before = f", {self.ece_before:.2%} before" if self.temperature != 1 else ""
        return (
            f"ECE {self.ece:.2%} at temperature {self.temperature:.2f}{before}; {self.nats:.3f} nats a label"
        )


def calibration(log_probs: Floats, answers: Int64Array, temperature: float) -> Calibration:
    """Of probabilities that were made with a temperature, `(examples, labels)`."""
    before = expected_error(at_temperature(log_probs, 1 / temperature), answers)
    return Calibration(expected_error(log_probs, answers), nats(log_probs, answers), before, temperature)


def at_temperature(log_probs: Floats, temperature: float) -> Float64Array:
    """Log-probabilities of logits that are divided by a (further) temperature."""
    scaled = log_probs.astype(np.float64) / temperature
    return scaled - np.logaddexp.reduce(scaled, -1, keepdims=True)


def nats(log_probs: Floats, answers: Int64Array) -> float:
    return float(-log_probs[np.arange(len(answers)), answers].mean())


def expected_error(log_probs: Floats, answers: Int64Array) -> float:
    """Σ over bins of the likeliest label's probability: share of it · |mean probability - share right|."""
    sure = np.exp(log_probs.max(-1))
    right = log_probs.argmax(-1) == answers
    bins = np.minimum((sure * BINS).astype(np.int64), BINS - 1)
    gaps = np.bincount(bins, sure - right, minlength=BINS)  # of each bin, times its size
    return float(np.abs(gaps).sum() / len(answers))


def best_temperature(log_probs: Floats, answers: Int64Array) -> float:
    """By which logits are best divided: the least Σ -log p of the right labels, near 1 of few examples.

    The sum has one lowest place, which golden sections find.

    Args:
        log_probs: at temperature 1.
    """

    def cost(log: float) -> float:
        return len(answers) * nats(at_temperature(log_probs, np.exp(log)), answers) + PRIOR * log**2

    low, high = LOWEST, HIGHEST
    for _ in range(STEPS):
        one, other = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        low, high = (low, other) if cost(one) < cost(other) else (one, high)
    return float(np.exp((low + high) / 2))
