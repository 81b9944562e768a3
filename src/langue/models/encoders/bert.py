"""`bert`: a Transformer encoder that predicts hidden tokens (Devlin et al. 2019).

Deviates from the paper where later work found better, each time by a setting: whole words are hidden
(`masking`), documents are packed instead of padded (`packed`). `[CLS]`, `[SEP]` and `[MASK]` are ids after
those of the tokenizer. Letters: B batch, T time, C channels, H heads, V vocabulary.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from langue.models.encoders.base import MaskedModel
from langue.models.encoders.choose import choose_bert
from langue.models.encoders.config import MaskedConfig
from langue.models.encoders.init_from import init_encoder
from langue.models.encoders.setup import batches, flops
from langue.models.family import Family
from langue.nn.attention import Attention
from langue.nn.bidirectional import attend_at
from langue.nn.disentangled import DisentangledAttention
from langue.nn.dropout import Dropout
from langue.nn.gelu import Approximate, gelu
from langue.nn.initial import normal_weights
from langue.nn.linear import Linear
from langue.nn.mask import Mask
from langue.nn.weights import load_weights
from langue.protocols import Masked, Vocabulary
from langue.tokens.masked_batch import SentencePairs

EPSILON = 1e-12  # of the layer norms, as published


class BertConfig(MaskedConfig, frozen=True):
    RENAMED: ClassVar[Mapping[str, str]] = {"decoder": "enhanced_mask_decoder"}

    sentence_pairs: SentencePairs = "next_sentence"  # of the paper; "none" costs nothing (Liu et al. 2019)
    # Not of the paper; He et al. 2021: by content and by distance, no absolute positions; and a block before
    # the prediction of hidden tokens where absolute positions come in.
    attention: Literal["plain", "disentangled"] = "plain"
    enhanced_mask_decoder: bool = False

    def check(self) -> None:
        super().check()
        if self.enhanced_mask_decoder and self.attention == "plain":
            raise ValueError(
                'the decoder brings in absolute positions; it goes with attention = "disentangled"'
            )


class Embeddings(nn.Module):
    """The sum of three embeddings, normed (section 3, figure 2); T = 0: without that of positions."""

    def __init__(self, V: int, T: int, C: int, dropout: float) -> None:
        super().__init__()
        self.word = nn.Embedding(V, C)
        self.position = nn.Embedding(T, C) if T else None
        self.part = nn.Embedding(2, C)
        self.norm = nn.LayerNorm(C, eps=EPSILON)
        self.drop = Dropout(dropout)

    def forward(self, ids: Tensor, positions: Tensor, types: Tensor) -> Tensor:
        return self.normed(self.summed(ids, positions, types))

    def summed(self, ids: Tensor, positions: Tensor, types: Tensor) -> Tensor:
        x: Tensor = self.word(ids) + self.part(types)  # (B, T, C)
        return x if self.position is None else x + self.position(positions)

    def normed(self, x: Tensor) -> Tensor:
        return self.drop(self.norm(x))


class PostNorm(nn.Module):
    """Attention and a feed-forward layer, each added to what it read and then normed."""

    def __init__(
        self, attn: nn.Module, C: int, d_ff: int, dropout: float, approximate: Approximate = "none"
    ) -> None:
        super().__init__()
        self.attn = attn
        self.norm_1 = nn.LayerNorm(C, eps=EPSILON)
        self.c_fc = Linear(C, d_ff)
        self.c_proj = Linear(d_ff, C)
        self.norm_2 = nn.LayerNorm(C, eps=EPSILON)
        self.drop = Dropout(dropout)
        self.approximate = approximate  # of the GELU: "none" or "tanh"

    def after_attention(self, x: Tensor, y: Tensor) -> Tensor:
        """What the layer makes of x and of the attention to it, y: `(…, C)`."""
        x = self.norm_1(x + self.drop(y))
        y = self.c_proj(gelu(self.c_fc(x), self.approximate))
        return self.norm_2(x + self.drop(y))


class Block(PostNorm):
    """A layer of BERT."""

    attn: Attention

    def __init__(self, C: int, H: int, d_ff: int, dropout: float, approximate: Approximate = "none") -> None:
        super().__init__(Attention(C, H, H, dropout=dropout), C, d_ff, dropout, approximate)

    def forward(self, x: Tensor, mask: Mask, at: Tensor | None = None) -> Tensor:
        """`(B, T, C)` to `(B, T, C)`; to `(N, C)` at positions of `(B T,)`, which are on the CPU."""
        if at is not None:
            return self.after_attention(*attend_at(self.attn, x, mask, at))
        return self.after_attention(x, self.attn(x, mask))


class DisentangledBlock(PostNorm):
    """A layer of DeBERTa (He et al. 2021)."""

    def __init__(self, C: int, H: int, d_ff: int, dropout: float) -> None:
        super().__init__(DisentangledAttention(C, H, dropout=dropout), C, d_ff, dropout)

    def forward(self, x: Tensor, mask: Mask, table: Tensor, query: Tensor | None = None) -> Tensor:
        """`(B, T, C)` to `(B, T, C)`, with the table of distances, and queries that are not x."""
        return self.after_attention(x if query is None else query, self.attn(x, mask, table, query))


def run_layers(
    layers: Iterable[nn.Module], x: Tensor, mask: Mask, table: Tensor | None, at: Tensor | None
) -> Tensor:
    """`(B, T, C)` through all layers; with positions, the last is made there alone, `(N, C)`."""
    if table is None:
        *first, last = layers
        for layer in first:
            x = layer(x, mask)
        return last(x, mask, at)
    for layer in layers:
        x = layer(x, mask, table)
    return x if at is None else x.flatten(0, 1)[at]


class Prediction(nn.Module):
    """Makes of a hidden state what the embedding of the hidden token is compared with."""

    def __init__(self, V: int, C: int, E: int, approximate: Approximate = "none") -> None:
        super().__init__()
        self.dense = Linear(C, E)
        self.norm = nn.LayerNorm(E, eps=EPSILON)
        self.bias = nn.Parameter(torch.zeros(V))  # of the logits
        self.approximate = approximate

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(gelu(self.dense(x), self.approximate))


class Bert(MaskedModel):
    """A `Masked` model. `relation` is there where it is trained on pairs, and so is `pooler`."""

    def __init__(self, config: BertConfig, vocabulary: Vocabulary) -> None:
        L, C, H, T = config.shape
        V, d_ff = config.rows(vocabulary), config.d_ff or 4 * C
        super().__init__(config, vocabulary)
        self.config = config
        self.has_decoder = config.enhanced_mask_decoder
        apart = config.attention == "disentangled"
        kind = DisentangledBlock if apart else Block
        self.embeddings = Embeddings(V, 0 if apart else T, C, config.dropout)
        self.distances = nn.Embedding(2 * T, C) if apart else None  # shared by all layers
        self.layers = nn.ModuleList(kind(C, H, d_ff, config.dropout) for _ in range(L))
        self.positions = nn.Embedding(T, C) if config.enhanced_mask_decoder else None
        self.decoder = DisentangledBlock(C, H, d_ff, config.dropout) if config.enhanced_mask_decoder else None
        self.prediction = Prediction(V, C, C)
        self.pooler = Linear(C, C) if config.pooled else None
        self.relation = Linear(C, 2) if config.sentence_pairs != "none" else None

    def forward(
        self, ids: Tensor, positions: Tensor, types: Tensor, mask: Mask, at: Tensor | None = None
    ) -> Tensor:
        table = None if self.distances is None else self.distances.weight
        return run_layers(self.layers, self.embeddings(ids, positions, types), mask, table, at)

    def decode(self, hidden: Tensor, positions: Tensor, mask: Mask) -> Tensor:
        """The enhanced mask decoder (He et al. 2021, section 3.2): only here a place is known."""
        if self.decoder is None or self.positions is None or self.distances is None:
            return hidden
        query = hidden + self.positions(positions)
        return self.decoder(hidden, mask, self.distances.weight, query)

    def predict(self, hidden: Tensor) -> Tensor:
        return self.prediction(hidden)

    @property
    def output(self) -> tuple[Tensor, Tensor]:
        return self.embeddings.word.weight, self.prediction.bias

    def sentence_pair_logits(self, hidden: Tensor) -> Tensor:
        assert self.pooler is not None and self.relation is not None
        return self.relation(torch.tanh(self.pooler(hidden)))

    def flops_per_token(self) -> float:
        """Of one training step."""
        _, C, _, T = self.config.shape
        last = self.config.mlm_probability if self.distances is None else 1.0
        layers = sum(flops(layer, C, T) for layer in self.layers[:-1]) + flops(self.layers[-1], C, T, last)
        return layers + 6.0 * self.config.mlm_probability * (self.output[0].numel() + C * C)


def build(config: BertConfig, vocabulary: Vocabulary, seed: int) -> Bert:
    """A model with random weights."""
    model = Bert(config, vocabulary)
    normal_weights(model, seed)  # N(0, 0.02²), as in the released code
    return model


def load(folder: Path, config: BertConfig, vocabulary: Vocabulary) -> Bert:
    """Read the weights of a model folder.

    Raises:
        LangueError: the weights are not those of this configuration.
    """
    return load_weights(lambda: Bert(config, vocabulary), folder)


FAMILY = Family(
    name="bert",
    summary="bidirectional encoder that predicts hidden tokens (BERT)",
    makes=Masked,
    config=BertConfig,
    estimated_by="gradient",
    load=load,
    build=build,
    batches=batches,
    init_from=init_encoder("bert", ("attention", "enhanced_mask_decoder")),
    choose=choose_bert,
)
