"""`bert`: a Transformer encoder that predicts hidden tokens (Devlin et al. 2019).

Deviates from the paper where later work found better, each time by a setting: whole words are hidden
(`unit`), documents are packed instead of padded (`packed`). Weights go both ways to Hugging Face's
`BertForPreTraining`, `BertForMaskedLM` and `BertModel`. `[CLS]`, `[SEP]` and `[MASK]` are ids after
those of the tokenizer. Letters: B batch, T time, C channels, H heads, V vocabulary.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import nn

from langue.base.errors import LangueError
from langue.base.seeds import derive
from langue.models.encoders.base import MaskedModel
from langue.models.encoders.config import MaskedConfig
from langue.models.encoders.start import start_from
from langue.models.family import Family
from langue.nn.attention import Attention, Mask, ask
from langue.nn.disentangled import DisentangledAttention
from langue.nn.dropout import Dropout
from langue.nn.released import Names, Weights, gathered, paired, scattered
from langue.nn.weights import load_state, load_weights, save_weights
from langue.protocols import Masked, Vocabulary
from langue.tokens.masked import MaskedBatches, PairBatches, Relation
from langue.tokens.store import Split

EPSILON = 1e-12  # of the layer norms, as released


class BertConfig(MaskedConfig, frozen=True):
    pairs: Relation = "next"  # of the paper; "none" costs nothing (Liu et al. 2019)
    # Not of the paper; He et al. 2021: by content and by distance, no absolute positions; and a block before
    # the prediction of hidden tokens where absolute positions come in.
    attention: Literal["plain", "disentangled"] = "plain"
    decoder: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.decoder and self.attention == "plain":
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
        return self.drop(self.norm(x))  # type: ignore[no-any-return]


class Block(nn.Module):
    """Attention and a feed-forward layer, each added to what it read and then normed."""

    def __init__(
        self,
        C: int,
        H: int,
        inner: int,
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
        self.c_fc = nn.Linear(C, inner)
        self.c_proj = nn.Linear(inner, C)
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
        asked = None if places is None else ask(places, x)
        if asked is not None:
            query, mask = asked.rows(x), asked.rows_of_mask(mask)
        found = self.attn(x, mask, query=query) if table is None else self.attn(x, mask, table, query)
        x = x if query is None else query
        if asked is not None:
            x, found = asked.flat(x), asked.flat(found)
        x = self.norm_1(x + self.drop(found))
        y = self.c_proj(F.gelu(self.c_fc(x), approximate=self.approximate))
        return self.norm_2(x + self.drop(y))  # type: ignore[no-any-return]


def through(
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
        return last(x, mask, places=places)  # type: ignore[no-any-return]
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
        return self.norm(F.gelu(self.dense(x), approximate=self.approximate))  # type: ignore[no-any-return]


def flops(block: nn.Module, C: int, T: int, share: float = 1.0) -> float:
    """Of a block in one training step, by token: 6 for each weight that multiplies, 12 T C for attention.

    Args:
        share: of the places, what is asked for; keys and values are made at all.
    """
    weights, keys = sum(parameter.numel() for parameter in block.parameters()), 2 * C * C
    return 6.0 * (keys + share * (weights - keys)) + share * 12.0 * C * T


class Bert(MaskedModel):
    """A `Masked` model. `pooler` and `relation` are there where it is trained on pairs."""

    def __init__(self, config: BertConfig, vocabulary: Vocabulary) -> None:
        L, C, H, T = config.shape
        V = config.rows(vocabulary)
        super().__init__(
            vocabulary,
            config.specials(vocabulary),
            width=C,
            window=T,
            pairs=config.pairs,
            packed=config.packed,
            headless=config.headless,
        )
        self.config = config
        apart = config.attention == "disentangled"
        inner = config.inner or 4 * C
        self.embeddings = Embeddings(V, 0 if apart else T, C, config.dropout)
        self.distances = nn.Embedding(2 * T, C) if apart else None  # shared by all layers
        self.layers = nn.ModuleList(Block(C, H, inner, config.dropout, disentangled=apart) for _ in range(L))
        self.decodes = config.decoder
        self.positions = nn.Embedding(T, C) if config.decoder else None
        self.decoder = Block(C, H, inner, config.dropout, disentangled=True) if config.decoder else None
        self.prediction = Prediction(V, C, C)
        self.pooler = nn.Linear(C, C) if config.pairs != "none" else None
        self.relation = nn.Linear(C, 2) if config.pairs != "none" else None

    def forward(
        self,
        ids: torch.Tensor,
        positions: torch.Tensor,
        types: torch.Tensor,
        mask: Mask,
        places: torch.Tensor | None = None,
    ) -> torch.Tensor:
        table = None if self.distances is None else self.distances.weight
        return through(self.layers, self.embeddings(ids, positions, types), mask, table, places)

    def decode(self, hidden: torch.Tensor, positions: torch.Tensor, mask: Mask) -> torch.Tensor:
        """The enhanced mask decoder (He et al. 2021, section 3.2): only here a place is known."""
        if self.decoder is None or self.positions is None or self.distances is None:
            return hidden
        query = hidden + self.positions(positions)
        return self.decoder(hidden, mask, self.distances.weight, query)  # type: ignore[no-any-return]

    def predict(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.prediction(hidden)  # type: ignore[no-any-return]

    @property
    def output(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.embeddings.word.weight, self.prediction.bias

    def relate(self, hidden: torch.Tensor) -> torch.Tensor:
        assert self.pooler is not None and self.relation is not None
        return self.relation(torch.tanh(self.pooler(hidden)))  # type: ignore[no-any-return]

    def flops_per_token(self) -> float:
        """Of one training step."""
        _, C, _, T = self.config.shape
        last = self.config.masked if self.distances is None else 1.0
        layers = sum(flops(layer, C, T) for layer in self.layers[:-1]) + flops(self.layers[-1], C, T, last)
        return layers + 6.0 * self.config.masked * (self.output[0].numel() + C * C)

    def save(self, folder: Path) -> None:
        save_weights(self, folder)


@torch.no_grad()
def initialise(model: nn.Module, seed: int) -> None:
    """Matrices ~ N(0, 0.02), gains of norms 1, biases 0 (the released code)."""
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
        "unit": config.unit,
        "share": config.masked,
        "seed": seed,
    }
    if config.pairs == "none":
        return MaskedBatches(split, **shape)
    return PairBatches(split, relation=config.pairs, **shape)


def released_names(config: BertConfig) -> Names:
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
    layers |= released_layer_names(config.shape.layers, "layers", "bert.encoder.layer")
    return names | paired(layers)


def released_layer_names(count: int, ours: str, theirs: str) -> dict[str, tuple[str, ...]]:
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


def from_released(config: BertConfig, vocabulary: Vocabulary, weights: Weights, seed: int = 0) -> Bert:
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
    found = gathered(released_names(config), weights)
    load_state(
        model, state | {name: part for name, part in found.items() if name in own}, "what was released"
    )
    return model


def to_released(model: Bert) -> tuple[dict[str, Any], Weights]:
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
        "intermediate_size": model.config.inner or 4 * C,
        "max_position_embeddings": T,
        "type_vocab_size": 2,
        "hidden_act": "gelu",
        "hidden_dropout_prob": model.config.dropout,
        "attention_probs_dropout_prob": model.config.dropout,
        "layer_norm_eps": EPSILON,
        "pad_token_id": 0,
    }
    weights = scattered(released_names(model.config), model.state_dict())
    weights["cls.predictions.decoder.weight"] = model.output[0].detach()
    weights["cls.predictions.decoder.bias"] = model.output[1].detach()
    return table, weights


def build(config: BertConfig, vocabulary: Vocabulary, seed: int) -> Bert:
    """A model with random weights, or those it is to start from."""
    config.settle(vocabulary)
    model = Bert(config, vocabulary)
    initialise(model, seed)
    if config.start:
        start_from(model, Path(config.start), family="bert")
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
