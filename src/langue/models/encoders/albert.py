"""`albert`: BERT in a fraction of the parameters (Lan et al. 2020).

Three changes to BERT: the embedding is factorized (section 3.1), all layers are one layer, applied
again and again, and the second task is the order of two passages. Runs of words are hidden, as in the
released models. Deviates by one setting: `position = "relative"` takes the absolute positions away and
tells each head how far apart two tokens are. Weights go both ways to Hugging Face's
`AlbertForPreTraining`. Letters: B batch, T time, C channels, E channels of the embedding, V vocabulary.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from langue.base.errors import LangueError
from langue.models.encoders.base import MaskedModel
from langue.models.encoders.bert import EPSILON, Block, Embeddings, Prediction, run_layers
from langue.models.encoders.config import Count, MaskedConfig
from langue.models.encoders.setup import batches, flops
from langue.models.encoders.start import start_from
from langue.models.family import Family
from langue.nn.attention import Mask
from langue.nn.initial import normal_weights
from langue.nn.relative import RelativeBias
from langue.nn.released import Names, Weights, paired, rename_from_hf, rename_to_hf
from langue.nn.weights import load_state, load_weights
from langue.protocols import Masked, Vocabulary
from langue.tokens.masked_batch import SentencePairs
from langue.tokens.masking import Masking


class AlbertConfig(MaskedConfig, frozen=True):
    RENAMED: ClassVar[Mapping[str, str]] = {"embedding": "embedding_size"}

    TAKEN: ClassVar[tuple[str, ...]] = ("embedding_size",)

    embedding_size: Count = 0  # of the factorized one; 0: 128, the best of table 3 of the paper
    position: Literal["absolute", "relative"] = "absolute"
    masking: Masking = "n-gram"
    sentence_pairs: SentencePairs = "sentence_order"

    @property
    def embedded(self) -> int:
        """Width of the embedding."""
        return self.embedding_size or 128


class Albert(MaskedModel):
    """A `Masked` model."""

    def __init__(self, config: AlbertConfig, vocabulary: Vocabulary) -> None:
        _, C, H, T = config.shape
        V, E = config.rows(vocabulary), config.embedded
        super().__init__(config, vocabulary)
        self.config = config
        absolute = config.position == "absolute"
        self.embeddings = Embeddings(V, T if absolute else 0, E, config.dropout)
        self.relative = None if absolute else RelativeBias(H, longest=T)
        self.widen = nn.Linear(E, C)
        self.layer = Block(C, H, config.d_ff or 4 * C, config.dropout, approximate="tanh")
        self.prediction = Prediction(V, C, E, approximate="tanh")
        self.pooler = nn.Linear(C, C) if config.sentence_pairs != "none" else None
        self.relation = nn.Linear(C, 2) if config.sentence_pairs != "none" else None

    def forward(
        self, ids: Tensor, positions: Tensor, types: Tensor, mask: Mask, at: Tensor | None = None
    ) -> Tensor:
        x = self.widen(self.embeddings(ids, positions, types))
        if self.relative is not None:
            mask = self.relative(ids.shape[1], mask)
        return run_layers([self.layer] * self.config.shape.layers, x, mask, None, at)

    def predict(self, hidden: Tensor) -> Tensor:
        return self.prediction(hidden)

    @property
    def output(self) -> tuple[Tensor, Tensor]:
        return self.embeddings.word.weight, self.prediction.bias

    def sentence_pair_logits(self, hidden: Tensor) -> Tensor:
        assert self.pooler is not None and self.relation is not None
        return self.relation(torch.tanh(self.pooler(hidden)))

    def flops_per_token(self) -> float:
        """Of one training step: sharing saves memory, and no work."""
        L, C, _, T = self.config.shape
        layers = (L - 1) * flops(self.layer, C, T) + flops(self.layer, C, T, self.config.mlm_probability)
        return layers + 6.0 * self.config.mlm_probability * (
            self.output[0].numel() + C * self.config.embedded
        )


def hf_names() -> Names:
    """Our tensors by the names of Hugging Face's `AlbertForPreTraining`."""
    theirs = "albert.encoder.albert_layer_groups.0.albert_layers.0"
    names = {
        "embeddings.word.weight": ("albert.embeddings.word_embeddings.weight",),
        "embeddings.position.weight": ("albert.embeddings.position_embeddings.weight",),
        "embeddings.part.weight": ("albert.embeddings.token_type_embeddings.weight",),
        "prediction.bias": ("predictions.bias",),
    }
    return names | paired(
        {
            "embeddings.norm": ("albert.embeddings.LayerNorm",),
            "widen": ("albert.encoder.embedding_hidden_mapping_in",),
            "layer.attn.c_attn": tuple(f"{theirs}.attention.{part}" for part in ("query", "key", "value")),
            "layer.attn.c_proj": (f"{theirs}.attention.dense",),
            "layer.norm_1": (f"{theirs}.attention.LayerNorm",),
            "layer.c_fc": (f"{theirs}.ffn",),
            "layer.c_proj": (f"{theirs}.ffn_output",),
            "layer.norm_2": (f"{theirs}.full_layer_layer_norm",),
            "pooler": ("albert.pooler",),
            "relation": ("sop_classifier.classifier",),
            "prediction.dense": ("predictions.dense",),
            "prediction.norm": ("predictions.LayerNorm",),
        }
    )


