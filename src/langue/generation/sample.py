"""Sampling a token from a distribution, in the order users know: penalty, temperature, k, p, min-p."""

import numpy as np

from langue.base.arrays import Array
from langue.base.bounds import NonNegativeFloat, NonNegativeInt, PositiveFloat, Probability
from langue.base.config import Config


class Sampling(Config, frozen=True):
    """How a text is continued."""

    max_tokens: NonNegativeInt = 100
    temperature: NonNegativeFloat = 0.8  # 0: always the likeliest
    top_k: NonNegativeInt = 0  # 0: all
    top_p: Probability = 0.95  # nucleus (Holtzman et al. 2020)
    min_p: Probability = 0.0  # share of the likeliest token's probability
    repetition_penalty: PositiveFloat = 1.0  # of CTRL (Keskar et al. 2019)
    stop: tuple[str, ...] = ()
    seed: int = 0


def choose(log_probs: Array, seen: Array, sampling: Sampling, draw: np.random.Generator) -> int:
    """Draw the next token.

    Args:
        log_probs: `(V,)` natural logs.
        seen: ids that stand in the text already.
    """
    logits = log_probs.astype(np.float64)
    if sampling.repetition_penalty != 1.0 and len(seen):
        # Log-probabilities are negative, so the penalty multiplies.
        logits[np.unique(seen)] *= sampling.repetition_penalty
    if sampling.temperature == 0:
        return int(logits.argmax())
    logits = (logits - logits.max()) / sampling.temperature
    order = np.argsort(-logits, kind="stable")
    probabilities = np.exp(logits[order])
    probabilities /= probabilities.sum()
    if sampling.top_k:
        probabilities[sampling.top_k :] = 0.0
        probabilities /= probabilities.sum()  # p is a share of what k leaves
    keep = (probabilities > 0) & (np.cumsum(probabilities) - probabilities < sampling.top_p)
    keep &= probabilities >= sampling.min_p * probabilities[0]
    keep[0] = True  # the likeliest always stays
    kept = probabilities[keep]
    index = np.searchsorted(np.cumsum(kept), draw.random() * kept.sum(), side="right")
    return int(order[keep][min(index, len(kept) - 1)])
