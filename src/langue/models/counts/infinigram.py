"""`infinigram`: n-grams without bound (Liu et al. 2024, "Infini-gram", section 2).

    p(w | context) = c(s w) / c(s·)

with s the longest end of the context, its `<s>` included, that occurs in training and is followed by
something. Nothing is estimated: the model is the training text and its suffix array, in shards where it is
long, over which counts are summed. Where training never went on with w, p is 0 and the perplexity infinite;
`alpha` gives every token a count more, as in `markov`. Deviates from the paper in `<s>`, which it has not.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain, islice, pairwise, repeat
from pathlib import Path
from typing import Annotated, ClassVar, NamedTuple

import msgspec
import numpy as np

from langue.base.array_files import map_file, write_array
from langue.base.arrays import Array, Floats, Ids
from langue.base.bounds import NonNegativeFloat
from langue.base.checked import ArraySpec, check, damaged, once, read_array
from langue.base.compiled import njit
from langue.base.config import Config
from langue.base.errors import LangueError
from langue.base.stages import Executor, Stage, run_stage
from langue.inference.decoding import StateDecoder
from langue.models.counts.ngram.counts import stream_of
from langue.models.counts.suffix_array import follow, is_suffix_array, locate, narrow, suffix_array
from langue.models.family import ByStages, Family
from langue.protocols import Causal, Vocabulary
from langue.protocols.explanation import MatchExplanation, Passage
from langue.tokens.store import Split, TokenStore

SHOWN = 8  # passages that an explanation shows
AROUND = 24  # tokens of the text around a match
MOST_TOKENS = 2**31 - 1  # of a shard: positions, `<s>` included, are numbered by 32 bits


class InfiniGramConfig(Config, frozen=True):
    """The dials of an unbounded n-gram model."""

    RENAMED: ClassVar[Mapping[str, str]] = {"add": "alpha"}

    alpha: NonNegativeFloat = 0.0  # to every count; 0 is the paper
    # Tokens of a shard, whose array is sorted by itself, in 20 bytes each; a longer document has its own.
    shard: Annotated[int, msgspec.Meta(ge=1, le=MOST_TOKENS)] = 1 << 26


class Shard(NamedTuple):
    """Documents of the training text, and what finds any string in them."""

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
        shards: of the training text, one after another; for each document it stands in one of them whole.
    """

    window: int | None = None
    stride: int | None = None

    def __init__(self, vocabulary: Vocabulary, config: InfiniGramConfig, shards: Sequence[Shard]) -> None:
        self.vocabulary = vocabulary
        self.config = config
        self.shards = [Shard(*map(np.asarray, shard)) for shard in shards]
        for array in chain.from_iterable(self.shards):
            array.flags.writeable = False  # as mapped ones are: compiled code is made for one of them

    def log_probs(self, sequences: Sequence[Ids]) -> list[Floats]:
        self.vocabulary.check(*sequences)
        return [self._log_probs(self._text(ids)) for ids in sequences]

    def _log_probs(self, text: Array) -> Floats:
        """Of the tokens of a text after its `<s>`."""
        lengths = np.full(len(text) - 1, -1, np.int64)
        counts, totals = np.zeros_like(lengths), np.zeros_like(lengths)
        for shard in self.shards:
            _count(*shard, text, lengths, counts, totals)
        scores = np.empty(len(lengths), np.float32)
        _score(counts, totals, self.config.alpha, self.vocabulary.size, scores)
        return scores

    def next_log_probs(self, contexts: Sequence[Ids]) -> Floats:
        return self.decoder(contexts).log_probs()

    def decoder(self, prompts: Sequence[Ids], *, depth: int = 0) -> "InfiniGramDecoder":
        return InfiniGramDecoder(self, prompts, depth)

    @cached_property
    def _starts(self) -> list[Array]:
        """Where, in each shard, the `<s>` of each document stands, and that of the end."""
        return [np.flatnonzero(shard.stream == self.vocabulary.size) for shard in self.shards]

    def documents(self) -> Iterator[Ids]:
        """The training text, a document after another, without its ends."""
        for shard, starts in zip(self.shards, self._starts, strict=True):
            for begin, end in pairwise(starts.tolist()):
                yield shard.stream[begin + 1 : end - 1]  # without `<s>` and `<eos>`

    def explain(self, context: Ids, id: int) -> MatchExplanation:
        """By the longest end of the context that training goes on after, and where it stands."""
        self.vocabulary.check(context, [id])
        text = self._text(context)
        matches = [_longest(*shard, text) for shard in self.shards]
        length = max(own for own, _, _ in matches)
        with_id: list[Iterable[tuple[int, int]]] = []  # the shard and rank of each place where it comes next
        with_others: list[Iterable[tuple[int, int]]] = []
        occurs = total = 0
        for number, (own, low, high) in enumerate(matches):
            if own == length:
                one, other = narrow(*self.shards[number], low, high, length, id)
                with_id.append(zip(repeat(number), range(one, other)))
                with_others.append(zip(repeat(number), chain(range(low, one), range(other, high))))
                occurs, total = occurs + other - one, total + high - low
        shown = islice(chain(*with_id, *with_others), SHOWN)
        passages = tuple(self._passage(number, rank, length) for number, rank in shown)
        return MatchExplanation(length, occurs, total, self.config.alpha, passages)

    def _passage(self, number: int, rank: int, length: int) -> Passage:
        """What stands around a match, within its document."""
        stream, suffixes = self.shards[number]
        position, starts = int(suffixes[rank]), self._starts[number]
        document = int(np.searchsorted(starts, position, side="right")) - 1
        begin, beyond = starts[document : document + 2].tolist()
        match, end = max(position, begin + 1), position + length
        return Passage(
            document + sum(len(before) - 1 for before in self._starts[:number]),
            match - begin - 1,
            stream[max(begin + 1, match - AROUND) : match],
            stream[match:end],
            int(stream[end]),
            stream[end + 1 : min(end + 1 + AROUND, beyond)],
        )

    def size(self) -> dict[str, int]:
        return {"tokens": sum(len(shard.stream) for shard in self.shards)}

    def save(self, folder: Path) -> None:
        for number, shard in enumerate(self.shards):
            for name, array in zip(Shard._fields, shard, strict=True):
                np.save(file_of(folder, name, number), array, allow_pickle=False)

    def _text(self, ids: Ids) -> Array:
        return np.append(np.uint32(self.vocabulary.size), ids).astype(np.uint32)


