"""Tagging, from labelled file to labelled file: training a tagger, measuring it, using it."""

import math
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langue.base.config import decode
from langue.base.errors import Interrupted, LangueError
from langue.base.files import check_free, sha256
from langue.base.progress import log
from langue.corpus.tagged import Format, Sentence, Tagged, TaggedConfig, read_tagged, unit_of, write_tagged
from langue.models.folder import DESCRIPTION, LoadedTagger, save_tagger
from langue.models.registry import TaggerFamily
from langue.protocols import Tagger
from langue.tasks.metrics import TagScores, measure, score_tags
from langue.tokens.words import HAN, segment
from langue.training.recipe import TaggerRecipe
from langue.training.run import run_folder, save_or_keep

FAINT = 1e-4  # marginal probabilities below are not worth a line
_TOKEN = re.compile(rf"[{HAN}]+|[^\W_]+(?:[-'’.][^\W_]+)*|\S")
_HAN = re.compile(f"[{HAN}]")


def train_tagger(
    recipe: TaggerRecipe, data: Path, output: Path, *, valid: Path | None = None, overwrite: bool = False
) -> None:
    """Learn from a labelled file and write a model folder.

    Args:
        valid: a labelled file the finished model is measured on. A neural tagger chooses its epoch by it,
            and by a tenth of `data` where there is none; by others nothing is chosen.

    Raises:
        LangueError: a file is not of its format, the output folder is in the way.
    """
    check_free(output, marker=DESCRIPTION, overwrite=overwrite)
    if data.is_dir():
        raise LangueError(
            f"{data} is a folder; {recipe.family.name} learns from a labelled file: "
            "CoNLL columns, CoNLL-U or JSON lines"
        )
    tagged = read_tagged(data, recipe.data)
    held_out = read_tagged(valid, layout_of(tagged)) if valid else None
    if held_out:
        right = [sentence.tags for sentence in held_out.sentences]
        score_tags(right, right)  # a package that is missing is missed now, not after training
    started = time.perf_counter()
    model, measured = _learned(recipe, tagged, held_out)
    measured["seconds"] = round(time.perf_counter() - started, 3)
    known = sorted({tag for sentence in tagged.sentences for tag in sentence.tags})
    if held_out:
        scores = measure(model, held_out.sentences, known)
        measured["valid"] = {key: value for key, value in scores.to_json().items() if key != "confusion"}
        log.info(
            "validation: F1 %.2f%% (%s), accuracy %.2f%%", 100 * scores.f1, scores.unit, 100 * scores.accuracy
        )
    facts = describe(tagged, data, known)

    def write(folder: Path, overwrite: bool) -> None:
        save_tagger(
            folder,
            family=recipe.family,
            config=recipe.model,
            model=model,
            data=facts,
            recipe=recipe.to_table(),
            measured=measured,
            card=_card(recipe.family, model, facts, measured),
            overwrite=overwrite,
        )

    save_or_keep(output, run_folder(output), write, overwrite=overwrite)
    if getattr(model, "interrupted", False):
        raise Interrupted(f"interrupted; the weights found so far are in {output}")


def _learned(recipe: TaggerRecipe, tagged: Tagged, watched: Tagged | None) -> tuple[Tagger, dict[str, Any]]:
    """The tagger, and what is to be told of how it came about."""
    if recipe.family.fit is not None:
        return recipe.family.fit(recipe.model, tagged.features, tagged.sentences), {}
    from langue.tasks.neural_tagging import from_scratch  # torch, which other taggers do without

    return from_scratch(recipe, tagged, watched.sentences if watched else None)


def layout_of(tagged: Tagged) -> TaggedConfig:
    """How to read another file of the same columns, whatever its format."""
    return TaggedConfig(columns=tagged.columns)


def describe(tagged: Tagged, path: Path, known: Sequence[str]) -> dict[str, Any]:
    """What a model folder keeps of the file it was trained on."""
    return {
        "file": path.name,
        "sha256": sha256(path),
        "format": tagged.format,
        "columns": list(tagged.columns),
        "sentences": len(tagged.sentences),
        "tokens": sum(len(sentence.words) for sentence in tagged.sentences),
        "unit": unit_of(tagged.sentences),
        "tags": list(known),
    }


