"""`classifier`: an encoder with a layer on top that tells texts apart (Devlin et al. 2019, section 4.1).

The pooled state goes through dropout and one linear layer. What is pooled is the state of `[CLS]`, or the
mean over the tokens. What the encoder learned about pairs of passages, its pooler, is where the pooling
starts; an encoder without one starts at random.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from msgspec import structs
from torch import nn

from langue.base.arrays import Floats, Ids
from langue.base.bounds import Fraction, PositiveFloat
from langue.base.config import Config
from langue.base.seeds import derive
from langue.models.encoders.base import MaskedModel
from langue.models.encoders.build import build_encoder
from langue.models.encoders.pooling import Pooling, pooled
from langue.models.family import Family
from langue.nn.dropout import Dropout
from langue.nn.linear import Linear
from langue.nn.weights import load_weights, save_weights
from langue.protocols import Classifier, Vocabulary
from langue.tokens.masked import pack_examples
from langue.tokens.masked_batch import MaskedBatch

CHUNK_EXAMPLES = 64  # read at a time without gradients


class ClassifierConfig(Config, frozen=True):
    RENAMED: ClassVar[Mapping[str, str]] = {"pool": "pooling"}

    task: Literal["classify", "pair", "multilabel"]
    encoder: str  # family
    encoder_config: dict[str, Any]
    labels: tuple[str, ...]
    dropout: Fraction = 0.1  # of the pooled state, as in the paper
    pooling: Pooling = "cls"
    temperature: PositiveFloat = 1.0  # that logits are divided by (Guo et al. 2017)


class EncoderClassifier(nn.Module, Classifier):
    """Reads packed examples, whose numbers stand at their `[CLS]` in `MaskedBatch.pairs`."""

    def __init__(self, config: ClassifierConfig, encoder: MaskedModel) -> None:
        super().__init__()
        C = encoder.width
        self.config = config
        self.labels = config.labels
        self.texts = 2 if config.task == "pair" else 1
        self.multilabel = config.task == "multilabel"
        self.window = encoder.window
        self.temperature = config.temperature
        self.specials = encoder.specials
        self.encoder = encoder
        self.pool = Linear(C, C)
        self.drop = Dropout(config.dropout)
        self.out = Linear(C, len(config.labels))

    @torch.no_grad()
    def initialize(self, seed: int) -> None:
        """Weights ~ N(0, 0.02), biases 0; the pooler is the encoder's if it has one."""
        draw = torch.Generator().manual_seed(derive(seed, "head") % 2**63)
        pooler = self.encoder.pooler  # of the task on pairs
        for layer in (self.pool, self.out):
            layer.weight.copy_(torch.randn(layer.weight.shape, generator=draw) * 0.02)
            layer.bias.zero_()
        if pooler is not None:
            self.pool.load_state_dict(pooler.state_dict())

    def forward(self, batch: MaskedBatch) -> torch.Tensor:
        """Logits `(examples, labels)`, in the order of their numbers."""
        states = pooled(self.encoder, batch, self.config.pooling).to(self.out.weight.dtype)
        return self.out(self.drop(torch.tanh(self.pool(states))))

    @torch.no_grad()
    def log_probs(self, sequences: Sequence[Ids], types: Sequence[Ids]) -> Floats:
        self.eval()
        # Read by length, so that rows are full; told in the order they were given.
        order = np.argsort([len(ids) for ids in sequences], kind="stable")
        scores = np.empty((len(sequences), len(self.labels)))
        for first in range(0, len(order), CHUNK_EXAMPLES):
            chosen = order[first : first + CHUNK_EXAMPLES]
            logits = self(pack_examples([(sequences[index], types[index]) for index in chosen], self.window))
            scaled = logits.double() / self.temperature
            log_probs = F.logsigmoid(scaled) if self.multilabel else F.log_softmax(scaled, -1)
            scores[chosen] = log_probs.cpu().numpy()
        return scores

    def set_temperature(self, temperature: float) -> None:
        """Divide logits by this, which makes probabilities true and changes no answer."""
        self.temperature = temperature
        self.config = structs.replace(self.config, temperature=temperature)

    def size(self) -> dict[str, int]:
        return {"parameters": sum(parameter.numel() for parameter in self.parameters())}

    def save(self, folder: Path) -> None:
        save_weights(self, folder)


def build(config: ClassifierConfig, vocabulary: Vocabulary, seed: int) -> EncoderClassifier:
    """A classifier whose encoder has random weights too.

    Raises:
        LangueError: that family is no encoder.
    """
    encoder = build_encoder(config.encoder, config.encoder_config, vocabulary, seed)
    model = EncoderClassifier(config, encoder)
    model.initialize(seed)
    return model


def load(folder: Path, config: ClassifierConfig, vocabulary: Vocabulary) -> EncoderClassifier:
    """Read the weights of a model folder.

    Raises:
        LangueError: the weights are not those of this configuration.
    """
    return load_weights(lambda: build(config, vocabulary, 0), folder)


FAMILY = Family(
    name="classifier",
    summary="encoder fine-tuned to tell texts apart",
    makes=Classifier,
    config=ClassifierConfig,
    estimated_by="gradient",
    load=load,
)
