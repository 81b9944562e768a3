"""`bert`: a Transformer encoder that predicts hidden tokens (Devlin et al. 2019).

Deviates from the paper where later work found better, each time by a setting: whole words are hidden
(`masking`), documents are packed instead of padded (`packed`). `[CLS]`, `[SEP]` and `[MASK]` are ids after
those of the tokenizer. Letters: B batch, T time, C channels, H heads, V vocabulary.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import nn

from langue.base.seeds import derive
from langue.models.encoders.base import MaskedModel
from langue.models.encoders.config import MaskedConfig
from langue.models.encoders.init_from import init_encoder
from langue.models.family import Family
from langue.nn.attention import Attention, Mask, gather_positions
from langue.nn.disentangled import DisentangledAttention
from langue.nn.dropout import Dropout
from langue.nn.weights import load_weights, save_weights
from langue.protocols import Masked, Vocabulary
from langue.tokens.masked import MaskedBatches, SentencePairBatches, SentencePairs
from langue.tokens.store import Split

EPSILON = 1e-12  # of the layer norms, as published


class BertConfig(MaskedConfig, frozen=True):
    RENAMED: ClassVar[Mapping[str, str]] = {"decoder": "enhanced_mask_decoder"}

    sentence_pairs: SentencePairs = "next_sentence"  # of the paper; "none" costs nothing (Liu et al. 2019)
    # Not of the paper; He et al. 2021: by content and by distance, no absolute positions; and a block before
    # the prediction of hidden tokens where absolute positions come in.
    attention: Literal["plain", "disentangled"] = "plain"
    enhanced_mask_decoder: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
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

    def forward(self, ids: torch.Tensor, positions: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
        return self.normed(self.summed(ids, positions, types))

    def summed(self, ids: torch.Tensor, positions: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
        x: torch.Tensor = self.word(ids) + self.part(types)  # (B, T, C)
        return x if self.position is None else x + self.position(positions)

    def normed(self, x: torch.Tensor) -> torch.Tensor:
        return self.drop(self.norm(x))


class Block(nn.Module):
    """Attention and a feed-forward layer, each added to what it read and then normed."""

    def __init__(
        self,
        C: int,
        H: int,
        d_ff: int,
        dropout: float,
        approximate: str = "none",
        *,
        disentangled: bool = False,
    ) -> None:
        super().__init__()
        self.attn = (
            DisentangledAttention(C, H, dropout=dropout)
            if disentangled
            else Attention(C, H, H, dropout=dropout)
        )
        self.norm_1 = nn.LayerNorm(C, eps=EPSILON)
        self.c_fc = nn.Linear(C, d_ff)
        self.c_proj = nn.Linear(d_ff, C)
        self.norm_2 = nn.LayerNorm(C, eps=EPSILON)
        self.drop = Dropout(dropout)
        self.approximate = approximate  # of the GELU: "none" or "tanh"

    def forward(
        self,
        x: torch.Tensor,
        mask: Mask,
        table: torch.Tensor | None = None,
        query: torch.Tensor | None = None,
        places: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """`(B, T, C)` to `(B, T, C)`; disentangled, with the table of distances and who asks.

        Args:
            places: of `(B T,)`, on the CPU: what is made is made there alone, `(N, C)`. Not disentangled.
        """
        gathered = None if places is None else gather_positions(places, x)
        if gathered is not None:
            query, mask = gathered.rows(x), gathered.rows_of_mask(mask)
        found = self.attn(x, mask, query=query) if table is None else self.attn(x, mask, table, query)
        x = x if query is None else query
        if gathered is not None:
            x, found = gathered.flat(x), gathered.flat(found)
        x = self.norm_1(x + self.drop(found))
        y = self.c_proj(F.gelu(self.c_fc(x), approximate=self.approximate))
        return self.norm_2(x + self.drop(y))


def run_layers(
    layers: Iterable[nn.Module],
    x: torch.Tensor,
    mask: Mask,
    table: torch.Tensor | None,
    places: torch.Tensor | None,
) -> torch.Tensor:
    """`(B, T, C)` through blocks, one after the other; the last makes what is asked for and nothing else."""
    *first, last = layers
    for layer in first:
        x = layer(x, mask, table)
    if table is None:
        return last(x, mask, places=places)
    x = last(x, mask, table)
    return x if places is None else x.flatten(0, 1)[places]


class Prediction(nn.Module):
    """Makes of a hidden state what the embedding of the hidden token is compared with."""

    def __init__(self, V: int, C: int, E: int, approximate: str = "none") -> None:
        super().__init__()
        self.dense = nn.Linear(C, E)
        self.norm = nn.LayerNorm(E, eps=EPSILON)
        self.bias = nn.Parameter(torch.zeros(V))  # of the logits
        self.approximate = approximate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(F.gelu(self.dense(x), approximate=self.approximate))


def flops(block: nn.Module, C: int, T: int, share: float = 1.0) -> float:
    """Of a block in one training step, by token: 6 for each weight that multiplies, 12 T C for attention.

    Args:
        share: of the places, what is asked for; keys and values are made at all.
    """
    weights, keys = sum(parameter.numel() for parameter in block.parameters()), 2 * C * C
    return 6.0 * (keys + share * (weights - keys)) + share * 12.0 * C * T


class Bert(MaskedModel):
    """A `Masked` model. `relation` is there where it is trained on pairs, and so is `pooler`."""

    def __init__(self, config: BertConfig, vocabulary: Vocabulary) -> None:
        L, C, H, T = config.shape
        V = config.rows(vocabulary)
        super().__init__(
            vocabulary,
            config.specials(vocabulary),
            width=C,
            window=T,
            sentence_pairs=config.sentence_pairs,
            packed=config.packed,
            no_mlm_head=config.no_mlm_head,
        )
        self.config = config
        apart = config.attention == "disentangled"
        d_ff = config.d_ff or 4 * C
        self.embeddings = Embeddings(V, 0 if apart else T, C, config.dropout)
        self.distances = nn.Embedding(2 * T, C) if apart else None  # shared by all layers
        self.layers = nn.ModuleList(Block(C, H, d_ff, config.dropout, disentangled=apart) for _ in range(L))
        self.has_decoder = config.enhanced_mask_decoder
        self.positions = nn.Embedding(T, C) if config.enhanced_mask_decoder else None
        self.decoder = (
            Block(C, H, d_ff, config.dropout, disentangled=True) if config.enhanced_mask_decoder else None
        )
        self.prediction = Prediction(V, C, C)
        self.pooler = nn.Linear(C, C) if config.pooled else None
        self.relation = nn.Linear(C, 2) if config.sentence_pairs != "none" else None

    def forward(
        self,
        ids: torch.Tensor,
        positions: torch.Tensor,
        types: torch.Tensor,
        mask: Mask,
        places: torch.Tensor | None = None,
    ) -> torch.Tensor:
        table = None if self.distances is None else self.distances.weight
        return run_layers(self.layers, self.embeddings(ids, positions, types), mask, table, places)

    def decode(self, hidden: torch.Tensor, positions: torch.Tensor, mask: Mask) -> torch.Tensor:
        """The enhanced mask decoder (He et al. 2021, section 3.2): only here a place is known."""
        if self.decoder is None or self.positions is None or self.distances is None:
            return hidden
        query = hidden + self.positions(positions)
        return self.decoder(hidden, mask, self.distances.weight, query)

    def predict(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.prediction(hidden)

    @property
    def output(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.embeddings.word.weight, self.prediction.bias

    def sentence_pair_logits(self, hidden: torch.Tensor) -> torch.Tensor:
        assert self.pooler is not None and self.relation is not None
        return self.relation(torch.tanh(self.pooler(hidden)))

    def flops_per_token(self) -> float:
        """Of one training step."""
        _, C, _, T = self.config.shape
        last = self.config.mlm_probability if self.distances is None else 1.0
        layers = sum(flops(layer, C, T) for layer in self.layers[:-1]) + flops(self.layers[-1], C, T, last)
        return layers + 6.0 * self.config.mlm_probability * (self.output[0].numel() + C * C)

    def save(self, folder: Path) -> None:
        save_weights(self, folder)


@torch.no_grad()
def initialize(model: nn.Module, seed: int) -> None:
    """Matrices ~ N(0, 0.02), gains of norms 1, biases 0 (the authors' code)."""
    draw = torch.Generator().manual_seed(derive(seed, "weights") % 2**63)
    for name, parameter in model.named_parameters():
        if parameter.ndim < 2:
            parameter.fill_(1.0 if name.endswith("weight") else 0.0)
        else:
            parameter.copy_(torch.randn(parameter.shape, generator=draw) * 0.02)


def batches(
    split: Split, vocabulary: Vocabulary, config: MaskedConfig, rows: int, context: int, seed: int
) -> MaskedBatches:
    """What an encoder is trained on."""
    shape: dict[str, Any] = {
        "rows": rows,
        "context": context,
        "eos": vocabulary.eos,
        "specials": config.specials(vocabulary),
        "masking": config.masking,
        "mlm_probability": config.mlm_probability,
        "seed": seed,
    }
    if config.sentence_pairs == "none":
        return MaskedBatches(split, **shape)
    return SentencePairBatches(split, sentence_pairs=config.sentence_pairs, **shape)


def build(config: BertConfig, vocabulary: Vocabulary, seed: int) -> Bert:
    """A model with random weights."""
    model = Bert(config, vocabulary)
    initialize(model, seed)
    return model


def load(folder: Path, config: BertConfig, vocabulary: Vocabulary) -> Bert:
    """Read the weights of a model folder.

    Raises:
        LangueError: the weights are not those of this configuration.
    """
    return load_weights(Bert(config, vocabulary), folder)


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
)
