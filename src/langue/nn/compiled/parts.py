"""A decoder of an encoder–decoder by the compiled step: the window of a row is the part at hand, beside the
memory of its source."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from langue.base.arrays import Floats, Ids
from langue.nn.compiled.decoder import CompiledDecoder
from langue.nn.compiled.seq2seq import CompiledSeq2Seq, Seq2SeqCache
from langue.nn.parts_decoder import part_at
from langue.nn.windowed_decoder import Piece

if TYPE_CHECKING:
    from langue.nn.encoder_decoder import EncoderDecoder


class CompiledParts(CompiledDecoder):
    """A `Decoder` that remembers all it reads, and draws tokens."""

    model: "EncoderDecoder"
    step: CompiledSeq2Seq
    cache: Seq2SeqCache

    def __init__(self, model: "EncoderDecoder", step: CompiledSeq2Seq, prompts: Sequence[Ids]) -> None:
        self.separators = model.source_ends
        self.first = step.plan.first
        super().__init__(model, step, prompts, Seq2SeqCache(step))

    def window_of(self, row: int, position: int) -> tuple[int, int]:
        start = self.start[row]
        if self.separators and 0 < start <= position:  # of a pair it is the second part, to the end
            return start, len(self.ids[row])
        return part_at(self.ids[row], position, self.model.part, self.separators)

    def left(self, row: int) -> int:
        if not self.separators:
            return super().left(row)
        # A part of a pair ends with the separator, which may be any token of the source, and is none of the
        # target.
        start, _ = self.window_of(row, len(self.ids[row]) - 1)
        return sys.maxsize - 1 if start else 0

    def truncate(self, counts: Sequence[int]) -> None:
        super().truncate(counts)
        for row, read in enumerate(self.ids):
            if len(read) <= self.start[row]:  # what begins the part was taken back too
                self.start[row] = self.length[row] = 0

    def _read(self, pieces: Sequence[Piece]) -> Floats:
        return super()._read([piece if piece.begin else self._begin(piece) for piece in pieces])

    def _begin(self, piece: Piece) -> Piece:
        """Encode the source of a part; its first id may be read as another."""
        source = self.model.source_ids(self.ids[piece.row], piece.start)
        self.cache.remember(piece.slot, self.step.memory_of(source, self.model.memory))
        first = piece.ids[0]
        return piece._replace(ids=[self.first.get(first, first), *piece.ids[1:]])
