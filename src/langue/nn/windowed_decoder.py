"""Decoding by models that see a window: of each row the ids read, and keys and values of those in its window.

Rows are read together: those that go on by as many tokens, and those that begin, padded to the longest.
Where a window moves on (`Windowed.window_start`) it is read afresh: what is generated sees what scoring sees.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from langue.base.arrays import Floats, Ids
from langue.inference.decoding import check_counts
from langue.nn.cache import Cache, Past, Slots

if TYPE_CHECKING:
    from langue.nn.windowed import Windowed

CHUNK_POSITIONS = 1 << 13  # read at a time


class Piece(NamedTuple):
    """Tokens of a row that are read in one pass."""

    row: int
    slot: int
    start: int  # of the window, in all that the row reads
    begin: int  # positions of the window that were read before
    ids: list[int]
    new: int  # of these, the last that nothing was predicted after yet


class WindowRows(ABC):
    """What a `Decoder` remembers of its rows, once one adds these.

    read(every): read the ids that were not yet; with `every`, what is known after each new one, for each row
    distributions(last): log-probabilities of what follows
    """

    last: Any  # what is known after each row: an array, or a tensor, of rows

    def __init__(self, model: "Windowed", prompts: Sequence[Ids], cache: Slots, last: Any) -> None:
        self.model = model
        self.depth: int | None = None
        self.slots = cache
        self.ids: list[list[int]] = []  # read in each row, `<eos>` first
        self.start: list[int] = []  # of its window
        self.length: list[int] = []  # positions of the window that the cache has
        self.done: list[int] = []  # ids after which it is known what comes next
        self.last = last
        self.add(prompts)

    @abstractmethod
    def read(self, *, every: bool = False) -> Sequence[Any]: ...

    @abstractmethod
    def distributions(self, last: Any) -> Floats: ...

    def log_probs(self) -> Floats:
        self.read()
        return self.distributions(self.last)

    def extend(self, ids: Sequence[Ids] | Ids, *, every: bool = False) -> list[Floats]:
        self.model.vocabulary.check(*ids)
        for row, (read, some) in enumerate(zip(self.ids, ids, strict=True)):
            if len(some) and self.start[row] + self.length[row] == len(read):
                self.done[row] = len(read)  # what follows the last before these is not asked any more
            read.extend(map(int, some))
        after = self.read(every=every)
        if not every:
            return []
        # Where tokens were taken back, what follows the last that stayed was asked again too.
        return [self.distributions(x[len(x) - len(some) :]) for x, some in zip(after, ids, strict=True)]

    def truncate(self, counts: Sequence[int]) -> None:
        check_counts(counts, [len(ids) - 1 for ids in self.ids], self.depth)
        for row, count in enumerate(counts):
            if count:
                ids = self.ids[row] = self.ids[row][:-count]
                self.done[row] = len(ids) - 1
                self.length[row] = max(min(self.length[row], len(ids) - self.start[row]), 0)

    def select(self, rows: Sequence[int]) -> None:
        rows = list(rows)
        self.slots.select(rows)
        self.ids = [list(self.ids[row]) for row in rows]
        self.start, self.length, self.done = (
            [kept[row] for row in rows] for kept in (self.start, self.length, self.done)
        )
        self.last = self.last[rows]

    def add(self, prompts: Sequence[Ids]) -> None:
        self.model.vocabulary.check(*prompts)
        self.slots.add(len(prompts))
        self.ids += [[self.model.vocabulary.eos, *map(int, ids)] for ids in prompts]
        for kept in (self.start, self.length, self.done):
            kept += [0] * len(prompts)
        self.grow(len(prompts))
        self.read()

    @abstractmethod
    def grow(self, rows: int) -> None:
        """Make room in `last` for so many rows more."""

    def window_of(self, row: int, position: int) -> tuple[int, int]:
        """Where the window that predicts what comes after the id at a position begins, and ends at most."""
        start = self.model.window_start(position)
        return start, start + self.model.context

    def unread(self) -> list[int]:
        """The rows that have ids after which it is not known what comes."""
        return [row for row, ids in enumerate(self.ids) if self.done[row] < len(ids)]

    def piece(self, row: int, *, every: bool) -> Piece:
        """What a row reads next: all of a window, or what is new of the one it stands in."""
        ids = self.ids[row]
        position = self.done[row] if every else len(ids) - 1
        start, end = self.window_of(row, position)
        begin = min(self.length[row], position - start) if start == self.start[row] else 0
        end = min(end, len(ids))
        return Piece(row, self.slots.slots[row], start, begin, ids[start + begin : end], end - position)

    def keep(self, piece: Piece) -> None:
        """Remember that it was read."""
        self.start[piece.row] = piece.start
        self.length[piece.row] = piece.begin + len(piece.ids)
        self.done[piece.row] = piece.start + self.length[piece.row]


class WindowedDecoder(WindowRows):
    """A `Decoder` that remembers all it reads, by torch."""

    last: torch.Tensor  # (B, C) hidden states, or (B, V) log-probabilities of a model that copies

    def __init__(self, model: "Windowed", prompts: Sequence[Ids]) -> None:
        self.cache = Cache(model.context)
        super().__init__(model, prompts, self.cache, model.head.new_zeros(0, self.width(model)))

    def width(self, model: "Windowed") -> int:
        """Of what is known after a row."""
        return model.head.shape[1]

    def distributions(self, last: torch.Tensor) -> Floats:
        return self.model.distributions(last)

    def grow(self, rows: int) -> None:
        self.last = torch.cat([self.last, self.last.new_zeros(rows, self.last.shape[1])])

    def forward(self, group: Sequence[Piece], ids: torch.Tensor) -> Any:
        """Hidden states of ids `(B, T)`, those of pieces: indexed by rows and positions, `(…, C)`."""
        past = self.past(group, ids.shape[1])
        return self.model(ids, past.positions, past.mask, past)

    def past(self, group: Sequence[Piece], T: int, memory: int = 0) -> Past:
        slots, begins = [piece.slot for piece in group], [piece.begin for piece in group]
        return Past(self.cache, slots, begins, T, self.model.device, memory)

    @torch.inference_mode()
    def read(self, *, every: bool = False) -> list[torch.Tensor]:
        """Read what was not yet; with `every`, the hidden states after each new id, `(n, C)` for each row."""
        hidden: list[list[torch.Tensor]] = [[self.last[:0]] for _ in self.ids] if every else []
        while rows := self.unread():
            for group in _group([self.piece(row, every=every) for row in rows]):
                ids = torch.zeros(len(group), max(len(piece.ids) for piece in group), dtype=torch.int64)
                for index, piece in enumerate(group):
                    ids[index, : len(piece.ids)] = torch.tensor(piece.ids)
                x = self.forward(group, ids.to(self.model.device))
                ends = torch.tensor([len(piece.ids) - 1 for piece in group])
                self.last[[piece.row for piece in group]] = x[torch.arange(len(group)), ends]
                for index, piece in enumerate(group):
                    self.keep(piece)
                    if every:
                        end = len(piece.ids)
                        hidden[piece.row].append(x[index, end - piece.new : end])
        return [torch.cat(parts) for parts in hidden]


def _group(pieces: list[Piece]) -> list[list[Piece]]:
    """What is read together: pieces that go on by as many tokens, or windows of nearly one length."""
    pieces.sort(key=lambda piece: (piece.begin > 0, -len(piece.ids)))
    groups: list[list[Piece]] = []
    for piece in pieces:
        if groups:
            first, short = groups[-1][0], len(piece.ids)
            alike = short == len(first.ids) if piece.begin else 2 * short >= len(first.ids)
            small = (len(groups[-1]) + 1) * len(first.ids) <= CHUNK_POSITIONS
            if (piece.begin > 0) == (first.begin > 0) and alike and small:
                groups[-1].append(piece)
                continue
        groups.append([piece])
    return [sorted(group, key=lambda piece: piece.slot) for group in groups]