def from_hf(config: AlbertConfig, vocabulary: Vocabulary, weights: Weights, seed: int = 0) -> Albert:
    """The model with the weights of an ALBERT of Hugging Face; heads it has not stay random.

    Raises:
        LangueError: the weights are of another shape or kind of model.
    """
    if not any(name.startswith("albert.") for name in weights):
        weights = {f"albert.{name}": tensor for name, tensor in weights.items()}
    model = build(config, vocabulary, seed)
    own = model.state_dict()
    state = {
        name: part for name, part in own.items() if name.startswith(("pooler", "relation", "prediction"))
    }
    found = rename_from_hf(hf_names(), weights)
    load_state(
        model, state | {name: part for name, part in found.items() if name in own}, "what was released"
    )
    return model


def to_hf(model: Albert) -> tuple[dict[str, Any], Weights]:
    """The configuration and the weights that Hugging Face's ALBERT reads.

    Raises:
        LangueError: the model has positions that ALBERT had not.
    """
    if model.config.position != "absolute":
        raise LangueError("ALBERT has no position = relative; train without it")
    L, C, H, T = model.config.shape
    table = {
        "architectures": ["AlbertForPreTraining" if model.pooler is not None else "AlbertForMaskedLM"],
        "model_type": "albert",
        "vocab_size": len(model.output[0]),
        "embedding_size": model.config.embedded,
        "hidden_size": C,
        "num_hidden_layers": L,
        "num_attention_heads": H,
        "intermediate_size": model.config.d_ff or 4 * C,
        "max_position_embeddings": T,
        "type_vocab_size": 2,
        "hidden_act": "gelu_new",
        "hidden_dropout_prob": model.config.dropout,
        "attention_probs_dropout_prob": model.config.dropout,
        "layer_norm_eps": EPSILON,
        "pad_token_id": 0,
    }
    weights = rename_to_hf(hf_names(), model.state_dict())
    weights["predictions.decoder.weight"] = model.output[0].detach()
    weights["predictions.decoder.bias"] = model.output[1].detach()
    return table, weights


def build(config: AlbertConfig, vocabulary: Vocabulary, seed: int) -> Albert:
    """A model with random weights, or those it is to start from."""
    config.resolve_special_ids(vocabulary)
    model = Albert(config, vocabulary)
    normal_weights(model, seed)
    if config.init_from:
        start_from(model, Path(config.init_from), family="albert")
    return model


def load(folder: Path, config: AlbertConfig, vocabulary: Vocabulary) -> Albert:
    """Read the weights of a model folder.

    Raises:
        LangueError: the weights are not those of this configuration.
    """
    return load_weights(Albert(config, vocabulary), folder)


FAMILY = Family(
    name="albert",
    summary="encoder with one layer for all, and a factorized embedding (ALBERT)",
    makes=Masked,
    config=AlbertConfig,
    estimated_by="gradient",
    load=load,
    build=build,
    batches=batches,
    reads_spellings=True,
)
