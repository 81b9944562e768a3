"""Models that say which tags the tokens of a sentence have."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from langue.api.models.base import Model, PathLike
from langue.base.arguments import check_choice, check_count, check_text, check_texts
from langue.base.errors import Mismatch
from langue.base.progress import log
from langue.corpus.tagged import Format, Sentence, Tagged, read_tagged, unit_of, write_tagged
from langue.protocols import Tagger, Weight
from langue.tasks.tagging import data_of, layout, split_text

SHOWN = 4  # labels of a token in a table
FAINT = 1e-4  # marginal probabilities below are not worth a line


@dataclass(frozen=True)
class Tagging:
    """One way to tag a sentence, and its probability given the sentence."""

    probability: float
    tags: tuple[str, ...]


@dataclass(frozen=True)
class NBest:
    """The likeliest taggings of a sentence, likeliest first."""

    tokens: tuple[str, ...]
    taggings: list[Tagging]

    def to_json(self) -> dict[str, Any]:
        return {"tokens": list(self.tokens), "best": [asdict(tagging) for tagging in self.taggings]}

    def __str__(self) -> str:
        return "\n".join(
            f"{tagging.probability:7.2%}  "
            + " ".join(f"{token}/{tag}" for token, tag in zip(self.tokens, tagging.tags, strict=True))
            for tagging in self.taggings
        )


@dataclass(frozen=True)
class Marginals:
    """The probability of each label at each token of a sentence, the likeliest first."""

    tokens: tuple[str, ...]
    probabilities: list[dict[str, float]]  # those below `FAINT` are left out

    def to_json(self) -> dict[str, Any]:
        return {"tokens": list(self.tokens), "probabilities": self.probabilities}

    def __str__(self) -> str:
        return "\n".join(
            f"{token}\t" + "  ".join(f"{label} {p:.1%}" for label, p in list(labels.items())[:SHOWN])
            for token, labels in zip(self.tokens, self.probabilities, strict=True)
        )


class TaggerModel(Model[Tagger]):
    """A tagger: p(tags | tokens of a sentence). It reads plain text too, which it cuts into tokens itself."""

    protocol = Tagger

    @property
    def columns(self) -> tuple[str, ...]:
        """What it reads of each token, the word first, and the tag."""
        return tuple(data_of(self.folder)["columns"])

    @property
    def unit(self) -> str:
        """What the tokens it was trained on are: characters or words."""
        return str(data_of(self.folder)["unit"])

    def tag(self, text: str) -> list[tuple[str, str]]:
        """The tokens of one sentence with their tags."""
        return self.tag_all([check_text("text", text)])[0]

    def tag_all(self, texts: Sequence[str]) -> list[list[tuple[str, str]]]:
        """`tag` of many sentences at once, which is faster."""
        sentences = self.sentences(texts)
        return [
            list(zip(sentence.words, tags, strict=True))
            for sentence, tags in zip(sentences, self.folder.model.tag(sentences), strict=True)
        ]

    def n_best(self, sentences: Sequence[str] | Tagged, *, n: int = 5) -> list[NBest]:
        """The n likeliest taggings of each sentence, with their probabilities."""
        check_count("n", n, least=1)
        return [
            NBest(
                sentence.words,
                [Tagging(math.exp(log_p), tags) for log_p, tags in self.folder.model.best(sentence, n)],
            )
            for sentence in self._read(sentences)
        ]

    def marginals(self, sentences: Sequence[str] | Tagged) -> list[Marginals]:
        """The probability of each label at each token of each sentence."""
        model, read = self.folder.model, self._read(sentences)
        return [
            Marginals(
                sentence.words,
                [
                    {model.labels[k]: float(row[k]) for k in (-row).argsort(kind="stable") if row[k] >= FAINT}
                    for row in probabilities
                ],
            )
            for sentence, probabilities in zip(read, model.marginals(read), strict=True)
        ]

    def weights(self, *, k: int = 40) -> list[Weight]:
        """The k features of the largest weight, by absolute value: what speaks for a tag, or against it."""
        return self.folder.model.strongest(check_count("k", k, least=1))

    def read(self, path: PathLike, format: str = "auto") -> Tagged:
        """The sentences of a file of the columns this model reads; its tag column may be missing."""
        check_choice("format", format, ("auto", "conll", "conllu", "jsonl"))
        tagged = read_tagged(Path(path), layout(self.folder, format), tags=False)
        if self.unit == "characters" and unit_of(tagged.sentences) != self.unit:
            log.warning(
                "%s has tokens of several characters, and %s was trained on single ones; "
                "if it is plain text, --format=text cuts it",
                path,
                self.path,
            )
        return tagged

    def plain(self, texts: Sequence[str]) -> Tagged:
        """Plain texts as if they had been read from a file."""
        return Tagged("text", "conll", self.columns, self.sentences(texts))

    def sentences(self, texts: Sequence[str]) -> list[Sentence]:
        """Plain texts, one sentence each, cut into the kind of token the model was trained on.

        Raises:
            Mismatch: the model reads more than words, which plain text does not have.
        """
        columns = self.folder.model.columns
        if len(columns) > 1:
            raise Mismatch(
                f"{self.path} reads the columns {', '.join(columns)} of each token; plain text has words "
                "only. Give it a file with these columns"
            )
        return [Sentence((tuple(split_text(text, self.unit)),)) for text in check_texts("texts", texts)]

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

    def _read(self, sentences: Sequence[str] | Tagged) -> list[Sentence]:
        return list(sentences.sentences) if isinstance(sentences, Tagged) else self.sentences(sentences)
