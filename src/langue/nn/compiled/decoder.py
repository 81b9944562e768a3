"""A decoder of a model that sees a window, by the compiled step: all rows in one call, whatever they read."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from langue.base.arrays import Floats, Ids, Int64Array
from langue.nn.compiled.choice import Writing
from langue.nn.windowed_decoder import Piece, WindowRows
from langue.protocols.drawing import DrawingDecoder, Draws

if TYPE_CHECKING:
    from langue.nn.windowed import Windowed


class CompiledDecoder(WindowRows, DrawingDecoder):
    """A `Decoder` that remembers all it reads, draws tokens as well, and reads those of all rows in one call.

    Args:
        step: the weights of the model, as `CompiledTransformer`. cache: of its kind.
    """

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
        if (unread := self.one_of_each()) is None:
            return False
        self.last = self.step.read(self.cache, self.room, *unread)
        self.length = (unread[2] + 1).tolist()
        self.done = [len(ids) for ids in self.ids]
        return True

    def one_of_each(self) -> Int64Array | None:
        """What the step is given of the unread tokens, `(4, B)`, where each row has one, and its window
        stays."""
        ids, at = [], []
        for row, read in enumerate(self.ids):
            position = len(read) - 1
            start = self.start[row]
            goes_on = self.done[row] == position > start and start + self.length[row] >= position
            if not goes_on or self.window_of(row, position)[0] != start:
                return None
            ids.append(read[-1])
            at.append(position - start)
        return np.array((ids, self.cache.slots, at, range(len(ids))), np.int64)

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

    @property
    def work(self) -> int:
        """Half of the weights for a row that is drafted."""
        work: int = self.step.work
        return work // 2 if self.step.drafts and len(self.ids) == 1 else work

    def most(self) -> int:
        return 1 + max(min(map(self.left, range(len(self.ids)))), 0)  # the last is not read

    def left(self, row: int) -> int:
        """Tokens that the window of a row can still take in, whichever they are."""
        ids = self.ids[row]
        return self.window_of(row, len(ids) - 1)[1] - len(ids)

    def draw(self, draws: Draws) -> tuple[list[Ids], list[Floats]]:
        return self.draw_mixed(draws)

    def draw_mixed(self, draws: Draws, *mixture: object) -> tuple[list[Ids], list[Floats]]:
        """Draw from what something is mixed into (`mixing.py`), if it is given."""
        if (unread := self.one_of_each()) is None:
            self.read()
            unread = np.empty((4, 0), np.int64)
        following = np.array([len(ids) - start for ids, start in zip(self.ids, self.start, strict=True)])
        slots, writing = np.array(self.cache.slots), Writing.by(draws)
        self.step.write(self.cache, self.room, unread, self.last, slots, following, writing, *mixture)
        drawn, log_probs = writing.drawn()
        for row, (ids, tokens) in enumerate(zip(self.ids, drawn, strict=True)):
            ids += tokens.tolist()
            self.done[row] = len(ids) - 1  # `last` is of no row any more
            self.length[row] = self.done[row] - self.start[row]
        return drawn, log_probs
