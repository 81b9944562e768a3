"""A decoder of a model that sees a window, by the compiled step: all rows in one call, whatever they read."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from langue.base.arrays import Floats, Ids
from langue.nn.windowed_decoder import Piece, WindowRows

if TYPE_CHECKING:
    from langue.nn.windowed import Windowed


class CompiledDecoder(WindowRows):
    """A `Decoder` that remembers all it reads."""

    last: Floats  # (B, V) log-probabilities

    def __init__(self, model: "Windowed", step: Any, prompts: Sequence[Ids], cache: Any) -> None:
        self.step = step
        self.cache = cache
        self.room = step.room()
        super().__init__(model, prompts, self.cache, np.empty((0, model.vocabulary.size), np.float32))

    def distributions(self, last: Floats) -> Floats:
        return last.copy()

    def grow(self, rows: int) -> None:
        self.last = np.concatenate([self.last, np.empty((rows, self.last.shape[1]), np.float32)])

    def read(self, *, every: bool = False) -> Sequence[Floats]:
        """In one call of the step for all rows, or, of windows that have moved on in between, a few."""
        if not (rows := self.unread()):
            return [self.last[:0] for _ in self.ids] if every else []
        if len(rows) == len(self.ids) and not every and self._read_one_each():
            return []
        after: list[list[Floats]] = [[self.last[:0]] for _ in self.ids] if every else []
        while rows := self.unread():
            pieces = [self.piece(row, every=every) for row in rows]
            if not every:
                pieces = [piece._replace(new=1) for piece in pieces]
            log_probs = self._read(pieces)
            if every:
                ends = np.cumsum([piece.new for piece in pieces])
                for piece, part in zip(pieces, np.split(log_probs, ends[:-1]), strict=True):
                    after[piece.row].append(part)
                log_probs = log_probs[ends - 1]
            for piece in pieces:
                self.keep(piece)
            if len(rows) < len(self.ids):
                self.last[rows] = log_probs
            else:
                self.last = log_probs
        return [np.concatenate(parts) for parts in after]

    def _read_one_each(self) -> bool:
        """Read on by a token in each row, which a step of generation is; False where it is something else."""
        ids, at = [], []
        for row, read in enumerate(self.ids):
            position = len(read) - 1
            start = self.start[row]
            goes_on = self.done[row] == position == start + self.length[row] > start
            if not goes_on or self.window_of(row, position)[0] != start:
                return False
            ids.append(read[-1])
            at.append(position - start)
        given = np.array((ids, self.cache.slots, at, range(len(ids))), np.int64)
        self.last = self.step.read(self.cache, self.room, *given)
        self.length = [count + 1 for count in self.length]
        self.done = [count + 1 for count in self.done]
        return True

    def _read(self, pieces: Sequence[Piece]) -> Floats:
        """Distributions after the new ids of each."""
        ids: list[int] = []
        slots: list[int] = []
        at: list[int] = []
        wanted: list[int] = []
        for piece in pieces:
            ids += piece.ids
            slots += [piece.slot] * len(piece.ids)
            at += range(piece.begin, piece.begin + len(piece.ids))
            wanted += range(len(ids) - piece.new, len(ids))
        given = (np.array(numbers, np.int64) for numbers in (ids, slots, at, wanted))
        log_probs: Floats = self.step.read(self.cache, self.room, *given)
        return log_probs
