"""Why a model gives a token the probability that it has: what each kind of family can say.

An explanation is exact: the probability of the token is made of the figures in it. Attention and saliency
alone say where a network looked and what it hangs on, not what came of it. They speak token ids; texts are
put to them in `evaluation.reasons`.
"""

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from langue.base.arrays import Floats, Ids


@dataclass(frozen=True)
class NGramOrder:
    """What the n-grams of one length say: p = share + backoff · p of the order below.

    Counts are None where the tables do not tell them: of pruned or quantized ones, of imported files.
    """

    order: int  # tokens of the n-gram, its last one included
    seen: bool  # whether the n-gram itself stands in the tables
    probability: float  # of the token after the last order - 1 tokens
    share: float  # of it, what the n-gram's own count gives; 0 where it is not seen
    backoff: float  # weight of the order below: what discounts leave for it
    continuations: int  # different tokens seen after this context
    count: int | None = None  # of the n-gram
    total: int | None = None  # of all n-grams with this context
    discount: float | None = None  # taken from the count
    distinct: bool = False  # counts are of the different tokens before an n-gram, as in Kneser and Ney's


@dataclass(frozen=True)
class NGramExplanation:
    """By n-grams, from the shortest to the longest context that is known; the longest seen decides."""

    orders: tuple[NGramOrder, ...]


class WordClass(NamedTuple):
    """A class of words."""

    number: int
    words: tuple[tuple[int, float], ...]  # the most frequent, with p(word | class)


@dataclass(frozen=True)
class ClassExplanation:
    """By the classes of words: p = p(class of the token | classes before it) · share."""

    word_class: WordClass  # of the token
    share: float  # p(token | class)
    context: tuple[WordClass, ...]  # the classes of the last tokens before it, as far as any n-gram reaches
    ngrams: NGramExplanation  # of the classes, which say how likely the class is


class FeatureWeight(NamedTuple):
    """A feature that the context has: tokens, the last of which stands `back` places before the next."""

    tokens: tuple[int, ...]
    back: int
    weight: float | None  # of the feature and the token; None: training never showed the two together


@dataclass(frozen=True)
class FeatureExplanation:
    """By weighed features: log p = bias + Σ weight - log Z, natural logs."""

    bias: float  # of the token
    features: tuple[FeatureWeight, ...]
    log_z: float


class Passage(NamedTuple):
    """A stretch of the training text."""

    document: int
    offset: int  # tokens of the document before the match
    before: Ids  # some tokens that stand before the match
    match: Ids
    token: int  # that comes next
    after: Ids


@dataclass(frozen=True)
class MatchExplanation:
    """By the longest end of the context that stands in the training text."""

    length: int  # tokens of the match; `<s>` is one
    count: int  # how often the token comes next
    total: int  # how often anything does
    alpha: float  # added to every count
    passages: tuple[Passage, ...]  # the first few, those that go on with the token before others


class StateShare(NamedTuple):
    """One hidden state, before and after the token is read."""

    state: int
    prior: float  # p(state | the tokens before)
    posterior: float  # p(state | the tokens before, and the token)
    emission: float  # p(token | state)
    words: tuple[tuple[int, float], ...]  # what it emits most, with p(word | state)


@dataclass(frozen=True)
class StateExplanation:
    """By hidden states, of the largest posterior first: p = Σ prior · emission over all of them."""

    states: tuple[StateShare, ...]


@dataclass(frozen=True)
class AttentionExplanation:
    """By where each head of each layer looks when the token is predicted."""

    ids: Ids  # what was read, `<eos>` for the beginning of a document: (T,)
    weights: Floats  # (layers, heads, T), each head's sum to one


@dataclass(frozen=True)
class CrossAttentionExplanation:
    """By where the decoder looks: at the source, and at what of the target stands before."""

    source: AttentionExplanation
    target: AttentionExplanation


@dataclass(frozen=True)
class SaliencyExplanation:
    """By what the token hangs on: gradient times input (Li et al. 2016; Shrikumar et al. 2017).

    The saliency of a token read is x · ∂ log p / ∂x, of the vector x that stands for it: what log p gains as
    that vector begins to grow, over the part by which it does.
    """

    ids: Ids  # what was read last, `<eos>` for the beginning of a document: (T,)
    saliency: Floats  # (T,)


class PartShare(NamedTuple):
    """One model of a mixture."""

    name: str
    weight: float
    log_prob: float  # natural log, of the token by this part
    explanation: "Explanation | None"


@dataclass(frozen=True)
class MixtureExplanation:
    """By its parts: p = Σ weight · p of the part."""

    parts: tuple[PartShare, ...]


Explanation: TypeAlias = (
    NGramExplanation
    | ClassExplanation
    | FeatureExplanation
    | MatchExplanation
    | StateExplanation
    | AttentionExplanation
    | CrossAttentionExplanation
    | SaliencyExplanation
    | MixtureExplanation
)
