"""A request that writes: its texts in the making, and what of them is told to whoever asked."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from langue.generation.continuation import Continuation
from langue.generation.rules import Rules
from langue.server.errors import Refused

if TYPE_CHECKING:
    from langue.base.arrays import Float64Array, Floats, Ids
    from langue.generation.sample import Sampling
    from langue.tokens.tokenizer import Tokenizer

# What OpenAI says of an end; "stuck" is of a model that gives nothing that may stand next a probability.
REASONS = {"eos": "stop", "stop": "stop", "complete": "stop", "stuck": "stop", "length": "length"}


NONE = np.empty(0)
UNREAD = 2  # news that wait for a client at most: what comes then is told with the next
TOOK_TOO_LONG = Refused(504, "this took longer than this server lets a request take; ask for less")


class TokenScore(NamedTuple):
    """A token as the model saw it, before temperature and what else bends its distribution."""

    id: int
    log_prob: float  # natural
    offset: int  # characters before it in its text
    top: list[tuple[int, float]]  # the likeliest at its place, with their log-probabilities


class Piece(NamedTuple):
    """What is new of one text."""

    number: int  # of the texts of a request
    text: str
    scores: list[TokenScore]
    finished: str  # "" while it goes on
    tokens: int  # so far
    log_prob: float  # so far


def likeliest(log_probs: Floats, k: int) -> list[tuple[int, float]]:
    """The k likeliest ids of `(V,)`, likeliest first, of equal ones the smaller."""
    k = min(k, len(log_probs))
    if not k:
        return []
    least = np.partition(log_probs, len(log_probs) - k)[len(log_probs) - k]
    ids = np.flatnonzero(log_probs >= least)
    best = ids[np.argsort(-log_probs[ids], kind="stable")][:k]
    return [(int(id), float(log_probs[id])) for id in best if log_probs[id] > -np.inf]


class Writing(Continuation):
    """A text that tells how likely its tokens were, and ends when nobody waits for it.

    Args:
        top: of how many likeliest tokens to tell at each; None: tells nothing of tokens.
    """

    def __init__(
        self,
        order: Order,
        index: int,
        tokenizer: Tokenizer,
        prompt: Ids,
        sampling: Sampling,
        *,
        rules: Rules,
        after: str,
        number: int,
        lines: bool,
        top: int | None,
    ) -> None:
        super().__init__(tokenizer, prompt, sampling, rules=rules, after=after, number=number, lines=lines)
        self.order = order
        self.index = index
        self.most = sampling.max_tokens
        self._top = top
        self.told = False  # that it ended
        self.counted = 0  # tokens, by the engine
        self._scores: list[TokenScore] = []  # not yet told

    @property
    def tokens(self) -> int:
        """So far."""
        return self._tokens

    @property
    def unconstrained(self) -> bool:
        return self._top is None and super().unconstrained

    def numbers(self, most: int) -> Float64Array:
        if self.order.stopped:
            self._finish("stopped")
            return NONE
        return super().numbers(most)

    def step(self, log_probs: Floats) -> int | None:
        if self.order.stopped:
            self._finish("stopped")
            return None
        before, offset = self._tokens, len(self._text)
        try:
            token = super().step(log_probs)
        except Exception as error:
            self.order.error = error
            self._finish("stopped")
            return None
        if self._top is not None and self._tokens > before:
            chosen = self._tokenizer.eos if self.finished == "eos" else self._ids[-1]
            top = likeliest(log_probs, self._top)
            self._scores.append(TokenScore(chosen, float(log_probs[chosen]), offset, top))
        return token

    def piece(self) -> Piece:
        """What is new; scores of tokens go with their text, without those of a stop string."""
        text = self.take()
        self.told = bool(self.finished)
        if self.finished and self.finished != "stop":
            told, self._scores = self._scores, []
        else:
            told = [score for score in self._scores if score.offset < self._shown]
            self._scores = [score for score in self._scores if score.offset >= self._shown]
        return Piece(self.index, text, told, self.finished, self._tokens, self._log_prob)


class Order:
    """The texts of one request, and where news of them go.

    Args:
        streams: news come while it is written; else once, when all is.
        seconds: that it may take.
    """

    def __init__(self, *, streams: bool, seconds: float) -> None:
        self.streams = streams
        self.error: BaseException | None = None
        self.writings: list[Writing] = []
        self.left = 0
        self._gone = False
        self._told = self._heard = 0  # news; the first is counted where texts are written
        self._until = monotonic() + seconds
        self._timer: asyncio.TimerHandle | None = None
        self._news: asyncio.Queue[list[Piece] | BaseException] = asyncio.Queue()

    def add(self, writings: Sequence[Writing]) -> None:
        self.writings += writings
        self.left = len(self.writings)

    @property
    def draws(self) -> float:
        """Tokens that are drawn for it at most; ∞ where more of a distribution than a draw is asked."""
        if self.streams or not all(one.unconstrained for one in self.writings):
            return math.inf
        return sum(one.most for one in self.writings)

    @property
    def stopped(self) -> bool:
        """Whether nobody waits for it any more, it failed, or took too long."""
        if self.error is None and monotonic() > self._until:
            self.error = TOOK_TOO_LONG
        return self._gone or self.error is not None

    def leave(self) -> None:
        """Nobody waits for it any more."""
        self._gone = True
        if self._timer is not None:
            self._timer.cancel()

    def news(self) -> list[Piece] | BaseException:
        """Of all texts that moved on since they were asked; called where they are written."""
        self._told += 1
        if self.error is not None:
            return self.error
        pieces = [one.piece() for one in self.writings if not one.told]
        if not self.streams:
            return pieces
        return [piece for piece in pieces if piece.text or piece.scores or piece.finished]

    @property
    def keeps_up(self) -> bool:
        """Whether it is a stream whose client reads what it is sent. One that does not, or that the event
        loop has no time for, gets more at a time."""
        return self.streams and self._told - self._heard < UNREAD

    @property
    def fresh(self) -> bool:
        """Whether nothing of it was told yet."""
        return not self._told

    def tell(self, news: list[Piece] | BaseException) -> None:
        self._news.put_nowait(news)

    async def hear(self) -> list[Piece]:
        """The next news.

        Raises:
            Exception: what went wrong.
        """
        if self.streams and self._timer is None:  # else whoever answers sees to the time
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._until - monotonic(), self.tell, TOOK_TOO_LONG)
        news = await self._news.get()
        self._heard += 1
        if isinstance(news, BaseException):
            raise news
        return news
