"""Documents as sources and targets: what every encoder–decoder shares.

A document is cut into parts, each the target whose source is the part before: every `part` tokens, or, of a
pair, once: p(pair) = p(source) p(target | source). A part is read one token late, as always.
Letters: B batch, T time, S time of a memory, C channels, H heads, V vocabulary.
"""

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from langue.base.arrays import Ids
from langue.base.checked import ArraySpec, damaged
from langue.base.deprecated import warn_renamed
from langue.base.errors import LangueError
from langue.nn.attended import explanation_of, last_weights, own_weights, weights_of
from langue.nn.attention import Attention, Mask, attend
from langue.nn.cache import KeysValues, Past
from langue.nn.cross_entropy import linear_cross_entropy
from langue.nn.weights import WEIGHTS, saved_tensor
from langue.nn.windowed import Windowed
from langue.nn.windowed_decoder import Piece, WindowedDecoder
from langue.protocols import Seq2Seq, Vocabulary
from langue.protocols.explanation import CrossAttentionExplanation
from langue.tokens.batch import Batch
from langue.tokens.batches import Batches, WholeDocuments
from langue.tokens.store import Split, TokenStore


class Cross(nn.Module):
    """Attention of the decoder to the memory (Vaswani et al. 2017, section 3.2.3)."""

    def __init__(self, C: int, H: int) -> None:
        super().__init__()
        self.H = H
        self.query = nn.Linear(C, C)
        self.key_value = nn.Linear(C, 2 * C)
        self.project = nn.Linear(C, C)

    def forward(
        self, x: torch.Tensor, memory: torch.Tensor, mask: Mask, past: Past | None = None
    ) -> torch.Tensor:
        """`(B, T, C)` and memory `(B, S, C)` to `(B, T, C)`; `past` keeps what it makes of the memory."""

        def make() -> KeysValues:
            k, v = self.key_value(memory).chunk(2, -1)
            return self._heads(k), self._heads(v)

        k, v = make() if past is None else past.once(self, make)
        y = attend(self._heads(self.query(x)), k, v, mask)  # (B, H, T, D)
        return self.project(y.transpose(1, 2).flatten(2))

    def weights(self, x: torch.Tensor, memory: torch.Tensor, *rest: Any) -> torch.Tensor:
        """Where the heads look from the last position of one row, `(H, S)`."""
        keys, _ = self.key_value(memory).chunk(2, -1)
        return weights_of(self._heads(self.query(x)), self._heads(keys))

    def _heads(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(-1, (self.H, -1)).transpose(1, 2)


SEPARATORS = ArraySpec("int64", ("n",), below="V")


class EncoderDecoder(Windowed, Seq2Seq):
    """A `Seq2Seq` model, once a family adds these.

    forward(ids, positions, documents): hidden states `(B, T, C)` of whole rows
    decode(ids, positions, mask, memory, memory_mask, past): those `(B, T, C)` of targets `(B, T)`
    source(read, start): the ids of the source of the part of a document that begins at a position
    memory(read, start): what the encoder makes of that source, `(1, S, C)`
    decoding: the layers of the decoder
    head, bias: matrix `(V, C)` and bias `(V,)`, or None, of the logits

    Args:
        part: tokens of a part.
        separators: ids `(n,)` of which the first in a document ends its source, as `vocabulary.sep` of pairs;
            none: `part` cuts it.
    """

    separators: torch.Tensor
    decoding: nn.ModuleList
    config: Any  # of the family, with its `separator`

    def __init__(self, vocabulary: Vocabulary, part: int, separators: torch.Tensor | None) -> None:
        super().__init__(vocabulary, window=2 * part)  # a part and its source; it moves on by one part
        self.part = part
        self.register_buffer("separators", torch.empty(0).long() if separators is None else separators)
        if len(self.separators):
            self.window = self.stride = None  # all of a source and of a target is seen

    @abstractmethod
    def decode(
        self,
        ids: torch.Tensor,
        positions: torch.Tensor,
        mask: Mask,
        memory: torch.Tensor,
        memory_mask: Mask = None,
        past: Past | None = None,
    ) -> torch.Tensor: ...

    @abstractmethod
    def source(self, read: list[int], start: int) -> list[int]: ...

    @abstractmethod
    def memory(self, read: list[int], start: int) -> torch.Tensor: ...

    @property
    def bias(self) -> torch.Tensor | None:
        return None

    @property
    def separator(self) -> str:
        return str(self.config.separator)

    @property
    def source_ends(self) -> frozenset[int]:
        return frozenset(self.separators.tolist())

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        logits = super().logits(hidden)
        return logits if self.bias is None else logits + self.bias

    def parts(self, ids: torch.Tensor, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Which part of its document each token lies in, and how far into it; `(B, T)` each."""
        if not len(self.separators):
            return positions // self.part, positions % self.part
        index = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
        begins = torch.isin(ids, self.separators) & (positions > 0)  # the separator was read just before
        count = begins.cumsum(1)
        count = count - count.gather(1, index - positions)  # since the document began
        last = index.where(begins & (count == 1), -1).cummax(1).values
        second = count > 0
        return second.long(), torch.where(second, index - last, positions)

    @torch.inference_mode()
    def explain(self, context: Ids, id: int) -> CrossAttentionExplanation:
        """Where each head of each layer of the decoder looks when it predicts what comes after a context."""
        self.vocabulary.check(context, [id])
        read = [self.vocabulary.eos, *np.asarray(context).tolist()]
        start, _ = part_at(read, len(read) - 1, self.part, self.source_ends)
        ids = torch.tensor([read[start:]], device=self.device)
        memory = self.memory(read, start)
        with (
            last_weights(self.decoding, Attention, own_weights) as own,
            last_weights(self.decoding, Cross, Cross.weights) as crossed,
        ):
            self.decode(ids, torch.arange(ids.shape[1], device=ids.device), "causal", memory)
        return CrossAttentionExplanation(
            explanation_of(self.source(read, start), crossed), explanation_of(read[start:], own)
        )

    def loss(self, batch: Batch) -> torch.Tensor:
        """Sum of the cross-entropies, in nats, of the targets of a packed batch."""
        inputs, targets, positions, documents = (torch.from_numpy(part).to(self.device) for part in batch)
        x = self(inputs, positions, documents)
        return linear_cross_entropy(x.flatten(0, 1), self.head, targets.flatten(), self.bias)

    def decoder(self, prompts: Sequence[Ids], *, depth: int = 0) -> "PartsDecoder":
        return PartsDecoder(self, prompts)


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


def within(apart: torch.Tensor, documents: torch.Tensor | str) -> torch.Tensor:
    """Where `apart` `(B, T, S)` holds and both positions are of one document; numbers `(B, T)`, or "causal":
    all of a row is one."""
    if isinstance(documents, str):
        return apart
    return apart & (documents[:, :, None] == documents[:, None, :])


class PartsDecoder(WindowedDecoder):
    """Documents that grow: the window of a row is the part at hand, beside the memory of the part before."""

    model: EncoderDecoder

    def __init__(self, model: EncoderDecoder, prompts: Sequence[Ids]) -> None:
        self.separators = model.source_ends
        self.memory: dict[int, int] = {}  # positions of the memory that stands in a slot
        super().__init__(model, prompts)

    def select(self, rows: Sequence[int]) -> None:
        before = [self.memory.get(self.cache.slots[row], 0) for row in rows]
        super().select(rows)
        self.memory = dict(zip(self.cache.slots, before, strict=True))

    def window_of(self, row: int, position: int) -> tuple[int, int]:
        return part_at(self.ids[row], position, self.model.part, self.separators)

    def forward(self, group: Sequence[Piece], ids: torch.Tensor) -> torch.Tensor:
        memory = ids.new_empty(0)
        if not group[0].begin:
            memories = [self.model.memory(self.ids[piece.row], piece.start)[0] for piece in group]
            self.memory.update((piece.slot, len(x)) for piece, x in zip(group, memories, strict=True))
            memory = nn.utils.rnn.pad_sequence(memories, batch_first=True)
        lengths = [self.memory[piece.slot] for piece in group]
        past = self.past(group, ids.shape[1], max(lengths))
        mask: Mask = None
        if min(lengths) < max(lengths):
            ends = torch.tensor(lengths, device=ids.device)
            mask = (torch.arange(max(lengths), device=ids.device) < ends[:, None])[:, None, None]
        return self.model.decode(ids, past.positions, past.mask, memory, mask, past)


def separators_of(separator: str, vocabulary: Vocabulary) -> torch.Tensor:
    """The ids that end a source, `(n,)`: that of pairs, or those that spell a separator; none for "".

    Raises:
        LangueError: no token of the vocabulary is the separator, or pairs have no need of one.
    """
    if vocabulary.sep is not None:
        if separator:
            raise LangueError("a store of pairs knows where their sources end; leave the separator out")
        return torch.tensor([vocabulary.sep])
    wanted = separator.encode()
    ids = [
        id
        for id, spelling in enumerate(vocabulary.spellings)
        if wanted and (spelling == wanted or (wanted.strip() and spelling.strip() == wanted.strip()))
    ]
    if wanted and not ids:
        raise LangueError(
            f"no token is the separator {separator!r}; take one that the text has between every "
            "source and target, and a tokenizer that keeps it apart (words, chars, bytes)"
        )
    return torch.tensor(ids, dtype=torch.int64)


def saved_separators(folder: Path, separator: str, vocabulary: Vocabulary) -> torch.Tensor:
    """Those of a model folder.

    Raises:
        Damaged: they are no ids, or not that of its vocabulary, and it has no separator.
    """
    separators = saved_tensor(folder, "separators", SEPARATORS, V=vocabulary.size)
    expected = [vocabulary.sep] if vocabulary.sep is not None else []
    if not separator and separators.tolist() != expected:
        raise damaged(folder / WEIGHTS, "separators", f"is not {expected}, as the vocabulary has it")
    return separators


def begin(model: EncoderDecoder, store: TokenStore) -> None:
    """Warn of documents that are cut by a separator, as an earlier version had it."""
    if model.separator:
        warn_renamed("separator", "a store of pairs (langue prepare PAIRS --documents pairs)")


def batches(split: Split, vocabulary: Vocabulary, config: Any, rows: int, context: int, seed: int) -> Batches:
    """Rows of packed documents; whole ones, if they are pairs."""
    kind = WholeDocuments if config.separator or vocabulary.sep is not None else Batches
    return kind(split, rows=rows, context=context, eos=vocabulary.eos, seed=seed)
