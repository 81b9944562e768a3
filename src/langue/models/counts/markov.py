"""`markov`: the plain Markov chain of order k, p(w | the k tokens before it) = c(c w) / c(c).

Maximum likelihood (Markov 1913; Shannon 1948, section 3), with `alpha` counts for every token on request
(Lidstone's law; Laplace's with 1). It is here to show why smoothing exists: what never followed a context
in training has probability 0, and one such token makes the perplexity of a whole text infinite. After a
context that never occurred the tokens are equally likely, for nothing speaks for any; a chain gets there
only through a token of probability 0.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, NamedTuple

import msgspec
import numpy as np

from langue.base.arrays import Array, Floats, Ids
from langue.base.bounds import NonNegativeFloat
from langue.base.checked import ArraySpec, check, damaged, once, read_array, rises_within
from langue.base.compiled import njit
from langue.base.config import Config
from langue.inference.decoding import StateDecoder
from langue.models.counts.ngram.counts import count, stream_of
from langue.models.family import Family
from langue.protocols import Causal, Vocabulary
from langue.protocols.explanation import NGramExplanation, NGramOrder
from langue.tokens.store import TokenStore


class MarkovConfig(Config, frozen=True):
    """The dials of a Markov chain."""

    RENAMED: ClassVar[Mapping[str, str]] = {"add": "alpha"}

    order: Annotated[int, msgspec.Meta(ge=0, le=7)] = 1  # tokens it looks back on; 0 is the multinomial
    alpha: NonNegativeFloat = 0.0  # to every count; 0 is maximum likelihood


class Chain(NamedTuple):
    """The counts as a trie, its nodes numbered level by level as in `ngram.counts.Levels`."""

    # The last token; children of a context are sorted by it.
    word: Annotated[Array, ArraySpec("uint32", ("nodes",), below="V + 1")]
    counts: Annotated[Array, ArraySpec("uint32", ("nodes",))]  # how often the n-gram occurs
    # The first child of each context.
    children: Annotated[
        Array, ArraySpec("uint32", ("contexts + 1",), rising=True, first="V + 1", last="nodes")
    ]
    # The counts of its children; the last for no context at all.
    total: Annotated[Array, ArraySpec("uint32", ("contexts + 1",))]

    def check(self, where: Path, V: int, order: int) -> None:
        """See that this is a trie of so many levels.

        Raises:
            LangueError: an array is not what it must be; it is named.
        """
        contexts = check(self, where, V=V)["contexts"]
        first = [0, V + 1]  # of each level
        for _ in range(order):
            first.append(int(self.children[min(first[-1], contexts)]))
        if first[order] != contexts or first[order + 1] != len(self.word):
            raise damaged(where, "children", f"are not those of a trie of order {order}")
        if not np.array_equal(self.word[: V + 1], np.arange(V + 1, dtype=np.uint32)):
            raise damaged(where, "word", "does not begin with every token at its own place")
        if len(self.word) > V + 1 and self.word[V + 1 :].max() == V:
            raise damaged(where, "word", "predicts <s>")
        if not rises_within(self.word, self.children):
            raise damaged(where, "word", "does not rise among the children of a context")
        upto = np.r_[0, np.cumsum(self.counts, dtype=np.int64)]
        sums = np.diff(upto[self.children.astype(np.int64)])
        if not np.array_equal(self.total, np.r_[sums, upto[V]]):
            raise damaged(where, "total", "and counts: a context is not counted as often as what follows it")


class Markov(Causal):
    """A `Causal` model."""

    window: int | None = None
    stride: int | None = None

    def __init__(self, vocabulary: Vocabulary, config: MarkovConfig, chain: Chain) -> None:
        self.vocabulary = vocabulary
        self.config = config
        self.reach = config.order
        self.chain = Chain(*map(_freeze, chain))

    def log_probs(self, sequences: Sequence[Ids]) -> list[Floats]:
        self.vocabulary.check(*sequences)
        log_probs = [np.empty(len(ids), np.float32) for ids in sequences]
        for ids, scores in zip(sequences, log_probs, strict=True):
            text = np.append(np.uint32(self.vocabulary.size), ids).astype(np.uint32)
            _score(*self.chain, self.vocabulary.size, self.config.order, self.config.alpha, text, scores)
        return list(log_probs)

    def next_log_probs(self, contexts: Sequence[Ids]) -> Floats:
        return self.decoder(contexts).log_probs()

    def decoder(self, prompts: Sequence[Ids], *, depth: int = 0) -> "MarkovDecoder":
        return MarkovDecoder(self, prompts, depth)

    def explain(self, context: Ids, id: int) -> NGramExplanation:
        """By the one order that it has: count, plus alpha, of total."""
        self.vocabulary.check(context, [id])
        order, V, alpha = self.config.order, self.vocabulary.size, self.config.alpha
        text = np.append(np.uint32(V), context).astype(np.uint32)
        text = text[max(0, len(text) - order) :]
        low, high, total = _context(self.chain.word, self.chain.children, self.chain.total, V, text)
        child = _child(self.chain.word, low, high, id)
        count = int(self.chain.counts[child]) if child >= 0 else 0
        mass = total + alpha * V
        share = count / mass if total else 0.0
        left = alpha * V / mass if total else 1.0  # over all tokens alike
        step = NGramOrder(
            len(text) + 1, child >= 0, share + left / V, share, left, int(high - low), count, int(total), 0.0
        )
        return NGramExplanation((step,))

    def size(self) -> dict[str, int]:
        return {"ngrams": len(self.chain.word)}

    def save(self, folder: Path) -> None:
        for name, array in self.chain._asdict().items():
            np.save(folder / f"{name}.npy", array, allow_pickle=False)


class MarkovDecoder(StateDecoder[list[list[int]]]):
    """The last tokens of each sequence, `<s>` at its beginning, as many as the order reaches."""

    def __init__(self, model: Markov, prompts: Sequence[Ids], depth: int) -> None:
        self.model = model
        super().__init__(model.vocabulary, prompts, depth)

    def start(self, rows: int) -> list[list[int]]:
        return [self._cut([self.vocabulary.size]) for _ in range(rows)]

    def read(self, state: list[list[int]], ids: Sequence[Ids]) -> list[list[int]]:
        return [self._cut([*text, *map(int, some)]) for text, some in zip(state, ids, strict=True)]

    def take(self, state: list[list[int]], rows: list[int]) -> list[list[int]]:
        return [state[row] for row in rows]

    def join(self, one: list[list[int]], other: list[list[int]]) -> list[list[int]]:
        return one + other

    def distributions(self, state: list[list[int]]) -> Floats:
        model = self.model
        rows = np.empty((len(state), model.vocabulary.size), np.float32)
        for text, row in zip(state, rows, strict=True):
            _distribution(*model.chain, model.config.alpha, np.array(text, np.uint32), row)
        return rows

    def _cut(self, text: list[int]) -> list[int]:
        return text[max(0, len(text) - self.model.config.order) :]


def estimate(config: MarkovConfig, store: TokenStore) -> Markov:
    """Count the training split."""
    vocabulary = Vocabulary(store.vocabulary_size, store.eos, sep=store.sep)
    levels = count(stream_of(store.split("train"), vocabulary.size), vocabulary.size, config.order + 1)
    upto = np.r_[0, np.cumsum(levels.count, dtype=np.int64)]
    inner = upto[levels.children[1:]] - upto[levels.children[:-1]]
    total = np.r_[inner, upto[vocabulary.size]].astype(np.uint32)
    return Markov(vocabulary, config, Chain(levels.word, levels.count, levels.children, total))


def load(folder: Path, config: MarkovConfig, vocabulary: Vocabulary) -> Markov:
    files = [folder / f"{name}.npy" for name in Chain._fields]
    chain = Chain(*map(read_array, files))
    once(files, (vocabulary.size, config.order), lambda: chain.check(folder, vocabulary.size, config.order))
    return Markov(vocabulary, config, chain)


def _freeze(array: Array) -> Array:
    """Read-only, as mapped ones are: compiled code is made for one of them."""
    array = np.asarray(array)
    array.flags.writeable = False
    return array


@njit
def _score(word, counts, children, total, start, order, alpha, text, scores):
    """Fill `scores` with the log-probability of each token of `text` after its `<s>`."""
    for t in range(1, len(text)):
        low, high, mass = _context(word, children, total, start, text[max(0, t - order) : t])
        child = _child(word, low, high, text[t])
        seen = counts[child] if child >= 0 else 0
        scores[t - 1] = _log_prob(seen, mass, alpha, start)


@njit
def _distribution(word, counts, children, total, alpha, context, row):
    """Fill `row` with the log-probability of every token after a context."""
    low, high, mass = _context(word, children, total, len(row), context)
    row[:] = _log_prob(0, mass, alpha, len(row))
    for child in range(low, high):
        if word[child] < len(row):  # `<s>` is read, never predicted
            row[word[child]] = _log_prob(counts[child], mass, alpha, len(row))


@njit
def _log_prob(seen, mass, alpha, size):
    if mass == 0:
        return -np.log(size)
    return np.log((seen + alpha) / (mass + alpha * size))


@njit
def _context(word, children, total, start, context):
    """The range of the children of a context, and the sum of their counts."""
    if len(context) == 0:
        return np.int64(0), np.int64(start), np.int64(total[-1])
    node = np.int64(context[0])
    for index in range(1, len(context)):
        node = _child(word, np.int64(children[node]), np.int64(children[node + 1]), context[index])
        if node < 0:
            return np.int64(0), np.int64(0), np.int64(0)
    return np.int64(children[node]), np.int64(children[node + 1]), np.int64(total[node])


@njit
def _child(word, low, high, target):
    """The node in [low, high) whose last token is `target`, or -1."""
    end = high
    while low < high:
        middle = (low + high) // 2
        if word[middle] < target:
            low = middle + 1
        else:
            high = middle
    return np.int64(low) if low < end and word[low] == target else np.int64(-1)


FAMILY = Family(
    name="markov",
    summary="plain Markov chain, by maximum likelihood or with add-k",
    makes=Causal,
    config=MarkovConfig,
    estimated_by="counts",
    load=load,
    estimate=estimate,
)