@dataclass(frozen=True)
class TaggerEvaluation:
    """A tagger measured on a file. It has no bits per byte: it is no model of text."""

    name: str
    scores: TagScores
    seconds: float
    passed: bool = True  # a tagger has no self-tests of scores

    def to_json(self) -> dict[str, Any]:
        return {"model": self.name, **self.scores.to_json(), "seconds": round(self.seconds, 3)}

    def __str__(self) -> str:
        return f"{self.scores}\nno bits per byte: a tagger says which tags a text has, not how likely it is"


def evaluate_tagger(loaded: LoadedTagger, path: Path) -> TaggerEvaluation:
    """Measure a tagger on a labelled file of the columns it was trained on."""
    tagged = read_tagged(path, layout(loaded))
    started = time.perf_counter()
    scores = measure(loaded.model, tagged.sentences, loaded.description["data"]["tags"])
    return TaggerEvaluation(loaded.path.name, scores, time.perf_counter() - started)


def layout(loaded: LoadedTagger, format: str = "auto") -> TaggedConfig:
    """How files for this model are read."""
    columns = tuple(loaded.description["data"]["columns"])
    return decode(TaggedConfig, {"format": format, "columns": columns}, "data")


class TaggerModel:
    """A trained tagger with the texts and files it reads: what `langue.load` returns for one."""

    def __init__(self, loaded: LoadedTagger) -> None:
        self.loaded = loaded

    @property
    def path(self) -> Path:
        return self.loaded.path

    @property
    def unit(self) -> str:
        """What the tokens it was trained on are: characters or words."""
        return str(self.loaded.description["data"]["unit"])

    def tag(self, text: str) -> list[tuple[str, str]]:
        """The tokens of one sentence with their tags."""
        return self.tag_all([text])[0]

    def tag_all(self, texts: Sequence[str]) -> list[list[tuple[str, str]]]:
        """`tag` of many sentences at once, which is faster."""
        sentences = self.sentences(texts)
        tags = self.loaded.model.tag(sentences)
        return [
            list(zip(found.words, chosen, strict=True)) for found, chosen in zip(sentences, tags, strict=True)
        ]

    def read(self, path: Path, format: str = "auto") -> Tagged:
        """The sentences of a file of the columns this model reads; its tag column may be missing."""
        tagged = read_tagged(path, layout(self.loaded, format), tags=False)
        if self.unit == "characters" and unit_of(tagged.sentences) != self.unit:
            log.warning(
                "%s has tokens of several characters, and %s was trained on single ones; "
                "if it is plain text, --format text cuts it",
                path,
                self.path,
            )
        return tagged

    def plain(self, texts: Sequence[str]) -> Tagged:
        """Plain texts as if they had been read from a file."""
        columns = tuple(self.loaded.description["data"]["columns"])
        return Tagged("text", "conll", columns, self.sentences(texts))

    def sentences(self, texts: Sequence[str]) -> list[Sentence]:
        """Plain texts, one sentence each, cut into the kind of token the model was trained on.

        Raises:
            LangueError: the model reads more than words, which plain text does not have.
        """
        columns = self.loaded.model.columns
        if len(columns) > 1:
            raise LangueError(
                f"{self.path} reads the columns {', '.join(columns)} of each token; plain text has words "
                "only. Give it a file with these columns"
            )
        return [Sentence((tuple(split_text(text, self.unit)),)) for text in texts]

    def info(self) -> dict[str, Any]:
        """Everything known about the model: `model.json` as a table."""
        return self.loaded.description

    def summary(self) -> str:
        """Family, size and training time in a line."""
        size = ", ".join(f"{count:,} {what}" for what, count in self.loaded.model.size().items())
        measured = self.loaded.description["measured"]
        valid = f", F1 {measured['valid']['f1']:.2%} on held-out sentences" if "valid" in measured else ""
        return f"{self.loaded.family.name}, {size}, trained in {measured['seconds']:,} s{valid}"

    def __repr__(self) -> str:
        return f"<langue tagger {self.path}: {self.summary()}>"


