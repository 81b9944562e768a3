"""`span`: an encoder with a layer on top that marks the span of a text which answers a question (Devlin et
al. 2019, sections 4.2 and 4.3; `BertForQuestionAnswering` of transformers).

What it reads is `[CLS] question [SEP] text [SEP]`; a linear layer gives each token two logits, that the
answer begins there and that it ends there. Where there is none in what is read, both are at `[CLS]`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from msgspec import structs
from torch import nn
from torch.nn.utils.rnn import pad_sequence

from langue.base.arrays import Floats, Ids
from langue.base.bounds import Fraction, PositiveInt, Probability
from langue.base.config import Config
from langue.base.seeds import derive
from langue.models.encoders.base import MaskedModel
from langue.models.encoders.build import build_encoder
from langue.models.encoders.classifier import CHUNK_EXAMPLES
from langue.models.family import Family
from langue.nn.dropout import Dropout
from langue.nn.weights import load_weights, save_weights
from langue.protocols import SpanPredictor, Vocabulary
from langue.tokens.masked import pack_examples


class EncoderSpanConfig(Config, frozen=True):
    """What a folder says of itself; a user sets `tasks.span.SpanConfig`."""

    encoder: str  # family
    encoder_config: dict[str, Any]
    dropout: Fraction = 0.0  # of the states
    max_length: PositiveInt = 384  # tokens read at once, special ones included
    overlap: PositiveInt = 128  # tokens that two windows of a long text share
    max_answer_tokens: PositiveInt = 30
    threshold: Probability = 0.0  # below it, there is no answer


class EncoderSpanPredictor(nn.Module, SpanPredictor):
    """An encoder, and two logits for each token."""

    def __init__(self, config: EncoderSpanConfig, encoder: MaskedModel) -> None:
        super().__init__()
        self.config = config
        self.window = min(config.max_length, encoder.window)
        self.overlap = config.overlap
        self.max_answer_tokens = config.max_answer_tokens
        self.threshold = config.threshold
        self.specials = encoder.specials
        self.encoder = encoder
        self.drop = Dropout(config.dropout)
        self.out = nn.Linear(encoder.width, 2)

    @torch.no_grad()
    def initialize(self, seed: int) -> None:
        """The head: weights ~ N(0, 0.02), biases 0."""
        draw = torch.Generator().manual_seed(derive(seed, "head") % 2**63)
        self.out.weight.copy_(torch.randn(self.out.weight.shape, generator=draw) * 0.02)
        self.out.bias.zero_()

    def forward(self, examples: Sequence[tuple[Ids, Ids]]) -> list[torch.Tensor]:
        """Logits `(T, 2)` of each example, which is ids and types: that the answer begins, and ends."""
        batch = pack_examples(examples, self.encoder.window)
        states = self.encoder.read(batch).flatten(0, 1).float()  # (B T, C)
        numbers, begins = self.encoder.marked(batch.pairs)
        logits = self.out(self.drop(states.to(self.out.weight.dtype)))
        where = begins[numbers.argsort()].tolist()
        return [logits[begin : begin + len(ids)] for begin, (ids, _) in zip(where, examples, strict=True)]

    def loss(self, examples: Sequence[tuple[Ids, Ids]], spans: Sequence[tuple[int, int]]) -> torch.Tensor:
        """Σ -½ (log p(begin) + log p(end)) over examples.

        Args:
            spans: index of the first and of the last token of each answer; 0, 0 where there is none.
        """
        logits = pad_sequence(self(examples), batch_first=True, padding_value=float("-inf"))  # (N, T, 2)
        answers = torch.tensor(spans, device=logits.device)  # (N, 2)
        return F.cross_entropy(logits, answers, reduction="sum") / 2

    @torch.no_grad()
    def span_logits(self, sequences: Sequence[Ids], types: Sequence[Ids]) -> list[Floats]:
        self.eval()
        logits: list[Floats] = []
        for first in range(0, len(sequences), CHUNK_EXAMPLES):  # states of all at once would be many
            some = slice(first, first + CHUNK_EXAMPLES)
            hidden = self.encoder.hidden(sequences[some], types[some])
            logits += [self.out(torch.from_numpy(one).to(self.out.weight)).cpu().numpy() for one in hidden]
        return logits

    def set_threshold(self, threshold: float) -> None:
        """Below this probability of an answer there is none."""
        self.threshold = threshold
        self.config = structs.replace(self.config, threshold=threshold)

    def size(self) -> dict[str, int]:
        return {"parameters": sum(parameter.numel() for parameter in self.parameters())}

    def save(self, folder: Path) -> None:
        save_weights(self, folder)


def build(config: EncoderSpanConfig, vocabulary: Vocabulary, seed: int) -> EncoderSpanPredictor:
    """A model whose encoder has random weights too.

    Raises:
        LangueError: that family is no encoder.
    """
    encoder = build_encoder(config.encoder, config.encoder_config, vocabulary, seed)
    model = EncoderSpanPredictor(config, encoder)
    model.initialize(seed)
    return model


def load(folder: Path, config: EncoderSpanConfig, vocabulary: Vocabulary) -> EncoderSpanPredictor:
    """Read the weights of a model folder.

    Raises:
        LangueError: the weights are not those of this configuration.
    """
    return load_weights(lambda: build(config, vocabulary, 0), folder)


FAMILY = Family(
    name="span",
    summary="encoder fine-tuned to find the span of a text that answers a question",
    makes=SpanPredictor,
    config=EncoderSpanConfig,
    estimated_by="gradient",
    load=load,
)
