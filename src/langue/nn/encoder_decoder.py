"""Documents as sources and targets: what every encoder–decoder shares.

A document is cut into parts, each the target whose source is the part before: every `part` tokens, or, of a
pair, once: p(pair) = p(source) p(target | source). A part is read one token late, as always.
Letters: B batch, T time, S time of a memory, C channels, H heads, V vocabulary.
"""

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from langue.base.arrays import Floats, Ids
from langue.base.checked import ArraySpec, damaged
from langue.base.deprecated import warn_renamed
from langue.base.errors import LangueError
from langue.nn.attended import explanation_of, last_weights, own_weights, weights_of
from langue.nn.attention import Attention, attend
from langue.nn.cache import KeysValues, Past
from langue.nn.compiled.plan import DecoderPlan
from langue.nn.cross_entropy import linear_cross_entropy
from langue.nn.fast.compiled_step import Weights
from langue.nn.linear import Linear
from langue.nn.mask import Mask
from langue.nn.parts_decoder import Mixed, PartsDecoder, part_at
from langue.nn.pointer import CHUNK_ROWS, Decoded, Pointed, Pointer, log_probs_of, target_log_probs
from langue.nn.scores import Rule
from langue.nn.weights import WEIGHTS, saved_tensor
from langue.nn.windowed import Windowed
from langue.nn.windowed_decoder import WindowRows
from langue.protocols import Seq2Seq, Vocabulary
from langue.protocols.explanation import CrossAttentionExplanation
from langue.tokens.batch import Batch
from langue.tokens.batches import Batches, BatchSource, WholeDocuments
from langue.tokens.pairs import PairBatch, PairBatches
from langue.tokens.store import Split, TokenStore


