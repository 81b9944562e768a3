"""Sampling a token from a distribution, in the order users know: penalty, temperature, k, p, min-p."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np

from langue.base.arrays import Array, Float64Array, Int64Array
from langue.base.bounds import NonNegativeFloat, NonNegativeInt, PositiveFloat, Probability
from langue.base.config import Config

# Shares of the likeliest token above which candidates are looked for, before all are: few are sorted.
CUTS = (1e-2, 1e-4, 1e-300)


class Sampling(Config, frozen=True):
    """How a text is continued."""

    max_tokens: NonNegativeInt = 100
    temperature: NonNegativeFloat = 0.8  # 0: always the likeliest
    top_k: NonNegativeInt = 0  # 0: all
    top_p: Probability = 0.95  # nucleus (Holtzman et al. 2020)
    min_p: Probability = 0.0  # share of the likeliest token's probability
    repetition_penalty: PositiveFloat = 1.0  # of CTRL (Keskar et al. 2019)
    stop: tuple[str, ...] = ()
    ban: tuple[str, ...] = ()  # texts that are never written
    bias: tuple[tuple[str, float], ...] = ()  # added to the log-probability of tokens, each by its text
    regex: str = ""  # what is written matches all of it
    json_schema: str = ""  # what is written is a JSON value that it allows
    seed: int = 0

    def check(self) -> None:
        if self.regex and self.json_schema:
            raise ValueError("give a regular expression or a JSON schema, not both")
        if "" in self.ban:
            raise ValueError("--ban '' would forbid every text; give some text, or leave it out")


class RuleSettings(TypedDict, total=False):
    """What may be written, as a user says it by name; beam search takes these alone."""

    ban: Sequence[str]
    regex: str
    json_schema: str | Mapping[str, Any]


class SamplingSettings(RuleSettings, total=False):
    """Those of `Sampling`, as a user gives them by name."""

    max_tokens: int
    temperature: float
    top_k: int
    top_p: float
    min_p: float
    repetition_penalty: float
    stop: Sequence[str]
    bias: Mapping[str, float]
    seed: int


def choose(log_probs: Array, seen: Array, sampling: Sampling, draw: np.random.Generator) -> int:
    """Draw the next token.

    Args:
        log_probs: `(V,)` natural logs.
        seen: ids that stand in the text already.
    """
    if sampling.temperature == 0 and sampling.repetition_penalty == 1.0:
        return int(log_probs.argmax())
    logits = log_probs.astype(np.float64)
    if sampling.repetition_penalty != 1.0 and len(seen):
        # Log-probabilities are negative, so the penalty multiplies.
        logits[np.unique(seen)] *= sampling.repetition_penalty
    if sampling.temperature == 0:
        return int(logits.argmax())
    weights = np.exp((logits - logits.max()) / sampling.temperature)
    order, total = _likeliest(weights, sampling)
    probabilities = weights[order] / total
    if sampling.top_k:
        probabilities[sampling.top_k :] = 0.0
        probabilities /= probabilities.sum()  # p is a share of what k leaves
    keep = (probabilities > 0) & (np.cumsum(probabilities) - probabilities < sampling.top_p)
    keep &= probabilities >= sampling.min_p * probabilities[0]
    keep[0] = True  # the likeliest always stays
    # In the order of ids, for that of equal probabilities is a matter of rounding, which a batch may change.
    ids = np.sort(order[keep])
    upto = np.cumsum(weights[ids])
    index = np.searchsorted(upto, draw.random() * upto[-1], side="right")
    return int(ids[min(index, len(ids) - 1)])


def _likeliest(weights: Float64Array, sampling: Sampling) -> tuple[Int64Array, float]:
    """Ids by falling weight, all that can be kept, of equal ones the first first; the sum of all weights."""
    total = float(weights.sum())
    for cut in CUTS:
        if sampling.top_k:
            candidates = np.flatnonzero(weights >= cut)
            enough = len(candidates) >= sampling.top_k
        else:
            candidates = np.flatnonzero(weights >= max(cut, sampling.min_p))
            enough = sampling.min_p >= cut or weights[candidates].sum() >= sampling.top_p * total
        if enough:
            break
    return candidates[np.argsort(-weights[candidates], kind="stable")], total
