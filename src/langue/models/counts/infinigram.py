"""`infinigram`: n-grams without bound (Liu et al. 2024, "Infini-gram", section 2).

    p(w | context) = c(s w) / c(s·)

with s the longest end of the context, its `<s>` included, that occurs in training and is followed by
something. Nothing is estimated: the model is the training text and its suffix array. Where training never
went on with w, p is 0 and the perplexity infinite; `alpha` gives every token a count more, as in `markov`.
Deviates from the paper in `<s>`, which it has not.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Annotated, ClassVar, NamedTuple

import numpy as np

from langue.base.arrays import Array, Floats, Ids
from langue.base.bounds import NonNegativeFloat
from langue.base.checked import ArraySpec, check, damaged, once, read_array
from langue.base.compiled import njit
from langue.base.config import Config
from langue.inference.decoding import StateDecoder
from langue.models.counts.ngram.counts import stream_of
from langue.models.counts.suffix_array import follow, is_suffix_array, locate, narrow, suffix_array
from langue.models.family import Family
from langue.protocols import Causal, Vocabulary
from langue.protocols.explanation import MatchExplanation, Passage
from langue.tokens.store import TokenStore

SHOWN = 8  # passages that an explanation shows
AROUND = 24  # tokens of the text around a match


class InfiniGramConfig(Config, frozen=True):
    """The dials of an unbounded n-gram model."""

    RENAMED: ClassVar[Mapping[str, str]] = {"add": "alpha"}

    alpha: NonNegativeFloat = 0.0  # to every count; 0 is the paper


class Corpus(NamedTuple):
    """The training text, and what finds any string in it."""

    # Every document after its `<s>`, and one `<s>` at the end.
    stream: Annotated[Array, ArraySpec("uint32", ("positions",), below="V + 1")]
    suffixes: Annotated[Array, ArraySpec("uint32", ("positions",), below="positions")]  # its suffix array

    def check(self, where: Path, V: int) -> None:
        """See that the positions are sorted by what stands there.

        Raises:
            LangueError: an array is not what it must be; it is named.
        """
        check(self, where, V=V)
        if not len(self.stream) or self.stream[-1] != V or self.stream.min() == V:
            raise damaged(where, "stream", "is not documents, each after its <s>, and one <s> at the end")
        if not is_suffix_array(self.stream, self.suffixes):
            raise damaged(
                where, "suffixes", "are not all positions of the stream, sorted by what stands there"
            )


class InfiniGram(Causal):
    """A `Causal` model.

    Attributes:
        stream: `(positions,)` uint32, every document after its `<s>`, and one `<s>` at the end.
        suffixes: `(positions,)` uint32, its suffix array.
    """

    window: int | None = None
    stride: int | None = None

    def __init__(
        self, vocabulary: Vocabulary, config: InfiniGramConfig, stream: Array, suffixes: Array
    ) -> None:
        self.vocabulary = vocabulary
        self.config = config
        self.stream, self.suffixes = np.asarray(stream), np.asarray(suffixes)
        for array in (self.stream, self.suffixes):
            array.flags.writeable = False  # as mapped ones are: compiled code is made for one of them

    def log_probs(self, sequences: Sequence[Ids]) -> list[Floats]:
        self.vocabulary.check(*sequences)
        log_probs = [np.empty(len(ids), np.float32) for ids in sequences]
        for ids, scores in zip(sequences, log_probs, strict=True):
            _score(self.stream, self.suffixes, self.config.alpha, self._text(ids), scores)
        return list(log_probs)

    def next_log_probs(self, contexts: Sequence[Ids]) -> Floats:
        return self.decoder(contexts).log_probs()

    def decoder(self, prompts: Sequence[Ids], *, depth: int = 0) -> "InfiniGramDecoder":
        return InfiniGramDecoder(self, prompts, depth)

    @cached_property
    def _starts(self) -> Array:
        """Where the `<s>` of each document stands, and that of the end."""
        return np.flatnonzero(self.stream == self.vocabulary.size)

    def documents(self) -> Iterator[Ids]:
        """The training text, a document after another, without its ends."""
        for begin, end in pairwise(self._starts.tolist()):
            yield self.stream[begin + 1 : end - 1]  # without `<s>` and `<eos>`

    def explain(self, context: Ids, id: int) -> MatchExplanation:
        """By the longest end of the context that training goes on after, and where it stands."""
        self.vocabulary.check(context, [id])
        stream, suffixes = self.stream, self.suffixes
        text = self._text(context)
        begin, low, high = _read(stream, suffixes, text, 0, 0, len(suffixes))
        length, low, high = _shorten(stream, suffixes, text[begin:], low, high)
        one, other = narrow(stream, suffixes, low, high, length, id)
        ranks = islice(chain(range(one, other), range(low, one), range(other, high)), SHOWN)
        passages = tuple(self._passage(int(suffixes[rank]), length) for rank in ranks)
        return MatchExplanation(length, other - one, high - low, self.config.alpha, passages)

    def _passage(self, position: int, length: int) -> Passage:
        """What stands around a match, within its document."""
        document = int(np.searchsorted(self._starts, position, side="right")) - 1
        begin, beyond = self._starts[document : document + 2].tolist()
        match, end = max(position, begin + 1), position + length
        return Passage(
            document,
            match - begin - 1,
            self.stream[max(begin + 1, match - AROUND) : match],
            self.stream[match:end],
            int(self.stream[end]),
            self.stream[end + 1 : min(end + 1 + AROUND, beyond)],
        )

    def size(self) -> dict[str, int]:
        return {"tokens": len(self.stream)}

    def save(self, folder: Path) -> None:
        np.save(folder / "stream.npy", self.stream, allow_pickle=False)
        np.save(folder / "suffixes.npy", self.suffixes, allow_pickle=False)

    def _text(self, ids: Ids) -> Array:
        return np.append(np.uint32(self.vocabulary.size), ids).astype(np.uint32)


class Match(NamedTuple):
    """The longest end of a text that stands in the corpus."""

    text: Array
    low: int  # of its range in the suffix array
    high: int


class InfiniGramDecoder(StateDecoder[list[Match]]):
    """The longest match that each text ends with, and its range in the suffix array."""

    def __init__(self, model: InfiniGram, prompts: Sequence[Ids], depth: int) -> None:
        self.model = model
        super().__init__(model.vocabulary, prompts, depth)

    def start(self, rows: int) -> list[Match]:
        nothing = Match(np.empty(0, np.uint32), 0, len(self.model.suffixes))
        return [self._match(nothing, np.array([self.vocabulary.size])) for _ in range(rows)]

    def read(self, state: list[Match], ids: Sequence[Ids]) -> list[Match]:
        return [self._match(match, some) for match, some in zip(state, ids, strict=True)]

    def take(self, state: list[Match], rows: list[int]) -> list[Match]:
        return [state[row] for row in rows]

    def join(self, one: list[Match], other: list[Match]) -> list[Match]:
        return one + other

    def distributions(self, state: list[Match]) -> Floats:
        model = self.model
        rows = np.empty((len(state), model.vocabulary.size), np.float32)
        for match, row in zip(state, rows, strict=True):
            _distribution(model.stream, model.suffixes, model.config.alpha, *match, row)
        return rows

    def _match(self, match: Match, ids: Ids) -> Match:
        text = np.append(match.text, ids).astype(np.uint32)
        begin, low, high = _read(
            self.model.stream, self.model.suffixes, text, len(match.text), match.low, match.high
        )
        return Match(text[begin:], low, high)


def estimate(config: InfiniGramConfig, store: TokenStore) -> InfiniGram:
    """Sort the positions of the training split."""
    vocabulary = Vocabulary(store.vocabulary_size, store.eos, sep=store.sep)
    stream = stream_of(store.split("train"), vocabulary.size)
    return InfiniGram(vocabulary, config, stream, suffix_array(stream))


def load(folder: Path, config: InfiniGramConfig, vocabulary: Vocabulary) -> InfiniGram:
    files = [folder / f"{name}.npy" for name in Corpus._fields]
    corpus = Corpus(*map(read_array, files))
    once(files, vocabulary.size, lambda: corpus.check(folder, vocabulary.size))
    return InfiniGram(vocabulary, config, *corpus)


@njit
def _read(stream, suffixes, text, matched, low, high):
    """The begin and the range of the longest match that ends a text, of which so much matches that range."""
    begin, low, high = np.int64(0), np.int64(low), np.int64(high)
    for t in range(matched, len(text)):
        begin, low, high = follow(stream, suffixes, text, begin, t, low, high)
    return begin, low, high


@njit
def _shorten(stream, suffixes, text, low, high):
    """The longest end of a match that something follows: its length, and the range it is followed in."""
    start = stream[len(stream) - 1]
    length = len(text)
    while True:
        # The end of the stream comes first in a range, `<s>`, the largest id, last: nothing follows there.
        after, _ = narrow(stream, suffixes, low, high, length, 0)
        upto, _ = narrow(stream, suffixes, low, high, length, start)
        if length == 0 or upto > after:
            return length, after, upto
        length -= 1
        low, high = locate(stream, suffixes, text[len(text) - length :])


@njit
def _score(stream, suffixes, alpha, text, scores):
    """Fill `scores` with the log-probability of each token of `text` after its `<s>`."""
    size = np.int64(stream[len(stream) - 1])
    begin, low, high = follow(stream, suffixes, text, np.int64(0), 0, np.int64(0), np.int64(len(suffixes)))
    for t in range(1, len(text)):
        length, after, upto = _shorten(stream, suffixes, text[begin:t], low, high)
        one, other = narrow(stream, suffixes, after, upto, length, text[t])
        scores[t - 1] = np.log((other - one + alpha) / (upto - after + alpha * size))
        begin, low, high = follow(stream, suffixes, text, begin, t, low, high)


@njit
def _distribution(stream, suffixes, alpha, text, low, high, row):
    """Fill `row` with the log-probability of every token after a match with the range [low, high)."""
    length, low, high = _shorten(stream, suffixes, text, low, high)
    total = high - low + alpha * len(row)
    row[:] = np.log(alpha / total)
    while low < high:
        token = stream[np.int64(suffixes[low]) + length]
        _, after = narrow(stream, suffixes, low, high, length, token)
        row[token] = np.log((after - low + alpha) / total)
        low = after


FAMILY = Family(
    name="infinigram",
    summary="n-grams without bound, by the longest match in a suffix array",
    makes=Causal,
    config=InfiniGramConfig,
    estimated_by="counts",
    load=load,
    estimate=estimate,
)