class Cross(nn.Module):
    """Attention of the decoder to the memory (Vaswani et al. 2017, section 3.2.3)."""

    def __init__(self, C: int, H: int) -> None:
        super().__init__()
        self.H = H
        self.query = Linear(C, C)
        self.key_value = Linear(C, 2 * C)
        self.project = Linear(C, C)

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

    read_rows(ids, positions, documents): hidden states of whole rows, and the memory `(B, S, C)`
    encode(ids, positions, mask): the memory `(B, S, C)` of sources `(B, S)` that begin with `<eos>`
    decode(ids, positions, mask, memory, memory_mask, past): hidden states `(B, T, C)` of targets `(B, T)`
    decoder_plan(): the same layers, as they are compiled
    source_mask(S): which of its tokens a source sees, `(S, S)`; None: all
    source_ids(read, start): of one document, those of the source of the part that begins at a position
    decoding: the layers of the decoder
    head, bias: matrix `(V, C)` and bias `(V,)`, or None, of the logits

    Args:
        part: tokens of a part.
        separators: ids `(n,)` of which the first in a document ends its source, as `vocabulary.sep` of pairs;
            none: `part` cuts it.
        copies: channels C of a model that copies from the source (`nn.pointer`); None: it does not.
    """

    separators: torch.Tensor
    decoding: nn.ModuleList
    config: Any  # of the family, with its `separator`

    def __init__(
        self,
        vocabulary: Vocabulary,
        part: int,
        separators: torch.Tensor | None,
        copies: int | None = None,
    ) -> None:
        super().__init__(vocabulary, window=2 * part)  # a part and its source; it moves on by one part
        self.part = part
        self.pointer = Pointer(copies) if copies is not None else None
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
    def decoder_plan(self) -> DecoderPlan: ...

    @abstractmethod
    def encode(self, ids: torch.Tensor, positions: torch.Tensor, mask: Mask) -> torch.Tensor: ...

    @abstractmethod
    def read_rows(
        self, ids: torch.Tensor, positions: torch.Tensor, documents: torch.Tensor | str = "causal"
    ) -> tuple[Decoded, torch.Tensor]:
        """Of inputs `(B, T)`, in parts that are the sources of the next; and the memory `(B, S, C)`.

        Args:
            positions: `(T,)` or `(B, T)`, of each token in its document.
            documents: `(B, T)`, which one; "causal": all of a row is one.
        """

    @abstractmethod
    def source_mask(self, S: int) -> torch.Tensor | None: ...

    @abstractmethod
    def source_ids(self, read: list[int], start: int) -> list[int]: ...

    def forward(
        self, ids: torch.Tensor, positions: torch.Tensor, documents: torch.Tensor | str = "causal"
    ) -> torch.Tensor:
        """The hidden states of `read_rows`."""
        return self.read_rows(ids, positions, documents)[0].hidden

    @property
    def bias(self) -> torch.Tensor | None:
        return None

    def read_in(self, how: Literal["int8"]) -> bool:
        """The compiled step, which alone has int8, does not copy."""
        return self.pointer is None and super().read_in(how)

    def compiled(self) -> Any:
        return super().compiled() if self.pointer is None else None

    def lay_out(self, weights: Weights | None) -> Any:
        from langue.nn.compiled.seq2seq import CompiledSeq2Seq  # numba takes long to import

        return CompiledSeq2Seq(self.decoder_plan(), weights)

    @property
    def separator(self) -> str:
        return str(self.config.separator)

    @property
    def source_ends(self) -> frozenset[int]:
        return frozenset(self.separators.tolist())

    @property
    def longest_source(self) -> int:
        return self.part

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
        source = self.source_ids(read, start)
        memory = self.memory(source)
        with (
            last_weights(self.decoding, Attention, own_weights) as own,
            last_weights(self.decoding, Cross, Cross.weights) as crossed,
        ):
            self.decode(ids, torch.arange(ids.shape[1], device=ids.device), "causal", memory)
        return CrossAttentionExplanation(
            explanation_of(np.array(source), crossed), explanation_of(np.array(read[start:]), own)
        )

    def loss(self, batch: Batch | PairBatch) -> torch.Tensor:
        """Sum of the cross-entropies, in nats, of the targets of a batch: of packed rows, or of pairs."""
        if isinstance(batch, PairBatch):
            return self._loss_of_pairs(batch)
        inputs, targets, positions, documents = (torch.from_numpy(part).to(self.device) for part in batch)
        if self.pointer is None:
            x = self(inputs, positions, documents)
            return linear_cross_entropy(x.flatten(0, 1), self.head, targets.flatten(), self.bias)
        return self._loss_of(*self.read_rows(inputs, positions, documents), targets, targets >= 0)

    def _loss_of_pairs(self, batch: PairBatch) -> torch.Tensor:
        sources, lengths, inputs, targets, ends = (torch.from_numpy(part).to(self.device) for part in batch)
        S, T = sources.shape[1], inputs.shape[1]
        step = torch.arange(max(S, T), device=self.device)
        there, rule = step[:S] < lengths[:, None], self.source_mask(S)
        seen = there[:, None] if rule is None else there[:, None] & rule
        memory = self.encode(sources, step[:S], seen[:, None])
        hidden = self.decode(inputs, step[:T], "causal", memory, there[:, None, None])
        kept = step[:T] < ends[:, None]
        decoded = Decoded(hidden, inputs, shifted(inputs), sources, there[:, None])
        return self._loss_of(decoded, memory, targets, kept)

    def _loss_of(
        self, decoded: Decoded, memory: torch.Tensor, targets: torch.Tensor, kept: torch.Tensor
    ) -> torch.Tensor:
        """Of the targets `(B, T)` that are kept."""
        hidden = decoded.hidden[kept]
        if self.pointer is None:
            return linear_cross_entropy(hidden, self.head, targets[kept], self.bias)
        generated = torch.zeros(targets.shape, device=targets.device)
        generated[kept] = log_probs_of(hidden, self.head, self.bias, targets[kept])
        scores = target_log_probs(self._pointed(decoded, memory), generated, targets)
        return -scores[kept].sum()

    def _pointed(self, decoded: Decoded, memory: torch.Tensor) -> Pointed:
        assert self.pointer is not None
        mask = decoded.mask & self.copied(decoded.ids)[:, None]
        pointed: Pointed = self.pointer(decoded._replace(mask=mask), self.pointer.key(memory))
        return pointed

    def memory(self, source: list[int]) -> torch.Tensor:
        """Of the ids of one source, `(1, S, C)`."""
        ids, rule = torch.tensor([source], device=self.device), self.source_mask(len(source))
        step = torch.arange(len(source), device=self.device)
        return self.encode(ids, step, None if rule is None else rule[None, None])

    def copied(self, ids: torch.Tensor) -> torch.Tensor:
        """Whether ids of a source may be copied: all but its ends."""
        return (ids != self.vocabulary.eos) & ~torch.isin(ids, self.separators)

    def _token_scores(self, inputs: torch.Tensor, targets: torch.Tensor, rule: Rule) -> torch.Tensor:
        if self.pointer is None:
            return super()._token_scores(inputs, targets, rule)
        decoded, memory = self.read_rows(inputs, torch.arange(inputs.shape[1], device=self.device))
        mixed = Mixed(self, decoded.hidden, self._pointed(decoded, memory))
        B, T = targets.shape
        parts = [(row, slice(t, t + CHUNK_ROWS)) for row in range(B) for t in range(0, T, CHUNK_ROWS)]
        return torch.cat([rule(mixed[part], targets[part]) for part in parts], 1).view(-1, B, T)

    def scores(self, sequences: Sequence[Ids], rule: Rule, figures: int) -> list[Floats]:
        if not self.scored_by_step() or self.compiled() is None:
            return super().scores(sequences, rule, figures)
        from langue.nn.compiled.score import decoder_scores  # numba takes long to import

        return decoder_scores(self, sequences, rule, figures=figures)

    def decoder(self, prompts: Sequence[Ids], *, depth: int = 0) -> WindowRows:
        if (step := self.compiled()) is not None:
            from langue.nn.compiled.parts import CompiledParts  # numba takes long to import

            return CompiledParts(self, step, prompts)
        return PartsDecoder(self, prompts)


def shifted(ids: torch.Tensor) -> torch.Tensor:
    """What stands before each of ids `(B, T)`; before the first, -1."""
    return F.pad(ids[:, :-1], (1, 0), value=-1)


def within(apart: torch.Tensor, documents: torch.Tensor | str) -> torch.Tensor:
    """Where `apart` `(B, T, S)` holds and both positions are of one document; numbers `(B, T)`, or "causal":
    all of a row is one."""
    if isinstance(documents, str):
        return apart
    return apart & (documents[:, :, None] == documents[:, None, :])


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
    """Warn of documents that are cut by a separator, as an earlier version had it.

    Raises:
        LangueError: targets alone are to be learned of a store that has none.
    """
    if not model.config.source_loss and store.sep is None:
        raise LangueError(
            f"source_loss = false learns targets alone, and {store.path} holds texts without any; leave it "
            "out, or prepare pairs (--documents=pairs or summaries, or --gap-sentences)"
        )
    if model.separator:
        warn_renamed("separator", "a store of pairs (langue prepare PAIRS --documents pairs)")


def batches(
    split: Split, vocabulary: Vocabulary, config: Any, rows: int, context: int, seed: int
) -> BatchSource:
    """Rows of packed documents; whole ones, if they are pairs; pairs, if their targets alone are learned."""
    if not config.source_loss and vocabulary.sep is not None:
        return PairBatches(
            split,
            tokens=rows * context,
            longest=context // 2,
            eos=vocabulary.eos,
            sep=vocabulary.sep,
            seed=seed,
        )
    kind = WholeDocuments if config.separator or vocabulary.sep is not None else Batches
    return kind(split, rows=rows, context=context, eos=vocabulary.eos, seed=seed)