class Match(NamedTuple):
    """The longest end of a text that stands in a shard."""

    text: Array
    low: int  # of its range in the suffix array
    high: int


Matches = list[Match]  # of a text, one for each shard


class InfiniGramDecoder(StateDecoder[list[Matches]]):
    """The longest match that each text ends with, and its range in the suffix array, in each shard."""

    def __init__(self, model: InfiniGram, prompts: Sequence[Ids], depth: int) -> None:
        self.model = model
        super().__init__(model.vocabulary, prompts, depth)

    def start(self, rows: int) -> list[Matches]:
        nothing = [Match(np.empty(0, np.uint32), 0, len(shard.suffixes)) for shard in self.model.shards]
        return [self._match(nothing, np.array([self.vocabulary.size])) for _ in range(rows)]

    def read(self, state: list[Matches], ids: Sequence[Ids]) -> list[Matches]:
        return [self._match(matches, some) for matches, some in zip(state, ids, strict=True)]

    def take(self, state: list[Matches], rows: list[int]) -> list[Matches]:
        return [state[row] for row in rows]

    def join(self, one: list[Matches], other: list[Matches]) -> list[Matches]:
        return one + other

    def distributions(self, state: list[Matches]) -> Floats:
        rows = np.empty((len(state), self.vocabulary.size), np.float32)
        for matches, row in zip(state, rows, strict=True):
            pairs = list(zip(self.model.shards, matches, strict=True))
            ends = [_shorten(*shard, *match) for shard, match in pairs]
            length = max(own for own, _, _ in ends)
            counts = np.zeros(self.vocabulary.size, np.int64)
            for (shard, _), (own, low, high) in zip(pairs, ends, strict=True):
                if own == length:
                    _tally(*shard, length, low, high, counts)
            totals = np.full_like(counts, counts.sum())
            _score(counts, totals, self.model.config.alpha, self.vocabulary.size, row)
        return rows

    def _match(self, matches: Matches, ids: Ids) -> Matches:
        after = []
        for shard, match in zip(self.model.shards, matches, strict=True):
            text = np.append(match.text, ids).astype(np.uint32)
            begin, low, high = _read(*shard, text, len(match.text), match.low, match.high)
            after.append(Match(text[begin:], low, high))
        return after


def estimate(config: InfiniGramConfig, store: TokenStore) -> InfiniGram:
    """Sort the positions of the training split."""
    vocabulary = Vocabulary(store.vocabulary_size, store.eos, sep=store.sep)
    parts = cut_split(store.split("train"), config.shard)
    streams = (stream_of(part, vocabulary.size) for part in parts)
    return InfiniGram(vocabulary, config, [Shard(stream, suffix_array(stream)) for stream in streams])


