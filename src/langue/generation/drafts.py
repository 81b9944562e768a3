"""Speculative decoding: tokens that something quick guesses are read in one pass of the model, which takes
those that it might have written itself, and draws another for the first that it does not (Leviathan et al.
2023). Guesses are another model's, or stood behind the same tokens earlier in the text (prompt lookup
decoding, Saxena 2023).

What is written is drawn from the model's own distribution, whatever is guessed: with a draft a seed gives
another text, as likely as the one without. At temperature 0 it is the same text.

It pays where to read several tokens takes little longer than one: of large networks in float32, whose weights
are read from memory for each pass. How many are guessed follows from how many were right; where too few were,
one is tried now and then.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from langue.base.arrays import Float64Array, Floats, Ids
from langue.generation.continuation import Continuation
from langue.protocols import Causal

MOST = 8  # tokens guessed at a time
WORTH = 0.2  # how often the last of the guesses has to be reached: what to read one costs, of a pass
MEMORY = 0.9  # of what was known of how many are right, after one more
AGAIN = 16  # passes without a guess after which one is tried
LONGEST, SHORTEST = 4, 2  # tokens that have to stand alike before what is guessed from the text


class Guess(NamedTuple):
    """Tokens that may follow, `(k,)`, and the weights that each was drawn by, `(k, V)`."""

    ids: Ids
    weights: Floats


class Draft(Protocol):
    """What guesses how a text goes on that it reads along."""

    def guess(self, count: int, one: Continuation, numbers: Float64Array) -> Guess:
        """So many tokens or fewer, by as many numbers in [0, 1)."""
        ...

    def read(self, ids: Sequence[int]) -> None:
        """What the text went on with."""


class ModelDraft:
    """Tokens drawn from another model of the same vocabulary, as an n-gram of the same corpus."""

    def __init__(self, model: Causal, prompt: Ids) -> None:
        self._decoder = model.decoder([prompt], depth=MOST)

    def guess(self, count: int, one: Continuation, numbers: Float64Array) -> Guess:
        from langue.nn.compiled.choice import pick, weigh  # numba takes long to import

        leads, state, settings = one.well_formed.leads, one.state, np.array(one.settings)
        ids: list[int] = []
        weights = np.empty((count, leads.shape[1]), np.float32)
        while len(ids) < count:
            before = self._decoder.log_probs()[0]
            if not weigh(before, leads[state], settings, weights[len(ids)]):
                break
            ids.append(int(pick(weights[len(ids)], numbers[len(ids)])))
            state = int(leads[state, ids[-1]])
            self._decoder.extend([np.array(ids[-1:])])
        self._decoder.truncate([len(ids)])
        return Guess(np.array(ids, np.int64), weights[: len(ids)])

    def read(self, ids: Sequence[int]) -> None:
        self._decoder.extend([np.array(ids, np.int64)])


class TextDraft:
    """What followed when the text last had the same tokens: of texts that copy, as summaries do."""

    def __init__(self, prompt: Ids) -> None:
        self._ids: list[int] = []
        self._last: dict[tuple[int, ...], int] = {}  # where the tokens after some tokens begin
        self.read([int(id) for id in prompt])

    def guess(self, count: int, one: Continuation, numbers: Float64Array) -> Guess:
        ids: list[int] = []
        for size in range(LONGEST, SHORTEST - 1, -1):
            if (begin := self._last.get(tuple(self._ids[-size:]))) is not None:
                ids = self._ids[begin : begin + count]
                break
        weights = np.zeros((len(ids), one.well_formed.leads.shape[1]), np.float32)
        weights[np.arange(len(ids)), ids] = 1.0
        return Guess(np.array(ids, np.int64), weights)

    def read(self, ids: Sequence[int]) -> None:
        for id in ids:  # what ends here is noted once something follows it
            for size in range(SHORTEST, min(LONGEST, len(self._ids)) + 1):
                self._last[tuple(self._ids[-size:])] = len(self._ids)
            self._ids.append(id)


class Pace:
    """How many tokens are to be guessed."""

    def __init__(self) -> None:
        self._rate, self._idle = 0.5, 0  # of guesses that are right; passes without one

    def count(self) -> int:
        """So many that the last is right often enough."""
        if self._rate > WORTH:
            return min(int(math.log(WORTH) / math.log(min(self._rate, 0.99))), MOST)
        self._idle = (self._idle + 1) % AGAIN
        return int(self._idle == 0)

    def learn(self, guessed: int, accepted: int) -> None:
        for right in [True] * accepted + [False] * (accepted < guessed):
            self._rate = MEMORY * self._rate + (1 - MEMORY) * right


def write_drafted(model: Causal, one: Continuation, draft: Draft) -> Iterator[Continuation]:
    """Write a text to its end that nothing but distributions and settings decide; given as it moves on."""
    from langue.nn.compiled.speculation import accept  # numba takes long to import

    one.start()
    draw, pace = one.generator("speculation"), Pace()
    decoder = model.decoder([one.prompt], depth=MOST)
    unread, leads, settings = np.empty(0, np.int64), one.well_formed.leads, np.array(one.settings)
    while not one.finished:
        count = min(pace.count(), one.left - 1)
        guess = draft.guess(count, one, draw.random(count))
        k = len(guess.ids)
        known = [] if len(unread) else [decoder.log_probs()]
        after = decoder.extend([np.concatenate([unread, guess.ids])], every=True)
        log_probs = np.concatenate([*known, *after])
        tokens, numbers = np.empty(k + 1, np.int64), draw.random((k + 1, 2))
        written, right = accept(
            log_probs, guess.ids, guess.weights, leads, one.state, settings, numbers, one.end, tokens
        )
        decoder.truncate([k - right])
        pace.learn(k, right)
        ids = tokens[:written].tolist()
        unread = tokens[right:written]
        stuck = written == right < len(tokens)
        one.extend(ids, log_probs[np.arange(written), tokens[:written]].tolist(), stuck=stuck)
        draft.read(ids)
        yield one
