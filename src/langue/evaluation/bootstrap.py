"""Paired bootstrap over documents (Koehn 2004): how sure a figure, or a difference of two, is."""

from typing import Any

import numpy as np
import numpy.typing as npt

from langue.base.seeds import generator

DRAWS = 1000  # the ends of a 95 % interval then move by a few per cent of its width
Interval = tuple[float, float]


def resampled_ratios(
    bits: npt.NDArray[Any], bytes: npt.NDArray[Any], *, draws: int = DRAWS, seed: int = 0
) -> npt.NDArray[np.float64]:
    """Σ bits / Σ bytes over documents drawn with replacement: `(models, draws)`.

    Args:
        bits: `(models, documents)`; all models are summed over the same draws.
        bytes: `(documents,)`.
    """
    documents = len(bytes)
    draw = generator(seed, "bootstrap")
    found = np.empty((len(bits), draws))
    for index in range(draws):
        times = np.bincount(draw.integers(documents, size=documents), minlength=documents)
        found[:, index] = bits @ times / (bytes @ times)
    return found


def interval(values: npt.NDArray[Any]) -> Interval:
    """The middle 95 % of resampled values."""
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
