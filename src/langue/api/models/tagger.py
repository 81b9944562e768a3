"""Models that say which tags the tokens of a sentence have."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from langue.api.models.base import Model, PathLike
from langue.base.arguments import (
    check_choice,
    check_count,
    check_path,
    check_several,
    check_text,
    check_texts,
)
from langue.base.arrays import Array, Floats
from langue.base.errors import InvalidSetting, Mismatch
from langue.base.progress import log
from langue.corpus.schemes import spans
from langue.corpus.tagged import SKIP, Format, Sentence, Tagged, read_tagged, unit_of
from langue.corpus.write_tagged import write_tagged
from langue.protocols import Tagger, Weight
from langue.tasks.tagging import data_of, layout
from langue.tokens.split_text import split_text

SHOWN = 4  # labels of a token in a table
FAINT = 1e-4  # probabilities below are not worth a place in it, or are shown by their exponent
Text = str | Sequence[str]  # a sentence, which is cut into tokens, or its tokens


@dataclass(frozen=True)
class Tagging:
    """One way to tag a sentence, and its probability given the sentence."""

    probability: float
    tags: tuple[str, ...]
    log_probability: float  # natural; of a long sentence the probability may be 0 in floating point


@dataclass(frozen=True)
class Entity:
    """A span of a text."""

    text: str
    type: str
    begin: int  # its first character in the text,
    end: int  # and the one behind its last


@dataclass(frozen=True)
class NBest:
    """The likeliest taggings of a sentence, likeliest first."""

    tokens: tuple[str, ...]
    taggings: list[Tagging]

    def to_json(self) -> dict[str, Any]:
        return {"tokens": list(self.tokens), "best": [asdict(tagging) for tagging in self.taggings]}

    def __str__(self) -> str:
        return "\n".join(
            f"{_share(tagging)}  "
            + " ".join(f"{token}/{tag}" for token, tag in zip(self.tokens, tagging.tags, strict=True))
            for tagging in self.taggings
        )


def _share(tagging: Tagging) -> str:
    if tagging.probability >= FAINT:
        return f"{tagging.probability:7.2%}"
    return f"10^{tagging.log_probability / math.log(10):.1f}"


@dataclass(frozen=True)
class Marginals:
    """The probability of each tag at each token of a sentence, the likeliest first."""

    tokens: tuple[str, ...]
    probabilities: list[dict[str, float]]  # each sums to 1

    def to_json(self) -> dict[str, Any]:
        return {"tokens": list(self.tokens), "probabilities": self.probabilities}

    def __str__(self) -> str:
        return "\n".join(
            f"{token}\t"
            + "  ".join(f"{label} {p:.1%}" for label, p in list(labels.items())[:SHOWN] if p >= FAINT)
            for token, labels in zip(self.tokens, self.probabilities, strict=True)
        )


def _ranked(names: Sequence[str], tags: Array, probabilities: Floats) -> dict[str, float]:
    """Probabilities by name, the largest first, from those of labels, `tags` `(labels,)`."""
    summed = np.bincount(tags, probabilities, minlength=len(names))
    return {names[k]: float(summed[k]) for k in np.argsort(-summed, kind="stable")}


class TaggerModel(Model[Tagger]):
    """A tagger: p(tags | tokens of a sentence). It reads plain text too, which it cuts into tokens itself."""

    protocol = Tagger

    @property
    def columns(self) -> tuple[str, ...]:
        """What it reads of each token, the word first, and the tag."""
        return data_of(self.folder).columns

    @property
    def unit(self) -> str:
        """What the tokens it was trained on are: characters or words."""
        return data_of(self.folder).unit

    def tag(self, text: Text) -> list[tuple[str, str]]:
        """The tokens of one sentence with their tags; a list is taken for its tokens."""
        return self.tag_all([text])[0]

    def tag_all(self, texts: Sequence[Text]) -> list[list[tuple[str, str]]]:
        """`tag` of many sentences at once, which is faster."""
        sentences = self.sentences(texts)
        return [
            list(zip(sentence.words, tags, strict=True))
            for sentence, tags in zip(sentences, self.folder.model.tag(sentences), strict=True)
        ]

    def entities(self, text: str) -> list[Entity]:
        """The spans in a sentence that its tags spell, with their place in it.

        Raises:
            Mismatch: the tags of this model spell no spans.
        """
        if self.folder.model.scheme is None:
            raise Mismatch(f"the tags of {self.path} spell no spans; use tag")
        tagged = self.tag(check_text("text", text))
        edges = []
        end = 0
        for token, _ in tagged:
            begin = text.index(token, end)
            end = begin + len(token)
            edges.append((begin, end))
        named = spans([tag for _, tag in tagged])
        return [
            Entity(text[edges[first][0] : edges[last - 1][1]], type, edges[first][0], edges[last - 1][1])
            for first, last, type in named
        ]

    def n_best(self, sentences: Sequence[Text] | Tagged, *, n: int = 5) -> list[NBest]:
        """The n likeliest taggings of each sentence, with their probabilities."""
        check_count("n", n, least=1)
        return [
            NBest(
                sentence.words,
                [
                    Tagging(math.exp(log_p), tags, log_p)
                    for log_p, tags in self.folder.model.best(sentence, n)
                ],
            )
            for sentence in self._read(sentences)
        ]

    def marginals(self, sentences: Sequence[Text] | Tagged) -> list[Marginals]:
        """The probability of each tag of the data at each token of each sentence.

        Spans may be spelled finer inside a model than in its data: what is one tag there is summed. Where
        the data spells IOB1, it is B that begins a span here.
        """
        model, read = self.folder.model, self._read(sentences)
        names = sorted(set(model.outer))
        tags = np.array([names.index(tag) for tag in model.outer])
        return [
            Marginals(sentence.words, [_ranked(names, tags, row) for row in probabilities])
            for sentence, probabilities in zip(read, model.marginals(read), strict=True)
        ]

    def weights(self, *, k: int = 40) -> list[Weight]:
        """The k features of the largest weight, by absolute value: what speaks for a tag, or against it."""
        return self.folder.model.strongest(check_count("k", k, least=1))

    def read(self, path: PathLike, format: str = "auto") -> Tagged:
        """The sentences of a file of the columns this model reads; its tag column may be missing."""
        check_choice("format", format, ("auto", "conll", "conllu", "jsonl"))
        file = check_path("path", path)
        tagged = read_tagged(file, layout(self.folder, file, format), tags=False)
        if self.unit == "characters" and unit_of(tagged.sentences) != self.unit:
            log.warning(
                "%s has tokens of several characters, and %s was trained on single ones; "
                "if it is plain text, --format=text cuts it",
                path,
                self.path,
            )
        return tagged

    def plain(self, texts: Sequence[Text], *, before: int = 0) -> Tagged:
        """Plain texts as if they had been read from a file, of which `before` came before these."""
        columns = tuple(column for column in self.columns if column != SKIP)
        return Tagged("text", "conll", columns, self.sentences(texts, before=before))

    def sentences(self, texts: Sequence[Text], *, before: int = 0) -> list[Sentence]:
        """Sentences of texts: one that is a list holds the tokens, another is cut into the kind of token the
        model was trained on.

        Raises:
            Mismatch: the model reads more than words, which plain text does not have.
        """
        columns = self.folder.model.columns
        if len(columns) > 1:
            raise Mismatch(
                f"{self.path} reads the columns {', '.join(columns)} of each token; plain text has words "
                "only. Give it a file with these columns"
            )
        return [
            Sentence((tuple(_tokens(index, text, self.unit)),), location=f"text {index + 1}")
            for index, text in enumerate(check_several("texts", texts), check_count("before", before))
        ]

    def tags(self, tagged: Tagged) -> list[dict[str, list[str]]]:
        """The sentences of a file with the model's tags, for machines."""
        return [
            {"tokens": list(sentence.words), "tags": list(tags)}
            for sentence, tags in zip(tagged.sentences, self.folder.model.tag(tagged.sentences), strict=True)
        ]

    def write(self, tagged: Tagged, format: Format | None = None) -> Iterator[str]:
        """Sentences with the model's tags, as pieces of text in the format they were read in, or another."""
        tags = self.folder.model.tag(tagged.sentences)
        return write_tagged(tagged.sentences, tags, format or tagged.format, tagged.columns)

    def _read(self, sentences: Sequence[Text] | Tagged) -> list[Sentence]:
        return list(sentences.sentences) if isinstance(sentences, Tagged) else self.sentences(sentences)


def _tokens(index: int, text: Text, unit: str) -> list[str]:
    """The tokens of one of some texts."""
    if isinstance(text, str):
        return split_text(text, unit)
    tokens = check_texts(f"texts[{index}]", text)
    if "" in tokens:
        raise InvalidSetting(f"texts[{index}][{tokens.index('')}] is an empty token; leave it out")
    return tokens
