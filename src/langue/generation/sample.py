"""Sampling a token from a distribution, in the order users know: penalty, temperature, k, p, min-p."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np

from langue.base.arrays import Array
from langue.base.bounds import Finite, NonNegativeFloat, NonNegativeInt, PositiveFloat, Probability
from langue.base.config import Config


class Sampling(Config, frozen=True):
    """How a text is continued."""

    max_tokens: NonNegativeInt = 100
    temperature: NonNegativeFloat = 0.8  # 0: always the likeliest
    top_k: NonNegativeInt = 0  # 0: all
    top_p: Probability = 0.95  # nucleus (Holtzman et al. 2020)
    min_p: Probability = 0.0  # share of the likeliest token's probability
    repetition_penalty: PositiveFloat = 1.0  # of CTRL (Keskar et al. 2019)
    presence_penalty: Finite = 0.0  # taken from the log-probability of each token written before
    frequency_penalty: Finite = 0.0  # the same, as often as it was written
    stop: tuple[str, ...] = ()
    ban: tuple[str, ...] = ()  # texts that are never written
    bias: tuple[tuple[str, float], ...] = ()  # added to the log-probability of tokens, each by its text
    regex: str = ""  # what is written matches all of it
    json_schema: str = ""  # what is written is a JSON value that it allows
    min_tokens: NonNegativeInt = 0  # before which no text ends
    max_characters: NonNegativeInt = 0  # at which each ends; 0: as many as the tokens have
    no_repeat_ngram_size: NonNegativeInt = 0  # so many tokens in a row are written once (Paulus et al. 2018)
    seed: int = 0

    def check(self) -> None:
        if self.regex and self.json_schema:
            raise ValueError("give a regular expression or a JSON schema, not both")
        if "" in self.stop:
            raise ValueError(
                "--stop '' would end every text before its first token; give some text, or leave it out"
            )
        if self.min_tokens > self.max_tokens:
            raise ValueError(f"--min-tokens {self.min_tokens} is above --max-tokens {self.max_tokens}")
        if "" in self.ban:
            raise ValueError("--ban '' would forbid every text; give some text, or leave it out")


class RuleSettings(TypedDict, total=False):
    """What may be written, as a user says it by name; beam search takes these alone."""

    ban: Sequence[str]
    regex: str
    json_schema: str | Mapping[str, Any]
    min_tokens: int
    max_characters: int
    no_repeat_ngram_size: int


class SamplingSettings(RuleSettings, total=False):
    """Those of `Sampling`, as a user gives them by name."""

    max_tokens: int
    temperature: float
    top_k: int
    top_p: float
    min_p: float
    repetition_penalty: float
    presence_penalty: float
    frequency_penalty: float
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
    logits = np.array(log_probs, np.float32)
    if sampling.repetition_penalty != 1.0 and len(seen):
        # Log-probabilities are negative, so the penalty multiplies.
        logits[np.unique(seen)] *= sampling.repetition_penalty
    if sampling.temperature == 0:
        return int(logits.argmax())
    from langue.nn.compiled.choice import draw as draw_by  # numba takes long to import

    kept = sampling.top_k, sampling.top_p, sampling.min_p
    return int(draw_by(logits, sampling.temperature, *kept, draw.random()))
