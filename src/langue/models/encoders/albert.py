"""`albert`: BERT in a fraction of the parameters (Lan et al. 2020).

Three changes to BERT: the embedding is factorized (section 3.1), all layers are one layer, applied
again and again, and the second task is the order of two passages. Runs of words are hidden, as in the
published models. Deviates by one setting: `position = "relative"` takes the absolute positions away and
tells each head how far apart two tokens are. Letters: B batch, T time, C channels, E channels of the
embedding, V vocabulary.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor

from langue.base.bounds import NonNegativeInt
from langue.models.encoders.base import MaskedModel
from langue.models.encoders.bert import Block, Embeddings, Prediction, run_layers
from langue.models.encoders.config import MaskedConfig
from langue.models.encoders.from_bert import factorized_bert
from langue.models.encoders.init_from import init_encoder
from langue.models.encoders.setup import batches, flops
from langue.models.family import Family
from langue.nn.initial import normal_weights
from langue.nn.linear import Linear
from langue.nn.mask import Mask
from langue.nn.relative import RelativeBias
from langue.nn.weights import load_weights
from langue.protocols import Masked, Vocabulary
from langue.tokens.masked_batch import SentencePairs
from langue.tokens.masking import Masking


class AlbertConfig(MaskedConfig, frozen=True):
    RENAMED: ClassVar[Mapping[str, str]] = {"embedding": "embedding_size"}

    embedding_size: NonNegativeInt = 0  # of the factorized one; 0: 128, the best of table 3 of the paper
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
        self.widen = Linear(E, C)
        self.layer = Block(C, H, config.d_ff or 4 * C, config.dropout, approximate="tanh")
        self.prediction = Prediction(V, C, E, approximate="tanh")
        self.pooler = Linear(C, C) if config.pooled else None
        self.relation = Linear(C, 2) if config.sentence_pairs != "none" else None

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


def build(config: AlbertConfig, vocabulary: Vocabulary, seed: int) -> Albert:
    """A model with random weights."""
    model = Albert(config, vocabulary)
    normal_weights(model, seed)
    return model


def load(folder: Path, config: AlbertConfig, vocabulary: Vocabulary) -> Albert:
    """Read the weights of a model folder.

    Raises:
        LangueError: the weights are not those of this configuration.
    """
    return load_weights(lambda: Albert(config, vocabulary), folder)


FAMILY = Family(
    name="albert",
    summary="encoder with one layer for all, and a factorized embedding (ALBERT)",
    makes=Masked,
    config=AlbertConfig,
    estimated_by="gradient",
    load=load,
    build=build,
    batches=batches,
    init_from=init_encoder("albert", ("embedding_size", "position"), {"bert": factorized_bert}),
)
