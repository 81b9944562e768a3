"""`hmm`: a hidden Markov model as language model (Baum et al. 1970; Rabiner 1989).

The words are observed, the states are hidden: each state follows the one before it by the transition
probabilities, and emits a word. It has no window, but all it knows of the past is a distribution over
its states. `baum_welch` estimates, `parameters` and `classes` say from where, `model` scores.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import msgspec

from langue.base.bounds import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from langue.base.config import Config
from langue.models.family import Family
from langue.models.states.hmm.model import HMM
from langue.protocols import Causal, Vocabulary
from langue.tokens.store import TokenStore


class HMMConfig(Config, frozen=True):
    """Settings of an HMM: states, initialization, estimation."""

    RENAMED: ClassVar[Mapping[str, str]] = {"initialisation": "initialization"}

    states: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 128
    order: Literal[1, 2] = 1  # states before that one depends on; 2 takes states³ numbers: at most 64 states
    initialization: Literal["ngram", "kmeans", "random"] = "ngram"
    restarts: PositiveInt = 1  # random starts tried; the best after 5 passes goes on
    iterations: PositiveInt = 40
    tolerance: NonNegativeFloat = 1e-4  # stop when a pass gains less than this share
    emission_prior: PositiveFloat = 5.0  # pseudo-counts a state; 0 would end finite bits
    transition_prior: PositiveFloat = 1.0
    batch_tokens: NonNegativeInt = 0  # 0: whole passes; else stochastic EM, for large text
    cut: Annotated[int, msgspec.Meta(ge=2)] = 256  # longest piece that training takes: more costs memory
    seed: int = 0

    def check(self) -> None:
        if self.order == 2 and self.states > 64:
            raise ValueError(f"order 2 takes at most 64 states, not {self.states}")


def estimate(config: HMMConfig, store: TokenStore) -> HMM:
    from langue.models.states.hmm.train import train

    return train(config, store)


def load(folder: Path, config: HMMConfig, vocabulary: Vocabulary) -> HMM:
    return HMM.load(folder, vocabulary, config.states, config.order)


FAMILY = Family(
    name="hmm",
    summary="hidden Markov model",
    makes=Causal,
    config=HMMConfig,
    estimated_by="em",
    load=load,
    estimate=estimate,
)
