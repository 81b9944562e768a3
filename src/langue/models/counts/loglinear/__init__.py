"""`loglinear`: softmax regression on features of the context (Rosenfeld 1996), θ = {W, b}.

    p(w | c) = exp(b_w + Σ_f W_(f,w)) / Z(c)    f: the features that the context c has

A feature is a row of W: "the tokens before end in these k" for every k below the order, and with
`skips` "this token stands d places back". Rows are found by hash; a pair (f, w) that training never
showed weighs 0 and takes no memory. The likelihood is concave, so there is one best θ. Regularized as
Chen 2009 ("Performance prediction for exponential language models") found best for n-gram features.
`features` counts, `learn` is the optimization, `model` is what scores.
Deviates from the book in its optimizer: AdaGrad (Duchi et al. 2011) instead of iterative scaling.
"""

from pathlib import Path
from typing import Annotated

import msgspec

from langue.base.bounds import NonNegativeFloat, NonNegativeInt, PositiveFloat
from langue.base.config import Config
from langue.base.progress import log
from langue.models.counts.loglinear.features import count_of, shape
from langue.models.counts.loglinear.learn import BATCH_TOKENS, Learner
from langue.models.counts.loglinear.model import LogLinear
from langue.models.family import Family
from langue.protocols import Causal, Vocabulary
from langue.tokens.contexts import ContextBatches
from langue.tokens.store import TokenStore


class LogLinearConfig(Config, frozen=True):
    """Which features, and how they are weighed."""

    order: Annotated[int, msgspec.Meta(ge=2)] = 4  # sees order - 1 tokens; beyond 4, words gain little
    skips: bool = False  # words further back on their own as well
    epochs: NonNegativeInt = 6  # 0: Kneser-Ney, where learning begins
    learning_rate: PositiveFloat = 0.3  # AdaGrad slows down by itself
    l1: NonNegativeFloat = 0.5  # Chen's alpha: occurrences a pair must be worth
    l2: NonNegativeFloat = 1 / 6  # Chen's 1 / sigma squared
    seed: int = 0  # of the order in which tokens are learned from


def estimate(config: LogLinearConfig, store: TokenStore) -> LogLinear:
    """Count the features of the training split, then weigh them."""
    vocabulary = Vocabulary(store.vocabulary_size, store.eos, sep=store.sep)
    split = store.split("train")
    source = ContextBatches(split, rows=BATCH_TOKENS, order=config.order, eos=store.eos, seed=config.seed)
    features = count_of(config.order, config.skips)
    weights, counts = shape(source, vocabulary.size, features)
    learner = Learner(
        weights, counts, source, features, l1=config.l1, l2=config.l2, rate=config.learning_rate
    )
    for epoch in range(config.epochs):
        log.info("epoch %d: %.4f nats a token", epoch + 1, learner.epoch(epoch))
    return LogLinear(vocabulary, config.order, config.skips, weights)


def load(folder: Path, config: LogLinearConfig, vocabulary: Vocabulary) -> LogLinear:
    return LogLinear.load(folder, vocabulary, config.order, config.skips)


FAMILY = Family(
    name="loglinear",
    summary="log-linear model on n-gram context features",
    makes=Causal,
    config=LogLinearConfig,
    estimated_by="optimization",
    load=load,
    estimate=estimate,
)