def estimate_distributed(
    config: InfiniGramConfig, store: TokenStore, folder: Path, executor: Executor
) -> InfiniGram:
    """`estimate` by the stages of a folder, a task for each shard."""
    vocabulary = Vocabulary(store.vocabulary_size, store.eos, sep=store.sep)
    parts = list(cut_split(store.split("train"), config.shard))
    for number, part in enumerate(parts):
        if not file_of(folder, "stream", number).exists():
            write_array(file_of(folder, "stream", number), stream_of(part, vocabulary.size))
    stage = Stage("sorting suffixes", sort_shard, len(parts), lambda number: f"shard {number:,}")
    run_stage(stage, folder, executor)
    return InfiniGram(vocabulary, config, [_shard(folder, number, map_file) for number in range(len(parts))])


def sort_shard(number: int, folder: Path) -> None:
    """A task: the suffix array of a shard."""
    stream = map_file(file_of(folder, "stream", number))
    write_array(file_of(folder, "suffixes", number), suffix_array(stream))


def cut_split(split: Split, tokens: int) -> Iterator[Split]:
    """The documents of each shard: so many tokens at most, or a document of more.

    Raises:
        LangueError: a document has more tokens than can be numbered.
    """
    begin = 0
    while begin < len(split) or begin == 0:
        most = np.uint64(int(split.offsets[begin]) + tokens)
        end = max(int(np.searchsorted(split.offsets, most, side="right")) - 1, min(begin + 1, len(split)))
        part = split.part(begin, end)
        if len(part.tokens) > MOST_TOKENS:
            raise LangueError(f"a document of {len(part.tokens):,} tokens is too long; cut it (--documents)")
        yield part
        if end == len(split):
            return
        begin = end


def load(folder: Path, config: InfiniGramConfig, vocabulary: Vocabulary) -> InfiniGram:
    shards = [_shard(folder, 0, read_array)]
    while file_of(folder, "stream", len(shards)).exists():
        shards.append(_shard(folder, len(shards), read_array))
    files = [file_of(folder, name, number) for number in range(len(shards)) for name in Shard._fields]

    def check_all() -> None:
        for shard in shards:
            shard.check(folder, vocabulary.size)

    once(files, vocabulary.size, check_all)
    return InfiniGram(vocabulary, config, shards)


def _shard(folder: Path, number: int, read: Callable[[Path], Array]) -> Shard:
    return Shard(*(read(file_of(folder, name, number)) for name in Shard._fields))


def file_of(folder: Path, name: str, number: int) -> Path:
    """The file of an array of a shard; most models have but one."""
    return folder / (f"{name}-{number}.npy" if number else f"{name}.npy")


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
def _longest(stream, suffixes, text):
    """The longest end of a text that something follows: its length, and the range it is followed in."""
    begin, low, high = _read(stream, suffixes, text, 0, 0, len(suffixes))
    return _shorten(stream, suffixes, text[begin:], low, high)


@njit
def _count(stream, suffixes, text, lengths, counts, totals):
    """Of each token of `text` after its `<s>`: how long the longest end before it is that something follows,
    how often that token does, and how often any. What a shard before has shorter is replaced, what it has of
    this length added to."""
    begin, low, high = follow(stream, suffixes, text, np.int64(0), 0, np.int64(0), np.int64(len(suffixes)))
    for t in range(1, len(text)):
        length, after, upto = _shorten(stream, suffixes, text[begin:t], low, high)
        if length > lengths[t - 1]:
            lengths[t - 1], counts[t - 1], totals[t - 1] = length, 0, 0
        if length == lengths[t - 1]:
            one, other = narrow(stream, suffixes, after, upto, length, text[t])
            counts[t - 1] += other - one
            totals[t - 1] += upto - after
        begin, low, high = follow(stream, suffixes, text, begin, t, low, high)


@njit
def _tally(stream, suffixes, length, low, high, counts):
    """Add to `counts` how often each token comes after a match with the range [low, high)."""
    while low < high:
        token = stream[np.int64(suffixes[low]) + length]
        _, after = narrow(stream, suffixes, low, high, length, token)
        counts[token] += after - low
        low = after


@njit
def _score(counts, totals, alpha, size, scores):
    """Fill `scores` with log-probabilities."""
    for row in range(len(counts)):
        scores[row] = np.log((counts[row] + alpha) / (totals[row] + alpha * size))


FAMILY = Family(
    name="infinigram",
    summary="n-grams without bound, by the longest match in a suffix array",
    makes=Causal,
    config=InfiniGramConfig,
    estimated_by="counts",
    load=load,
    estimate=estimate,
    by_stages=ByStages(estimate_distributed, lambda config, tokens: 2 * 4 * tokens),
)
