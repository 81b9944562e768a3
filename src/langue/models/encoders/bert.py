"""`bert`: a Transformer encoder that predicts hidden tokens (Devlin et al. 2019).

Deviates from the paper where later work found better, each time by a setting: whole words are hidden
(`masking`), documents are packed instead of padded (`packed`). Weights go both ways to Hugging Face's
`BertForPreTraining`, `BertForMaskedLM` and `BertModel`. `[CLS]`, `[SEP]` and `[MASK]` are ids after
those of the tokenizer. Letters: B batch, T time, C channels, H heads, V vocabulary.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from langue.base.errors import LangueError
from langue.models.encoders.base import MaskedModel
from langue.models.encoders.config import MaskedConfig
from langue.models.encoders.setup import batches, flops
from langue.models.encoders.start import start_from
from langue.models.family import Family
from langue.nn.attention import Attention, Mask
from langue.nn.bidirectional import attend_at
from langue.nn.disentangled import DisentangledAttention
from langue.nn.dropout import Dropout
from langue.nn.initial import normal_weights
from langue.nn.released import Names, Weights, paired, rename_from_hf, rename_to_hf
from langue.nn.weights import load_state, load_weights
from langue.protocols import Masked, Vocabulary
from langue.tokens.masked_batch import SentencePairs

EPSILON = 1e-12  # of the layer norms, as released


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

    def forward(self, ids: Tensor, positions: Tensor, types: Tensor) -> Tensor:
        return self.normed(self.summed(ids, positions, types))

    def summed(self, ids: Tensor, positions: Tensor, types: Tensor) -> Tensor:
        x: Tensor = self.word(ids) + self.part(types)  # (B, T, C)
        return x if self.position is None else x + self.position(positions)

    def normed(self, x: Tensor) -> Tensor:
        return self.drop(self.norm(x))


class PostNorm(nn.Module):
    """Attention and a feed-forward layer, each added to what it read and then normed."""

    def __init__(self, attn: nn.Module, C: int, d_ff: int, dropout: float, approximate: str = "none") -> None:
        super().__init__()
        self.attn = attn
        self.norm_1 = nn.LayerNorm(C, eps=EPSILON)
        self.c_fc = nn.Linear(C, d_ff)
        self.c_proj = nn.Linear(d_ff, C)
        self.norm_2 = nn.LayerNorm(C, eps=EPSILON)
        self.drop = Dropout(dropout)
        self.approximate = approximate  # of the GELU: "none" or "tanh"

    def after_attention(self, x: Tensor, y: Tensor) -> Tensor:
        """What the layer makes of x and of the attention to it, y: `(…, C)`."""
        x = self.norm_1(x + self.drop(y))
        y = self.c_proj(F.gelu(self.c_fc(x), approximate=self.approximate))
        return self.norm_2(x + self.drop(y))


class Block(PostNorm):
    """A layer of BERT."""

    attn: Attention

    def __init__(self, C: int, H: int, d_ff: int, dropout: float, approximate: str = "none") -> None:
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

    def __init__(self, V: int, C: int, E: int, approximate: str = "none") -> None:
        super().__init__()
        self.dense = nn.Linear(C, E)
        self.norm = nn.LayerNorm(E, eps=EPSILON)
        self.bias = nn.Parameter(torch.zeros(V))  # of the logits
        self.approximate = approximate

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(F.gelu(self.dense(x), approximate=self.approximate))


class Bert(MaskedModel):
    """A `Masked` model. `pooler` and `relation` are there where it is trained on pairs."""

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
        self.pooler = nn.Linear(C, C) if config.sentence_pairs != "none" else None
        self.relation = nn.Linear(C, 2) if config.sentence_pairs != "none" else None

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


def hf_names(config: BertConfig) -> Names:
    """Our tensors by the names of Hugging Face's `BertForPreTraining`."""
    names: dict[str, tuple[str, ...]] = {
        "embeddings.word.weight": ("bert.embeddings.word_embeddings.weight",),
        "embeddings.position.weight": ("bert.embeddings.position_embeddings.weight",),
        "embeddings.part.weight": ("bert.embeddings.token_type_embeddings.weight",),
        "prediction.bias": ("cls.predictions.bias",),
    }
    layers: dict[str, tuple[str, ...]] = {
        "embeddings.norm": ("bert.embeddings.LayerNorm",),
        "pooler": ("bert.pooler.dense",),
        "relation": ("cls.seq_relationship",),
        "prediction.dense": ("cls.predictions.transform.dense",),
        "prediction.norm": ("cls.predictions.transform.LayerNorm",),
    }
    layers |= hf_layer_names(config.shape.layers, "layers", "bert.encoder.layer")
    return names | paired(layers)


