"""`encoder-tagger`: an encoder that was trained on text, and a head that labels tokens (Devlin et al. 2019,
section 5.3).

A token is read in the pieces the encoder's vocabulary spells it with, and labeled by the state of its
first one. No piece spans two tokens. A sentence longer than the window is read in windows that overlap; of
each token the state is taken where it has most around it, and the head sees the sentence whole.
Letters: N tokens of all sentences, C channels.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch

from langue.base.arrays import Int64Array
from langue.base.bounds import Fraction
from langue.base.config import Config, decode
from langue.base.scripts import HAN
from langue.base.seeds import derive
from langue.corpus.normalize import Normalization
from langue.corpus.schemes import Scheme
from langue.corpus.tagged import Sentence
from langue.models.encoders.base import MaskedModel
from langue.models.encoders.build import build_encoder
from langue.models.family import Family
from langue.models.taggers.base import NeuralTagger
from langue.models.taggers.heads import Head
from langue.models.taggers.labels import Labels
from langue.nn.dropout import drop
from langue.nn.weights import load_weights, save_weights
from langue.protocols import Tagger, Vocabulary
from langue.tokens.masked import pack_examples
from langue.tokens.store import MOST_IDS, TOKENIZER
from langue.tokens.tokenizer import Tokenizer

_HAN = re.compile(f"[{HAN}]")


class EncoderTaggerConfig(Config, frozen=True):
    """What a folder says of itself; a user sets `tasks.tag.TagConfig`."""

    RENAMED: ClassVar[Mapping[str, str]] = {"normalisation": "normalization"}

    head: Head
    encoder: str  # family
    encoder_config: dict[str, Any]
    vocabulary: dict[str, int]  # size, eos
    normalization: dict[str, Any]
    labels: tuple[str, ...]
    scheme: Scheme | None  # how the data spells spans
    encoding: Scheme | None  # how the labels do
    constraints: bool = True
    dropout: Fraction = 0.1  # of what the head reads

    def check(self) -> None:
        size, eos = self.vocabulary.get("size", 0), self.vocabulary.get("eos", -1)
        if not 0 <= eos < size <= MOST_IDS:
            raise ValueError(f"vocabulary has {size} ids, of which eos is {eos}")


class Read(NamedTuple):
    """Sentences as the encoder reads them."""

    windows: list[tuple[Int64Array, Int64Array]]  # ids and types, with special tokens
    window: list[int]  # (N,) of each token, which of them its state is taken from
    position: list[int]  # (N,) and where in it


class Reader:
    """Turns tokens into pieces, and sentences into windows of them.

    Args:
        room: pieces of a window, `[CLS]` and `[SEP]` not counted.
    """

    def __init__(
        self, tokenizer: Tokenizer, normalization: Normalization, specials: tuple[int, int, int], room: int
    ) -> None:
        self.tokenizer = tokenizer
        self.normalization = normalization
        self.cls, self.sep, self.mask = specials
        self.room = room
        self._pieces: dict[str, list[int]] = {}  # of tokens that were met

    def read(self, sentences: Sequence[Sentence]) -> Read:
        spelled = [list(spaced(sentence.words)) for sentence in sentences]
        self._meet(spelled)
        read = Read([], [], [])
        for texts in spelled:
            if texts:
                self._add(read, [self._pieces[text] for text in texts])
        return read

    def _meet(self, spelled: Sequence[Sequence[str]]) -> None:
        """Encode the tokens that are new."""
        new = list({text: None for texts in spelled for text in texts if text not in self._pieces})
        encoded = self.tokenizer.encode_batch([self.normalization.apply(text) for text in new]) if new else []
        for text, ids in zip(new, encoded, strict=True):
            # Of a token longer than half a window only the beginning is read; one of which nothing is left
            # is hidden.
            self._pieces[text] = ids[: max(self.room // 2, 1)].tolist() or [self.mask]

    def _add(self, read: Read, pieces: Sequence[list[int]]) -> None:
        """Put a sentence into windows, and find the best one for each token."""
        ends = np.cumsum([len(part) for part in pieces])
        begins = ends - [len(part) for part in pieces]
        first = len(read.windows)
        around = np.full(len(pieces), -1)  # pieces between a token and the nearer edge of its window
        window, position = np.zeros((2, len(pieces)), np.int64)
        for begin, end in overlapping(begins, ends, self.room):
            ids = [id for part in pieces[begin:end] for id in part]
            number = len(read.windows)
            read.windows.append((np.array([self.cls, *ids, self.sep]), np.zeros(len(ids) + 2, np.int64)))
            here = slice(begin, end)
            left = begins[here] - begins[begin] + (0 if begin else ends[-1])  # the sentence's edge is none
            right = ends[end - 1] - ends[here] + (0 if end < len(pieces) else ends[-1])
            nearer = np.minimum(left, right)
            better = nearer > around[here]
            around[here] = np.where(better, nearer, around[here])
            window[here] = np.where(better, number, window[here])
            position[here] = np.where(better, 1 + begins[here] - begins[begin], position[here])
        assert (window >= first).all()
        read.window.extend(window.tolist())
        read.position.extend(position.tolist())


def overlapping(begins: Int64Array, ends: Int64Array, room: int) -> Iterator[tuple[int, int]]:
    """Runs of tokens `[begin, end)` of at most `room` pieces that cover all, each beginning in the middle of
    the one before; one run, if all fit."""
    begin = 0
    while True:
        end = int(np.searchsorted(ends, begins[begin] + room, side="right"))
        yield begin, end
        if end == len(ends):
            return
        middle = (begins[begin] + ends[end - 1]) // 2
        begin = max(min(int(np.searchsorted(begins, middle, side="right")), end), begin + 1)


def spaced(words: Sequence[str]) -> Iterator[str]:
    """Tokens as they stand in text: a space before each but the first, and none beside Chinese."""
    before = ""
    for word in words:
        apart = before and not (_HAN.match(before[-1:]) or _HAN.match(word))
        yield f" {word}" if apart else word
        before = word


class EncoderTagger(NeuralTagger):
    """A `Tagger` that reads words only."""

    def __init__(self, config: EncoderTaggerConfig, encoder: MaskedModel, tokenizer: Tokenizer) -> None:
        labels = Labels(config.labels, config.scheme, config.encoding)
        super().__init__(("word",), labels, encoder.width, config.head, constraints=config.constraints)
        self.config = config
        self.encoder = encoder
        normalization = decode(Normalization, config.normalization, "normalization")
        self.reader = Reader(tokenizer, normalization, encoder.specials, encoder.window - 2)

    @torch.no_grad()
    def initialize(self, seed: int) -> None:
        """The head: weights ~ N(0, 0.02), all else 0."""
        draw = torch.Generator().manual_seed(derive(seed, "head") % 2**63)
        for name, parameter in self.head.named_parameters():
            if name == "score.weight":
                parameter.copy_(torch.randn(parameter.shape, generator=draw) * 0.02)
            else:
                parameter.zero_()

    def forward(self, sentences: Sequence[Sentence]) -> torch.Tensor:
        """States `(N, C)` of first pieces."""
        read = self.reader.read(sentences)
        if not read.windows:
            return torch.zeros(0, self.encoder.width, device=self.device)
        batch = pack_examples(read.windows, self.encoder.window)
        hidden = self.encoder.read(batch).flatten(0, 1).float()  # (B T, C)
        numbers, indices = self.encoder.marked(batch.pairs)
        begins = indices[numbers.argsort()]  # of each window
        chosen = torch.tensor([read.window, read.position], device=hidden.device)
        states = hidden[begins[chosen[0]] + chosen[1]]
        return drop(states, self.config.dropout, self.training)

    def save(self, folder: Path) -> None:
        save_weights(self, folder)
        self.reader.tokenizer.save(folder / TOKENIZER)


def build(config: EncoderTaggerConfig, tokenizer: Tokenizer, seed: int) -> EncoderTagger:
    """A tagger whose encoder has random weights too.

    Raises:
        LangueError: that family is no encoder.
    """
    vocabulary = Vocabulary(config.vocabulary["size"], config.vocabulary["eos"])
    encoder = build_encoder(config.encoder, config.encoder_config, vocabulary, seed)
    model = EncoderTagger(config, encoder, tokenizer)
    model.initialize(seed)
    return model


def load(folder: Path, config: EncoderTaggerConfig, vocabulary: Vocabulary | None = None) -> EncoderTagger:
    """Read a model folder.

    Raises:
        LangueError: the weights are not those of this configuration.
    """
    tokenizer = Tokenizer.load(folder / TOKENIZER)
    Labels(config.labels, config.scheme, config.encoding).check(folder / "model.json: config")
    return load_weights(lambda: build(config, tokenizer, 0), folder)


FAMILY = Family(
    name="encoder-tagger",
    summary="encoder fine-tuned to label tokens",
    makes=Tagger,
    config=EncoderTaggerConfig,
    estimated_by="gradient",
    load=load,
)
