"""Sampling a token from a distribution, in the order users know: penalty, temperature, k, p, min-p."""

from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt

from langue.base.config import Config

Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]


class Sampling(Config, frozen=True):
    """How a text is continued."""

    max_tokens: Annotated[int, msgspec.Meta(ge=0)] = 100
    temperature: Annotated[float, msgspec.Meta(ge=0.0)] = 0.8  # 0: always the likeliest
    top_k: Annotated[int, msgspec.Meta(ge=0)] = 0  # 0: all
    top_p: Share = 0.95  # nucleus (Holtzman et al. 2020)
    min_p: Share = 0.0  # share of the likeliest token's probability
    repetition_penalty: Annotated[float, msgspec.Meta(gt=0.0)] = 1.0  # of CTRL (Keskar et al. 2019)
    stop: tuple[str, ...] = ()
    seed: int = 0


def choose(
    log_probs: npt.NDArray[Any], seen: npt.NDArray[Any], sampling: Sampling, draw: np.random.Generator
) -> int:
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
    keep = np.ones(len(order), bool)
    if sampling.top_k:
        keep[sampling.top_k :] = False
    keep &= np.cumsum(probabilities) - probabilities < sampling.top_p
    keep &= probabilities >= sampling.min_p * probabilities[0]
    keep[0] = True  # the likeliest always stays
    kept = probabilities[keep]
    place = np.searchsorted(np.cumsum(kept), draw.random() * kept.sum(), side="right")
    return int(order[keep][min(place, len(kept) - 1)])