def hf_layer_names(count: int, ours: str, theirs: str) -> dict[str, tuple[str, ...]]:
    """Of the blocks of an encoder, the names of their linear layers and norms."""
    names: dict[str, tuple[str, ...]] = {}
    for layer in range(count):
        own, other = f"{ours}.{layer}", f"{theirs}.{layer}"
        parts = ("query", "key", "value")
        names[f"{own}.attn.c_attn"] = tuple(f"{other}.attention.self.{part}" for part in parts)
        names[f"{own}.attn.c_proj"] = (f"{other}.attention.output.dense",)
        names[f"{own}.norm_1"] = (f"{other}.attention.output.LayerNorm",)
        names[f"{own}.c_fc"] = (f"{other}.intermediate.dense",)
        names[f"{own}.c_proj"] = (f"{other}.output.dense",)
        names[f"{own}.norm_2"] = (f"{other}.output.LayerNorm",)
    return names


def from_hf(config: BertConfig, vocabulary: Vocabulary, weights: Weights, seed: int = 0) -> Bert:
    """The model with the weights of a BERT of Hugging Face.

    What a released encoder has not, as `BertModel` has no head, keeps the random weights of `seed`.

    Raises:
        LangueError: the weights are of another shape or kind of model.
    """
    if not any(name.startswith("bert.") for name in weights):
        weights = {f"bert.{name}": tensor for name, tensor in weights.items()}
    model = build(config, vocabulary, seed)
    own = model.state_dict()
    state = {name: part for name, part in own.items() if not name.startswith(("embeddings.", "layers."))}
    found = rename_from_hf(hf_names(config), weights)
    load_state(
        model, state | {name: part for name, part in found.items() if name in own}, "what was released"
    )
    return model


def to_hf(model: Bert) -> tuple[dict[str, Any], Weights]:
    """The configuration and the weights that Hugging Face's BERT reads.

    Raises:
        LangueError: the model has attention that BERT had not.
    """
    if model.config.attention != "plain":
        raise LangueError(f"BERT has no attention = {model.config.attention}; train without it")
    L, C, H, T = model.config.shape
    table = {
        "architectures": ["BertForPreTraining" if model.pooler is not None else "BertForMaskedLM"],
        "model_type": "bert",
        "vocab_size": len(model.output[0]),
        "hidden_size": C,
        "num_hidden_layers": L,
        "num_attention_heads": H,
        "intermediate_size": model.config.d_ff or 4 * C,
        "max_position_embeddings": T,
        "type_vocab_size": 2,
        "hidden_act": "gelu",
        "hidden_dropout_prob": model.config.dropout,
        "attention_probs_dropout_prob": model.config.dropout,
        "layer_norm_eps": EPSILON,
        "pad_token_id": 0,
    }
    weights = rename_to_hf(hf_names(model.config), model.state_dict())
    weights["cls.predictions.decoder.weight"] = model.output[0].detach()
    weights["cls.predictions.decoder.bias"] = model.output[1].detach()
    return table, weights


def build(config: BertConfig, vocabulary: Vocabulary, seed: int) -> Bert:
    """A model with random weights, or those it is to start from."""
    config.resolve_special_ids(vocabulary)
    model = Bert(config, vocabulary)
    normal_weights(model, seed)  # N(0, 0.02²), as in the released code
    if config.init_from:
        start_from(model, Path(config.init_from), family="bert")
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
    reads_spellings=True,  # to match the vocabulary of a model it starts from
)
