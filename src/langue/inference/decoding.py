"""Decoders of models that need not remember what they read, but for a state of a fixed size.

What can be taken back is read again: beside the state after a row stands one from a little before, and the
tokens between the two. Nothing of it is kept where nothing is to be taken back.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

import numpy as np

from langue.base.arrays import Floats, Ids, Int64Array
from langue.base.errors import Mismatch
from langue.protocols import Vocabulary

State = TypeVar("State")


def check_counts(counts: Sequence[int], read: Sequence[int], depth: int | None) -> None:
    """See that so many tokens can be taken back from each row.

    Raises:
        Mismatch: a row has read less, or they stand deeper than what is kept.
    """
    if len(counts) != len(read) or any(not 0 <= count <= most for count, most in zip(counts, read)):  # noqa: B905
        raise Mismatch("more tokens are to be taken back than were read")
    if depth is not None and any(count > depth for count in counts):
        raise Mismatch(f"{max(counts)} tokens are to be taken back, but {depth} at most can be")


class StateDecoder(ABC, Generic[State]):
    """A `Decoder` by the state of all rows, once a family adds these. A state is never changed, once made.

    start(rows): the state at the beginning of so many documents
    read(state, ids): the state after reading on, an array for each row, of any lengths
    take(state, rows): the state of some rows, in this order
    join(one, other): the state of the rows of one, and then of the other
    distributions(state): log-probabilities of every next token `(B, V)`
    """

    def __init__(self, vocabulary: Vocabulary, prompts: Sequence[Ids], depth: int) -> None:
        self.vocabulary = vocabulary
        self.depth: int | None = depth
        self.state = self.before = self.start(0)  # after all that was read, and before `tails`
        self.tails: list[list[int]] = []  # the last tokens of each row: `depth` of them or more, once read
        self._kept = depth
        self.add(prompts)

    @abstractmethod
    def start(self, rows: int) -> State: ...

    @abstractmethod
    def read(self, state: State, ids: Sequence[Ids]) -> State: ...

    @abstractmethod
    def take(self, state: State, rows: list[int]) -> State: ...

    @abstractmethod
    def join(self, one: State, other: State) -> State: ...

    @abstractmethod
    def distributions(self, state: State) -> Floats: ...

    def check(self, *ids: Ids) -> None:
        self.vocabulary.check(*ids)

    def read_every(self, state: State, ids: Sequence[Ids]) -> tuple[State, list[Floats]]:
        """`read`, and the distributions after each token, `(k, V)` for each row."""
        rows = [np.empty((len(some), self.vocabulary.size), np.float32) for some in ids]
        for t in range(max(map(len, ids), default=0)):
            state = self.read(state, [some[t : t + 1] for some in ids])
            here = [row for row, some in enumerate(ids) if len(some) > t]
            for row, scores in zip(here, self.distributions(self.take(state, here)), strict=True):
                rows[row][t] = scores
        return state, list(rows)

    def log_probs(self) -> Floats:
        return self.distributions(self.state)

    def extend(self, ids: Sequence[Ids] | Ids, *, every: bool = False) -> list[Floats]:
        self.check(*ids)
        log_probs: list[Floats] = []
        if every:
            self.state, log_probs = self.read_every(self.state, list(ids))
        else:
            self.state = self.read(self.state, list(ids))
        self.remember(ids)
        return log_probs

    def remember(self, ids: Sequence[Ids] | Ids) -> None:
        """Keep what the state has just read of each row, where it may have to be taken back."""
        if self._kept:
            for tail, some in zip(self.tails, ids, strict=True):
                tail.extend(map(int, some))
            if max(map(len, self.tails), default=0) > 2 * self._kept + 1:
                self._forget()

    def truncate(self, counts: Sequence[int]) -> None:
        check_counts(counts, [len(tail) for tail in self.tails] or [0] * len(counts), self.depth)
        if any(counts):
            self.tails = [tail[: len(tail) - count] for tail, count in zip(self.tails, counts, strict=True)]
            self.state = self.read(self.before, [np.array(tail, np.int64) for tail in self.tails])

    def select(self, rows: Sequence[int]) -> None:
        self.state = self.take(self.state, list(rows))
        if self._kept:
            self.before = self.take(self.before, list(rows))
            self.tails = [list(self.tails[row]) for row in rows]

    def add(self, prompts: Sequence[Ids]) -> None:
        self.check(*prompts)
        state = self.start(len(prompts))
        if self._kept:
            ends = [max(len(ids) - self._kept, 0) for ids in prompts]
            state = self.read(state, [ids[:end] for ids, end in zip(prompts, ends, strict=True)])
            self.before = self.join(self.before, state)
            prompts = [ids[end:] for ids, end in zip(prompts, ends, strict=True)]
            self.tails += [[int(id) for id in ids] for ids in prompts]
        self.state = self.join(self.state, self.read(state, prompts))

    def _forget(self) -> None:
        """Move the earlier state on, to `depth` tokens before the end."""
        ends = [max(len(tail) - self._kept, 0) for tail in self.tails]
        passed = [np.array(tail[:end], np.int64) for tail, end in zip(self.tails, ends, strict=True)]
        self.before = self.read(self.before, passed)
        self.tails = [tail[end:] for tail, end in zip(self.tails, ends, strict=True)]


class ContextDecoder(StateDecoder[Int64Array]):
    """Of a model of a fixed order: the last tokens of each row, `(B, order - 1)`, the nearest last.

    Before a document stands `<eos>`, as often as needed.
    """

    def __init__(self, vocabulary: Vocabulary, order: int, prompts: Sequence[Ids], depth: int) -> None:
        self.order = order
        self.begin = vocabulary.eos
        super().__init__(vocabulary, prompts, depth)

    def start(self, rows: int) -> Int64Array:
        return np.full((rows, self.order - 1), self.begin, np.int64)

    def read(self, state: Int64Array, ids: Sequence[Ids]) -> Int64Array:
        after = np.empty_like(state)
        for before, some, row in zip(state, ids, after, strict=True):
            row[:] = np.concatenate([before, np.asarray(some, np.int64)])[len(some) :]
        return after

    def take(self, state: Int64Array, rows: list[int]) -> Int64Array:
        return state[rows]

    def join(self, one: Int64Array, other: Int64Array) -> Int64Array:
        return np.concatenate([one, other])
