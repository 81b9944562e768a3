"""`rnn-tagger`: a recurrent network reads a sentence from both ends (Huang et al. 2015; Lample et al. 2016).

    token  →  [word embedding; its characters; other columns]  →  BiLSTM  →  head  →  tags

Characters are read by a convolution (`characters = "cnn"`, Ma and Hovy 2016, section 2.1) or by a BiLSTM
(`"lstm"`, Lample et al. 2016, section 4.1); a word that training shows once is read as an unknown one every
other time, which teaches that embedding (section 4.3). Where tokens are characters, as in Chinese, each is
read with its right neighbor instead (Zhang and Yang 2018, section 3.1). Deviates: AdamW with a falling rate
instead of SGD, so that a tenth of the epochs do; no embeddings come from elsewhere.
Letters: N tokens of all sentences, W different words among them, L characters of one, C channels.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import msgspec
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence

from langue.base.bounds import Fraction, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from langue.base.config import Config, read_struct
from langue.base.errors import Damaged
from langue.base.seeds import derive
from langue.corpus.schemes import Scheme
from langue.corpus.tagged import Sentence, unit_of
from langue.inference.batched import Packed, pack
from langue.models.family import Family, TaggerInputs
from langue.models.taggers.base import NeuralTagger
from langue.models.taggers.heads import Head
from langue.models.taggers.labels import Encoding, Labels
from langue.nn.dropout import drop
from langue.nn.weights import load_weights, save_weights
from langue.protocols import Tagger, Vocabulary

VOCABULARY = "vocabulary.json"
PAIR = "word|word[1]"  # each token with its right neighbor, as a template of the CRF spells it
UNKNOWN = 0  # number of what training has not shown
COLUMN = 25  # width of the embedding of a column beside the word
LONGEST = 40  # characters of a word that are read, of a longer one half from each end
KERNEL = 3  # characters a filter sees, as in Ma and Hovy 2016


class RNNTaggerConfig(Config, frozen=True):
    """What is read of each token, the network, and how long it learns."""

    RENAMED: ClassVar[Mapping[str, str]] = {"batch": "batch_size"}

    head: Head = "crf"
    characters: Literal["auto", "cnn", "lstm", "none"] = "auto"  # auto: cnn, if tokens have several
    word_width: PositiveInt = 100
    character_width: PositiveInt = 30  # of an embedding, and of what is made of all, as in Ma and Hovy 2016
    width: PositiveInt = 200  # of the LSTM in each direction, as there
    layers: Annotated[int, msgspec.Meta(ge=1, le=1 << 10)] = 1
    dropout: Fraction = 0.5  # of what the LSTM reads and writes, as there
    encoding: Encoding = "BIOES"  # of spans, inside
    constraints: bool = True  # only tag sequences that spell spans
    epochs: PositiveInt = 15
    patience: NonNegativeInt = 0  # epochs in a row that are no better, after which a seed ends; 0: none
    batch_size: PositiveInt = 16  # sentences
    learning_rate: PositiveFloat = 3e-3
    weight_decay: NonNegativeFloat = 0.01
    seeds: PositiveInt = 1  # runs, of which the best on the validation file is kept
    seed: int = 0  # of the first


def normal(word: str) -> str:
    """A word as its embedding knows it: in lower case, every digit a 0 (Collobert et al. 2011)."""
    return "".join("0" if character.isdecimal() else character for character in word.lower())


def pairs(sentence: Sentence) -> tuple[str, ...]:
    """Each token with its right neighbor."""
    return tuple(map("".join, pairwise((*map(normal, sentence.words), "\n"))))


class Numbering:
    """Texts by number; 0 is for all that training has not shown.

    Args:
        rare: which of the numbers training shows once, `(V,)`; empty: none, or it is not known.
    """

    def __init__(self, texts: Sequence[str], rare: torch.Tensor | None = None) -> None:
        self.texts = tuple(texts)
        self.rare = torch.empty(0, dtype=torch.bool) if rare is None else rare
        self._numbers = {text: number for number, text in enumerate(self.texts, 1)}

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Numbering":
        counts = Counter(texts)
        return cls(tuple(counts), torch.tensor([False, *(count == 1 for count in counts.values())]))

    def __len__(self) -> int:
        return len(self.texts) + 1

    def numbers(self, texts: Iterable[str]) -> torch.Tensor:
        return torch.tensor([self._numbers.get(text, UNKNOWN) for text in texts], dtype=torch.int64)


class Table(msgspec.Struct):
    """What a folder says in words."""

    columns: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    labels: tuple[str, ...]
    scheme: Scheme | None
    encoding: Scheme | None
    inputs: dict[str, tuple[str, ...]]  # of each thing that is embedded, by number
    characters: str | None


class BiLSTM(nn.LSTM):
    """Reads sequences from both ends, side by side and with nothing padded."""

    def __init__(self, inputs: int, width: int, layers: int = 1, dropout: float = 0.0) -> None:
        super().__init__(inputs, width, layers, dropout=dropout if layers > 1 else 0.0, bidirectional=True)

    def read(self, x: torch.Tensor, packed: Packed) -> tuple[torch.Tensor, torch.Tensor]:
        """States `(N, 2 C)` of `(N, inputs)`, and the last of each sequence and direction, `(S, 2 C)`."""
        positions, order = packed.positions.to(x.device), packed.order.to(x.device)
        given = PackedSequence(x[positions], torch.tensor(packed.heights))
        y, (last, _) = self(given)
        states = torch.empty_like(y.data).index_copy(0, positions, y.data)
        ends = last[-2:].transpose(0, 1).flatten(1)  # (S, 2 C), the longest first
        return states, torch.empty_like(ends).index_copy(0, order, ends)


class Characters(nn.Module):
    """What the characters of words say of them, `(W, character_width)`."""

    def __init__(self, kind: Literal["cnn", "lstm"], numbering: Numbering, C: int) -> None:
        super().__init__()
        self.numbering = numbering
        self.embedding = nn.Embedding(len(numbering), C)
        self.convolution = nn.Conv1d(C, C, KERNEL, padding=KERNEL // 2) if kind == "cnn" else None
        self.recurrent = None if kind == "cnn" else BiLSTM(C, (C + 1) // 2)
        self.width = C if kind == "cnn" else 2 * ((C + 1) // 2)

    def forward(self, words: Sequence[str], dropout: float) -> torch.Tensor:
        shortened = [
            word if len(word) <= LONGEST else word[: LONGEST // 2] + word[-LONGEST // 2 :] for word in words
        ]
        lengths = torch.tensor([len(word) for word in shortened])
        device = self.embedding.weight.device
        flat = self.numbering.numbers("".join(shortened)).to(device)
        x = drop(self.embedding(flat), dropout, self.training)  # (characters of all words, C)
        if self.recurrent is not None:
            return self.recurrent.read(x, pack(lengths.numpy()))[1]
        assert self.convolution is not None
        inside = (torch.arange(int(lengths.max())) < lengths[:, None]).to(device)  # (W, L)
        padded = x.new_zeros(*inside.shape, x.shape[1]).masked_scatter(inside[..., None], x)
        features = self.convolution(padded.transpose(1, 2))  # (W, C, L)
        return features.masked_fill(~inside[:, None], float("-inf")).amax(2)


class RNNTagger(NeuralTagger):
    """A `Tagger`.

    Args:
        inputs: the numbering of each thing that is embedded: "word", perhaps `PAIR`, other columns.
        characters: their numbering; None: they are not read.
    """

    def __init__(
        self,
        config: RNNTaggerConfig,
        columns: Sequence[str],
        labels: Labels,
        inputs: dict[str, Numbering],
        characters: Numbering | None,
    ) -> None:
        super().__init__(columns, labels, 2 * config.width, config.head, constraints=config.constraints)
        self.config = config
        self.inputs = inputs
        widths = [config.word_width if name in ("word", PAIR) else COLUMN for name in inputs]
        self.embeddings = nn.ModuleList(
            nn.Embedding(len(numbering), C) for numbering, C in zip(inputs.values(), widths, strict=True)
        )
        kind: Literal["cnn", "lstm"] = "lstm" if config.characters == "lstm" else "cnn"
        self.characters: Characters | None = None
        if characters is not None:
            self.characters = Characters(kind, characters, config.character_width)
        total = sum(widths) + (self.characters.width if self.characters is not None else 0)
        self.recurrent = BiLSTM(total, config.width, config.layers, config.dropout)

    @torch.no_grad()
    def initialize(self, seed: int) -> None:
        """Embeddings uniform in ± √(3 / width), matrices as Glorot and Bengio 2010, biases 0 but for those of
        forget gates, which are 1 (Ma and Hovy 2016, section 3.1). Transitions begin at 0."""
        draw = torch.Generator().manual_seed(derive(seed, "weights") % 2**63)
        for name, parameter in self.named_parameters():
            if parameter.ndim < 2 or name == "head.transition":
                parameter.zero_()
                if "bias_ih" in name:
                    parameter[len(parameter) // 4 : len(parameter) // 2] = 1.0
                continue
            shape = parameter.shape
            embeds = "embedding" in name
            bound = (3 / shape[1] if embeds else 6 / (shape[0] + shape[1:].numel())) ** 0.5
            parameter.copy_((torch.rand(shape, generator=draw) * 2 - 1) * bound)

    def forward(self, sentences: Sequence[Sentence]) -> torch.Tensor:
        """States `(N, 2 width)`."""
        lengths = [len(sentence.words) for sentence in sentences if sentence.words]
        if not lengths:
            return self.recurrent.weight_hh_l0.new_zeros(0, 2 * self.config.width)  # type: ignore[operator]
        read = [
            embedding(self._numbers(name, sentences))
            for name, embedding in zip(self.inputs, self.embeddings, strict=True)
        ]
        if self.characters is not None:
            words = [word for sentence in sentences for word in sentence.words]
            different = {word: number for number, word in enumerate(dict.fromkeys(words))}
            made = self.characters(list(different), self.config.dropout)
            read.append(made[torch.tensor([different[word] for word in words], device=made.device)])
        x = drop(torch.cat(read, 1), self.config.dropout, self.training)
        states, _ = self.recurrent.read(x, pack(lengths))
        return drop(states, self.config.dropout, self.training)

    def _numbers(self, name: str, sentences: Sequence[Sentence]) -> torch.Tensor:
        numbering = self.inputs[name]
        numbers = numbering.numbers(_values(name, self.columns, sentences))
        if self.training and name in ("word", PAIR):
            hidden = numbering.rare[numbers] & (torch.rand(numbers.shape) < 0.5)
            numbers = numbers.masked_fill(hidden, UNKNOWN)
        return numbers.to(self.device)

    def save(self, folder: Path) -> None:
        save_weights(self, folder)
        table = Table(
            self.columns,
            *self.names,
            {name: numbering.texts for name, numbering in self.inputs.items()},
            "".join(self.characters.numbering.texts) if self.characters is not None else None,
        )
        text = json.dumps(msgspec.structs.asdict(table), ensure_ascii=False)
        (folder / VOCABULARY).write_text(text, encoding="utf-8")


def _values(name: str, columns: Sequence[str], sentences: Sequence[Sentence]) -> Iterator[str]:
    """What is embedded of each token."""
    for sentence in sentences:
        if name == "word":
            yield from map(normal, sentence.words)
        elif name == PAIR:
            yield from pairs(sentence)
        else:
            yield from sentence.columns[columns.index(name)]


def build(config: RNNTaggerConfig, inputs: TaggerInputs, seed: int) -> RNNTagger:
    """A tagger of these labels with random weights, which knows the words of these sentences."""
    columns, labels, sentences = inputs
    single = unit_of(sentences) == "characters"
    names = ("word", *((PAIR,) if single else ()), *columns[1:])
    numbered = {name: Numbering.of(_values(name, columns, sentences)) for name in names}
    spelled = config.characters in ("cnn", "lstm") or (config.characters == "auto" and not single)
    letters = (letter for sentence in sentences for word in sentence.words for letter in word)
    characters = Numbering.of(letters) if spelled else None
    model = RNNTagger(config, columns, labels, numbered, characters)
    model.initialize(seed)
    return model


def load(folder: Path, config: RNNTaggerConfig, vocabulary: Vocabulary | None = None) -> RNNTagger:
    """Read a model folder.

    Raises:
        LangueError: the weights are not those of this configuration and vocabulary.
    """
    table = read_struct(Table, folder / VOCABULARY)
    labels = Labels(table.labels, table.scheme, table.encoding)
    labels.check(folder / VOCABULARY)
    if not set(table.inputs) <= {"word", PAIR, *table.columns}:
        raise Damaged(f"{folder / VOCABULARY} is damaged: inputs: they are no columns; make it again")
    numbered = {name: Numbering(texts) for name, texts in table.inputs.items()}
    characters = None if table.characters is None else Numbering(table.characters)
    return load_weights(lambda: RNNTagger(config, table.columns, labels, numbered, characters), folder)


FAMILY = Family(
    name="rnn-tagger",
    summary="bidirectional LSTM over words and their characters",
    makes=Tagger,
    config=RNNTaggerConfig,
    estimated_by="gradient",
    build=build,
    load=load,
)
