"""`bert2bert`: an encoder and a decoder that begin as one BERT, to write text from text (Rothe et al. 2020).

    source  →  BERT                                                            →  memory
    target  →  BERT that sees no further, and looks at the memory in each layer  →  p(next token)

`init_from` is the model folder of a BERT: both sides take its layers, and the head its prediction of hidden
tokens; only the attention to the memory begins at random. One matrix embeds source and target and makes the
logits. Without `init_from` all is random. Documents, parts and pairs are those of `transformer`.
A source is read as BERT reads a text, `[CLS] text [SEP]`, its end being the `[SEP]`; a target begins with
`[CLS]`. The memory of what has no source before it is `[CLS]` alone. The end of a document, and that of the
source of a pair, start as what BERT takes for one, its `[SEP]`. Deviates: all text is of part A, whose
embedding is in the positions.
Letters: B batch, T time, C channels, H heads, V vocabulary.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from langue.base.bounds import Fraction, Layers, NonNegativeInt, Tokens
from langue.base.config import Config
from langue.models.encoders import bert
from langue.models.encoders.init_from import check_family, shape_of, transfer_weights
from langue.models.family import Family, InitFrom, Pretrained
from langue.models.networks.choose import choose_bert2bert
from langue.nn.attention import Attention
from langue.nn.cache import Past
from langue.nn.compiled.plan import CrossBlock, DecoderPlan
from langue.nn.dropout import Dropout
from langue.nn.encoder_decoder import (
    Cross,
    EncoderDecoder,
    batches,
    begin,
    saved_separators,
    separators_of,
    shifted,
    within,
)
from langue.nn.initial import normal_weights
from langue.nn.linear import Linear
from langue.nn.mask import Mask, causal_mask
from langue.nn.pointer import Decoded
from langue.nn.weights import load_weights
from langue.protocols import Seq2Seq, Vocabulary


class Shape(NamedTuple):
    layers: int  # of the encoder, and as many of the decoder
    width: int
    heads: int
    context: int
    d_ff: int


class Bert2BertConfig(Config, frozen=True):
    """One dial, and the numbers behind it: 0 takes what the size says."""

    RENAMED: ClassVar[Mapping[str, str]] = {"start": "init_from", "inner": "d_ff"}

    init_from: str = ""  # the BERT that it was initialized from: a model folder, or what langue imports
    size: Literal["tiny", "small", "base"] = "tiny"
    layers: Layers = 0
    width: NonNegativeInt = 0
    heads: NonNegativeInt = 0
    context: Tokens = 0  # positions of a source, and of a target; a longer one stays at the last
    d_ff: NonNegativeInt = 0
    separator: str = ""  # of an earlier version, text between source and target: prepare pairs instead
    copy_attention: bool = False  # a pointer-generator, which copies from the source (See et al. 2017)
    source_loss: bool = True  # learn the sources of pairs too; without them a network learns targets faster
    dropout: Fraction = 0.0  # 0.1 in the paper
    special_ids: tuple[int, ...] = ()  # [CLS], [SEP], [MASK]; none: after the text

    def check(self) -> None:
        _ = self.bert  # which checks what the two have in common

    @property
    def bert(self) -> bert.BertConfig:
        """The BERT of each side."""
        names = (*Shape._fields, "size", "dropout", "special_ids")
        return bert.BertConfig(sentence_pairs="none", **{name: getattr(self, name) for name in names})

    @property
    def shape(self) -> Shape:
        there = self.bert
        return Shape(*there.shape, there.d_ff or 4 * there.shape.width)


class Side(nn.Module):
    """What the encoder, or the decoder, makes of the embeddings of words: positions added, then normed."""

    def __init__(self, T: int, C: int, dropout: float) -> None:
        super().__init__()
        self.position = nn.Embedding(T, C)
        self.norm = nn.LayerNorm(C, eps=bert.EPSILON)
        self.drop = Dropout(dropout)

    def forward(self, words: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """`(B, T, C)` of words and their positions, `(T,)` or `(B, T)`."""
        last = self.position.num_embeddings - 1
        return self.drop(self.norm(words + self.position(positions.clamp(max=last))))


class DecoderBlock(nn.Module):
    """A block of BERT with attention to the memory in its middle, added and normed as the other two."""

    def __init__(self, C: int, H: int, d_ff: int, dropout: float) -> None:
        super().__init__()
        self.attn = Attention(C, H, H, dropout=dropout)
        self.norm_1 = nn.LayerNorm(C, eps=bert.EPSILON)
        self.cross = Cross(C, H)
        self.norm_cross = nn.LayerNorm(C, eps=bert.EPSILON)
        self.c_fc = Linear(C, d_ff)
        self.c_proj = Linear(d_ff, C)
        self.norm_2 = nn.LayerNorm(C, eps=bert.EPSILON)
        self.drop = Dropout(dropout)

    def forward(
        self, x: torch.Tensor, mask: Mask, memory: torch.Tensor, memory_mask: Mask, past: Past | None
    ) -> torch.Tensor:
        x = self.norm_1(x + self.drop(self.attn(x, mask, past=past)))
        x = self.norm_cross(x + self.drop(self.cross(x, memory, memory_mask, past)))
        return self.norm_2(x + self.drop(self.c_proj(F.gelu(self.c_fc(x)))))


class Bert2Bert(EncoderDecoder):
    """A `Seq2Seq` model."""

    def __init__(
        self, config: Bert2BertConfig, vocabulary: Vocabulary, separators: torch.Tensor | None = None
    ) -> None:
        L, C, H, T, d_ff = config.shape
        super().__init__(vocabulary, T, separators, C if config.copy_attention else None)
        self.config = config
        self.cls, self.sep, _ = config.bert.specials(vocabulary)
        V = config.bert.rows(vocabulary)
        self.word = nn.Embedding(V, C)
        self.reads, self.writes = (Side(T, C, config.dropout) for _ in "ed")
        self.encoder = nn.ModuleList(bert.Block(C, H, d_ff, config.dropout) for _ in range(L))
        self.decoding = nn.ModuleList(DecoderBlock(C, H, d_ff, config.dropout) for _ in range(L))
        self.prediction = bert.Prediction(V, C, C)

    @torch.no_grad()
    def copy_from(self, source: bert.Bert) -> None:
        """Begin both sides as a BERT of this shape and vocabulary."""
        taken = source.embeddings
        assert taken.position is not None
        self.word.load_state_dict(taken.word.state_dict())
        for side in (self.reads, self.writes):
            side.position.weight.copy_(taken.position.weight + taken.part.weight[0])
            side.norm.load_state_dict(taken.norm.state_dict())
        for own, other in ((self.encoder, source.layers), (self.decoding, source.layers)):
            for layer, theirs in zip(own, other, strict=True):
                layer.load_state_dict(theirs.state_dict(), strict=False)
        self.prediction.load_state_dict(source.prediction.state_dict())
        for end in (self.vocabulary.eos, self.vocabulary.sep):
            if end is not None:
                self.word.weight[end] = self.word.weight[self.sep]
                self.prediction.bias[end] = self.prediction.bias[self.sep]

    @property
    def head(self) -> torch.Tensor:
        return self.word.weight[: self.vocabulary.size]

    @property
    def bias(self) -> torch.Tensor:
        return self.prediction.bias[: self.vocabulary.size]

    def encode(self, ids: torch.Tensor, positions: torch.Tensor, mask: Mask) -> torch.Tensor:
        """The memory `(B, S, C)` of sources `(B, S)`: `<eos>` begins one, and a separator ends it."""
        first = (ids == self.vocabulary.eos) & (positions.expand_as(ids) == 0)
        ids = ids.masked_fill(first, self.cls).masked_fill(torch.isin(ids, self.separators), self.sep)
        x = self.reads(self.word(ids), positions)
        for layer in self.encoder:
            x = layer(x, mask)
        return x

    def decode(
        self,
        ids: torch.Tensor,
        positions: torch.Tensor,
        mask: Mask,
        memory: torch.Tensor,
        memory_mask: Mask = None,
        past: Past | None = None,
    ) -> torch.Tensor:
        """What logits are made of, `(B, T, C)`, of targets `(B, T)`, each read one token late."""
        begins = torch.isin(ids, self.separators) | (ids == self.vocabulary.eos)
        ids = ids.masked_fill(begins & (positions.expand_as(ids) == 0), self.cls)
        x = self.writes(self.word(ids), positions)
        for layer in self.decoding:
            x = layer(x, mask, memory, memory_mask, past)
        return self.prediction(x)

    def read_rows(
        self, ids: torch.Tensor, positions: torch.Tensor, documents: torch.Tensor | str = "causal"
    ) -> tuple[Decoded, torch.Tensor]:
        B, T = ids.shape
        positions = positions.expand(B, T)
        part, offset = self.parts(ids, positions)
        # A separator begins the target, and ends the source.
        ends = torch.isin(ids, self.separators) & (part == 1) & (offset == 0)
        source = part - ends.long()
        spot = torch.where(ends, positions, offset)
        alike = within(source[:, :, None] == source[:, None, :], documents)
        before = within(part[:, :, None] - source[:, None, :] == 1, documents)
        # The first column is the `[CLS]` that a first part looks at; it sees itself alone.
        seen = F.pad(alike, (1, 0, 1, 0))
        seen[:, 0, 0] = True
        eos = ids.new_full((B, 1), self.vocabulary.eos)
        read = torch.cat([eos, ids], 1)
        memory = self.encode(read, F.pad(spot, (1, 0)), seen[:, None])
        looked_at = torch.cat([(part == 0)[:, :, None], before], 2)
        own = within(part[:, :, None] == part[:, None, :], documents) & causal_mask(T, ids.device)
        hidden = self.decode(ids, offset, own[:, None], memory, looked_at[:, None])
        return Decoded(hidden, ids, shifted(ids), read, looked_at), memory

    def decoder_plan(self) -> DecoderPlan:
        ends, embedded = [self.vocabulary.eos, *self.source_ends], self.writes.position.weight
        layers: Iterable[Any] = self.decoding
        return DecoderPlan(
            table=self.word.weight,
            positions=lambda T: embedded[torch.arange(T).clamp(max=len(embedded) - 1)],
            first=dict.fromkeys(ends, self.cls),
            embedding_norm=self.writes.norm,
            heads=self.config.shape.heads,
            pre=False,
            activation="gelu",
            eps=bert.EPSILON,
            blocks=[
                CrossBlock(
                    norms=(layer.norm_1, layer.norm_cross, layer.norm_2),
                    c_attn=layer.attn.c_attn,
                    c_proj=layer.attn.c_proj,
                    query=layer.cross.query,
                    project=layer.cross.project,
                    key_value=layer.cross.key_value,
                    up=layer.c_fc,
                    down=layer.c_proj,
                )
                for layer in layers
            ],
            prediction=self.prediction.dense,
            last=self.prediction.norm,
            head=self.head,
            bias=self.bias,
        )

    def source_mask(self, S: int) -> None:
        return None

    def source_ids(self, read: list[int], start: int) -> list[int]:
        if start and len(self.separators):
            return read[: start + 1]
        return read[max(start - self.part, 0) : start] or read[:1]

    def flops_per_token(self) -> float:
        """Of one training step: 6 for each weight that multiplies; 12 S C for each attention of a layer, half
        of it where it is causal. Where targets alone are learned, most tokens are of sources, which the
        encoder alone reads."""
        L, C, _, T, _ = self.config.shape
        if not self.config.source_loss:
            return 6.0 * sum(parameter.numel() for parameter in self.encoder.parameters()) + 12.0 * L * C * T
        weights = sum(parameter.numel() for parameter in self.parameters() if parameter.ndim == 2)
        positions = sum(side.position.weight.numel() for side in (self.reads, self.writes))
        return 6.0 * (weights - positions) + 30.0 * L * C * T


def build(config: Bert2BertConfig, vocabulary: Vocabulary, seed: int) -> Bert2Bert:
    """A model with random weights.

    Raises:
        LangueError: no token of the vocabulary is the separator, or pairs have no need of one.
    """
    model = Bert2Bert(config, vocabulary, separators_of(config.separator, vocabulary))
    normal_weights(model, seed)
    if model.pointer is not None:
        model.pointer.initialize()
    return model


def complete(source: Pretrained) -> dict[str, Any]:
    """The shape of the BERT that both sides are initialized from."""
    check_family(source, bert.FAMILY.name, {})
    return shape_of(source.config)


@torch.no_grad()
def transfer(model: Bert2Bert, source: Pretrained, spellings: Sequence[bytes]) -> None:
    """Begin both sides as a BERT, whose vocabulary is matched and whose positions are stretched first.

    Raises:
        Mismatch: it is no plain BERT, or of another shape.
    """
    check_family(source, bert.FAMILY.name, {})
    between = bert.Bert(model.config.bert, model.vocabulary)
    between.embeddings.word.load_state_dict(model.word.state_dict())  # what stays random stays as it is
    between.prediction.load_state_dict(model.prediction.state_dict())
    transfer_weights(between, source, source.weights(), spellings)
    model.copy_from(between)


def load(folder: Path, config: Bert2BertConfig, vocabulary: Vocabulary) -> Bert2Bert:
    """Read the weights of a model folder.

    Raises:
        LangueError: the weights are not those of this configuration.
    """
    separators = saved_separators(folder, config.separator, vocabulary)
    return load_weights(lambda: Bert2Bert(config, vocabulary, separators), folder)


FAMILY = Family(
    name="bert2bert",
    summary="encoder and decoder that begin as one BERT (Rothe et al. 2020)",
    makes=Seq2Seq,
    config=Bert2BertConfig,
    estimated_by="gradient",
    load=load,
    build=build,
    batches=batches,
    begin=begin,
    reads_spellings=True,  # to find a separator
    init_from=InitFrom(complete, transfer),
    choose=choose_bert2bert,
)
