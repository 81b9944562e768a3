"""Decoding by an encoder–decoder: what is written grows beside the memory of its source.

Letters: B batch, T time, S positions of a memory, C channels, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from langue.base.arrays import Floats, Ids
from langue.nn.cache import KeysValues
from langue.nn.pointer import Decoded, Pointed, mix
from langue.nn.windowed_decoder import Piece, WindowedDecoder

if TYPE_CHECKING:
    from langue.nn.encoder_decoder import EncoderDecoder


@dataclass(frozen=True)
class Mixed:
    """Log-probabilities of what is written or copied, made for the positions that are asked for."""

    model: "EncoderDecoder"
    hidden: torch.Tensor
    pointed: Pointed

    def __getitem__(self, at: Any) -> torch.Tensor:
        """Log-probabilities `(N, V)`.

        Args:
            at: a row and a slice of its positions, or indices of rows and a position of each, `(N,)`.
        """
        hidden, (gate, attention, some, ids) = self.hidden[at], self.pointed
        sources = ids[at[0]].expand(len(hidden), -1)
        return mix(gate[at], attention[at], some[at], sources, self.model.logits(hidden))


def part_at(read: Sequence[int], position: int, part: int, ends: frozenset[int]) -> tuple[int, int]:
    """Where the part begins and ends that a position lies in, of all that was read of a document.

    Args:
        part: tokens of a part, where no id `ends` a source.
    """
    if not ends:
        start = position - position % part
        return start, start + part
    first = next((index for index, id in enumerate(read) if index and id in ends), len(read))
    return (0, first) if position < first else (first, len(read))


class PartsDecoder(WindowedDecoder):
    """Documents that grow: the window of a row is the part at hand, beside the memory of the part before."""

    model: "EncoderDecoder"

    def __init__(self, model: "EncoderDecoder", prompts: Sequence[Ids]) -> None:
        self.separators = model.source_ends
        self.sources: dict[int, list[int]] = {}  # what the memory that stands in a slot is of
        super().__init__(model, prompts)

    def width(self, model: Any) -> int:
        return len(model.head) if model.pointer is not None else super().width(model)

    def distributions(self, last: torch.Tensor) -> Floats:
        if self.model.pointer is None:
            return super().distributions(last)
        scores: Floats = last.cpu().numpy()  # `Mixed` made them
        return scores

    def select(self, rows: Sequence[int]) -> None:
        before = [self.sources.get(self.cache.slots[row], []) for row in rows]
        super().select(rows)
        self.sources = dict(zip(self.cache.slots, before, strict=True))

    def window_of(self, row: int, position: int) -> tuple[int, int]:
        return part_at(self.ids[row], position, self.model.part, self.separators)

    def forward(self, group: Sequence[Piece], ids: torch.Tensor) -> Any:
        memory = ids.new_empty(0)
        if not group[0].begin:
            self.sources |= {
                piece.slot: self.model.source_ids(self.ids[piece.row], piece.start) for piece in group
            }
            memories = [self.model.memory(self.sources[piece.slot])[0] for piece in group]
            memory = nn.utils.rnn.pad_sequence(memories, batch_first=True)
        sources = [self.sources[piece.slot] for piece in group]
        lengths = [len(source) for source in sources]
        past = self.past(group, ids.shape[1], max(lengths))
        ends = torch.tensor(lengths, device=ids.device)
        there = torch.arange(max(lengths), device=ids.device) < ends[:, None]
        mask = there[:, None, None] if min(lengths) < max(lengths) else None
        x = self.model.decode(ids, past.positions, past.mask, memory, mask, past)
        pointer = self.model.pointer
        if pointer is None:
            return x

        def make() -> KeysValues:
            keys = pointer.key(memory)[:, None]
            return keys, keys[..., :0]

        keys = past.once(pointer, make)[0][:, 0]
        rows = [torch.tensor(source) for source in sources]
        copied = nn.utils.rnn.pad_sequence(rows, batch_first=True).to(ids.device)
        seen = (there & self.model.copied(copied))[:, None]
        first = [self._before(piece) for piece in group]
        before = torch.cat([torch.tensor(first, device=ids.device)[:, None], ids[:, :-1]], 1)
        return Mixed(self.model, x, pointer(Decoded(x, ids, before, copied, seen), keys))

    def _before(self, piece: Piece) -> int:
        """What was read before the first token of a piece; -1: nothing."""
        begin = piece.start + piece.begin
        return self.ids[piece.row][begin - 1] if begin else -1
