"""Paired bootstrap over documents (Koehn 2004): how sure a figure, or a difference of two, is."""

from typing import Any, NamedTuple

import numpy as np

from langue.base.arrays import Array, Float64Array
from langue.base.seeds import generator

DRAWS = 1000  # the ends of a 95 % interval then move by a few per cent of its width
Interval = tuple[float, float]


def resampled_ratios(bits: Array, bytes: Array, *, draws: int = DRAWS, seed: int = 0) -> Float64Array:
    """Σ bits / Σ bytes over documents drawn with replacement: `(models, draws)`.

    Args:
        bits: `(models, documents)`; all models are summed over the same draws.
        bytes: `(documents,)`.
    """
    documents = len(bytes)
    draw = generator(seed, "bootstrap")
    resampled = np.empty((len(bits), draws))
    for index in range(draws):
        times = np.bincount(draw.integers(documents, size=documents), minlength=documents)
        resampled[:, index] = bits @ times / np.maximum(bytes @ times, 1)  # of blank lines alone, no byte
    return resampled


def interval(values: Array) -> Interval:
    """The middle 95 % of resampled values."""
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


class Ratio(NamedTuple):
    """A figure with its 95 % interval; None with one document (or pair)."""

    value: float
    interval: Interval | None

    def __str__(self) -> str:
        if self.interval is None:
            return f"{self.value:.4f}  (one document: no interval)"
        return f"{self.value:.4f}  [{self.interval[0]:.4f}, {self.interval[1]:.4f}]"

    def to_json(self) -> dict[str, Any]:
        return {"value": self.value, "interval": list(self.interval) if self.interval else None}


def ratio(above: Array, below: Array) -> Ratio:
    """Σ above / Σ below over documents: `(documents,)` each."""
    spread = interval(resampled_ratios(above[None], below)[0]) if len(below) > 1 else None
    return Ratio(float(above.sum() / below.sum()), spread)
