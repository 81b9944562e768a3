"""`transformer`: the encoder and decoder of "Attention Is All You Need" (Vaswani et al. 2017, section 3).

    source  →  encoder: every token sees every other         →  memory
    target  →  decoder: each token sees those before it, and the memory  →  p(next token)

A document is read as a prefix language model reads it: cut into parts of `context` tokens from its
beginning, each part the target whose source is the part before. The source of the first part is empty:
of it, the memory holds only the `<eos>` that begins every source. So a token is predicted from `context`
to 2 `context` tokens, never from what follows it. A pair is a source and a target, its two parts, and all of
both is seen: p(pair) = p(source) p(target | source). So is a document with a `separator`, as before.
One matrix embeds source and target and makes the logits, as in the paper.
Deviates: no label smoothing, which costs perplexity; dropout is off unless asked for.
Letters: B batch, T time, S time of the source (its `<eos>` included), C channels, H heads, V vocabulary.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from langue.base.seeds import derive
from langue.models.family import Family
from langue.models.networks.choose import choose_transformer
from langue.models.networks.config import TransformerConfig
from langue.models.networks.init_from import INIT_TRANSFORMER
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
from langue.nn.linear import Linear
from langue.nn.mask import Mask, causal_mask
from langue.nn.pointer import Decoded
from langue.nn.weights import load_weights
from langue.protocols import Seq2Seq, Vocabulary


def sinusoids(positions: torch.Tensor, C: int) -> torch.Tensor:
    """Section 3.5: sin and cos of each position at wavelengths from 2π to 10,000 · 2π; `(..., C)`."""
    wavelengths = 10_000 ** (torch.arange(0, C, 2, device=positions.device) / C)
    angles = positions[..., None] / wavelengths
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(-2)


class Layer(nn.Module):
    """A layer of the encoder, or of the decoder, which also looks at the memory."""

    def __init__(self, config: TransformerConfig, *, decodes: bool) -> None:
        super().__init__()
        _, C, H, _ = config.shape
        self.pre = config.norm == "pre"
        self.attention = Attention(C, H, H)
        self.cross = Cross(C, H) if decodes else None
        self.feed = nn.Sequential(Linear(C, 4 * C), nn.ReLU(), Linear(4 * C, C))
        self.norms = nn.ModuleList(nn.LayerNorm(C) for _ in range(3 if decodes else 2))
        self.drop = Dropout(config.dropout)

    def forward(
        self,
        x: torch.Tensor,
        mask: Mask,
        memory: torch.Tensor | None = None,
        memory_mask: Mask = None,
        past: Past | None = None,
    ) -> torch.Tensor:
        x = self._add(0, x, lambda y: self.attention(y, mask, past=past))
        if self.cross is not None:
            cross = self.cross
            x = self._add(1, x, lambda y: cross(y, memory, memory_mask, past))
        return self._add(-1, x, self.feed)

    def _add(self, norm: int, x: torch.Tensor, part: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        if self.pre:
            return x + self.drop(part(self.norms[norm](x)))
        return self.norms[norm](x + self.drop(part(x)))


class Transformer(EncoderDecoder):
    """A `Seq2Seq` model."""

    def __init__(
        self, config: TransformerConfig, vocabulary: Vocabulary, separators: torch.Tensor | None = None
    ) -> None:
        L, C, _, T = config.shape
        super().__init__(vocabulary, T, separators, C if config.copy_attention else None)
        self.config = config
        self.embedding = nn.Embedding(vocabulary.size, C)
        self.encoder = nn.ModuleList(Layer(config, decodes=False) for _ in range(L))
        self.decoding = nn.ModuleList(Layer(config, decodes=True) for _ in range(L))
        # Where norms come first, nothing has normalized what the last layer makes.
        self.last = nn.ModuleList(nn.LayerNorm(C) if config.norm == "pre" else nn.Identity() for _ in "ed")
        self.drop = Dropout(config.dropout)

    @torch.no_grad()
    def initialize(self, seed: int) -> None:
        """Embedding ~ N(0, 1 / C), other matrices as Glorot and Bengio 2010; biases 0."""
        draw = torch.Generator().manual_seed(derive(seed, "weights") % 2**63)
        for name, parameter in self.named_parameters():
            if parameter.ndim < 2:
                parameter.fill_(1.0 if name.endswith("weight") else 0.0)  # the gain of a norm; a bias
            elif name == "embedding.weight":
                parameter.copy_(torch.randn(parameter.shape, generator=draw) * parameter.shape[1] ** -0.5)
            else:
                fans = (5 if "feed" in name else 2) * min(parameter.shape)  # inputs and outputs of one matrix
                parameter.copy_((torch.rand(parameter.shape, generator=draw) * 2 - 1) * math.sqrt(6 / fans))
        if self.pointer is not None:
            self.pointer.initialize()

    @property
    def head(self) -> torch.Tensor:
        return self.embedding.weight

    def embed(self, ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        table = self.embedding.weight
        waves = sinusoids(positions, table.shape[1]).to(table.dtype)
        return self.drop(self.embedding(ids) * math.sqrt(table.shape[1]) + waves)

    def encode(self, ids: torch.Tensor, positions: torch.Tensor, mask: Mask) -> torch.Tensor:
        """The memory `(B, S, C)` of sources `(B, S)` that begin with `<eos>`."""
        x = self.embed(ids, positions)
        for layer in self.encoder:
            x = layer(x, mask)
        return self.last[0](x)

    def decode(
        self,
        ids: torch.Tensor,
        positions: torch.Tensor,
        mask: Mask,
        memory: torch.Tensor,
        memory_mask: Mask = None,
        past: Past | None = None,
    ) -> torch.Tensor:
        """Hidden states `(B, T, C)` of targets `(B, T)`, each read one token late."""
        x = self.embed(ids, positions)
        for layer in self.decoding:
            x = layer(x, mask, memory, memory_mask, past)
        return self.last[1](x)

    def read_rows(
        self, ids: torch.Tensor, positions: torch.Tensor, documents: torch.Tensor | str = "causal"
    ) -> tuple[Decoded, torch.Tensor]:
        B, T = ids.shape
        part, offset = self.parts(ids, positions.expand(B, T))
        apart = part[:, :, None] - part[:, None, :]
        own, before = within(apart == 0, documents), within(apart == 1, documents)
        # The token at position t is the input at t + 1. The last is no one's source.
        eos = ids.new_full((B, 1), self.vocabulary.eos)
        sources = F.pad(1 + offset[:, :-1], (1, 0))
        seen = F.pad(own[:, :-1, :-1], (1, 0, 1, 0))  # `<eos>` sees itself alone
        seen[:, :, 0] = True
        read = torch.cat([eos, ids[:, 1:]], 1)
        memory = self.encode(read, sources, seen[:, None])
        looked_at = F.pad(before[:, :, :-1], (1, 0), value=True)
        targets = own & causal_mask(T, ids.device)
        hidden = self.decode(ids, offset, targets[:, None], memory, looked_at[:, None])
        return Decoded(hidden, ids, shifted(ids), read, looked_at), memory

    def decoder_plan(self) -> DecoderPlan:
        C, pre = self.embedding.embedding_dim, self.config.norm == "pre"
        layers: Any = self.decoding
        return DecoderPlan(
            table=self.embedding.weight * math.sqrt(C),
            positions=lambda T: sinusoids(torch.arange(T), C),
            first={},
            embedding_norm=None,
            heads=self.config.shape.heads,
            pre=pre,
            activation="relu",
            eps=layers[0].norms[0].eps,
            blocks=[
                CrossBlock(
                    norms=layer.norms,
                    c_attn=layer.attention.c_attn,
                    c_proj=layer.attention.c_proj,
                    query=layer.cross.query,
                    project=layer.cross.project,
                    key_value=layer.cross.key_value,
                    up=layer.feed[0],
                    down=layer.feed[2],
                )
                for layer in layers
            ],
            prediction=None,
            last=self.last[1] if pre else None,
            head=self.head,
            bias=None,
        )

    def source_mask(self, S: int) -> torch.Tensor:
        """`<eos>` sees itself alone, as in a row of many documents, where it belongs to every part."""
        mask = torch.ones(S, S, dtype=torch.bool, device=self.device)
        mask[0, 1:] = False
        return mask

    def source_ids(self, read: list[int], start: int) -> list[int]:
        """Of the part before; its tokens are one further along in what was read."""
        first = 0 if len(self.separators) else max(start - self.part, 0)
        return [read[0], *read[first + 1 : start + 1]]

    def flops_per_token(self) -> float:
        """Of one training step: 6 for each weight that multiplies; 12 S C for each attention of a layer,
        half of it where it is causal. Where targets alone are learned, most tokens are of sources, which the
        encoder alone reads."""
        L, C, _, T = self.config.shape
        if not self.config.source_loss:
            return 6.0 * sum(parameter.numel() for parameter in self.encoder.parameters()) + 12.0 * L * C * T
        return 6.0 * sum(parameter.numel() for parameter in self.parameters()) + 30.0 * L * C * T


def build(config: TransformerConfig, vocabulary: Vocabulary, seed: int) -> Transformer:
    """A model with random weights.

    Raises:
        LangueError: no token of the vocabulary is the separator, or pairs have no need of one.
    """
    model = Transformer(config, vocabulary, separators_of(config.separator, vocabulary))
    model.initialize(seed)
    return model


def load(folder: Path, config: TransformerConfig, vocabulary: Vocabulary) -> Transformer:
    """Read the weights of a model folder.

    Raises:
        LangueError: the weights are not those of this configuration.
    """
    separators = saved_separators(folder, config.separator, vocabulary)
    return load_weights(lambda: Transformer(config, vocabulary, separators), folder)


FAMILY = Family(
    name="transformer",
    summary="encoder and decoder (Vaswani et al. 2017)",
    makes=Seq2Seq,
    config=TransformerConfig,
    estimated_by="gradient",
    load=load,
    build=build,
    batches=batches,
    begin=begin,
    reads_spellings=True,
    init_from=INIT_TRANSFORMER,
    choose=choose_transformer,
)