def written(held: TaggerModel, tagged: Tagged, format: Format | None = None) -> Iterator[str]:
    """The sentences with the model's tags, as pieces of text in the format they were read in, or another."""
    tags = held.loaded.model.tag(tagged.sentences)
    return write_tagged(tagged.sentences, tags, format or tagged.format, tagged.columns)


def tags(held: TaggerModel, tagged: Tagged) -> list[dict[str, Any]]:
    """The sentences with the model's tags, for machines."""
    chosen = held.loaded.model.tag(tagged.sentences)
    return [
        {"tokens": list(sentence.words), "tags": list(found)}
        for sentence, found in zip(tagged.sentences, chosen, strict=True)
    ]


def likeliest(held: TaggerModel, tagged: Tagged, n: int) -> list[dict[str, Any]]:
    """The `n` likeliest taggings of each sentence."""
    return [
        {
            "tokens": list(sentence.words),
            "best": [
                {"probability": math.exp(log_probability), "tags": list(tags)}
                for log_probability, tags in held.loaded.model.best(sentence, n)
            ],
        }
        for sentence in tagged.sentences
    ]


def likeliest_table(taggings: Sequence[dict[str, Any]]) -> str:
    """A line for each tagging: its probability, and each token with its tag."""
    return "\n\n".join(
        "\n".join(
            f"{found['probability']:7.2%}  "
            + " ".join(f"{token}/{tag}" for token, tag in zip(sentence["tokens"], found["tags"], strict=True))
            for found in sentence["best"]
        )
        for sentence in taggings
    )


def marginals(held: TaggerModel, tagged: Tagged) -> list[dict[str, Any]]:
    """The probability of each label at each token, the likeliest first; those below `FAINT` are left out."""
    model = held.loaded.model
    return [
        {
            "tokens": list(sentence.words),
            "probabilities": [
                {model.labels[k]: float(row[k]) for k in (-row).argsort(kind="stable") if row[k] >= FAINT}
                for row in probabilities
            ],
        }
        for sentence, probabilities in zip(tagged.sentences, model.marginals(tagged.sentences), strict=True)
    ]


def marginals_table(rows: Sequence[dict[str, Any]]) -> str:
    """A line for each token: its likeliest labels with their probabilities."""
    return "\n\n".join(
        "\n".join(
            f"{token}\t" + "  ".join(f"{label} {share:.1%}" for label, share in list(labels.items())[:4])
            for token, labels in zip(sentence["tokens"], sentence["probabilities"], strict=True)
        )
        for sentence in rows
    )


def split_text(text: str, unit: str) -> list[str]:
    """Tokens of plain text: characters, or words with punctuation cut off and Chinese segmented."""
    found: list[str] = []
    for token in _TOKEN.findall(text):
        if _HAN.match(token):
            found += list(token) if unit == "characters" else segment(token)
        else:
            found += list(token) if unit == "characters" else [token]
    return found


def _card(family: TaggerFamily, model: Tagger, facts: dict[str, Any], measured: dict[str, Any]) -> str:
    """The README of a model folder."""
    size = ", ".join(f"{count:,} {what}" for what, count in model.size().items())
    lines = [
        f"# {family.name}: {family.summary}",
        "",
        f"{size}. Trained in {measured['seconds']:,.1f} s on {facts['sentences']:,} sentences "
        f"({facts['tokens']:,} tokens) with {len(facts['tags'])} tags.",
    ]
    if "valid" in measured:
        f1, unit, accuracy = (measured["valid"][key] for key in ("f1", "unit", "accuracy"))
        lines.append(f"On held-out sentences: F1 {f1:.2%} ({unit}), accuracy {accuracy:.2%}.")
    lines += [
        "",
        "Made with langue. Use it: `langue tag MODEL TEXT`; measure it: `langue evaluate MODEL FILE`.",
    ]
    lines.append("It is discriminative: it has no perplexity and no bits per byte.")
    return "\n".join(lines) + "\n"
