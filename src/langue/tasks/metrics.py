"""How well tags are predicted: accuracy, and precision, recall and F1 of entities, not of tags.

An entity counts as found only if its beginning, its end and its type are all right (the CoNLL shared
tasks; counted by seqeval). Counting tags instead gives figures some points higher: never set the two
side by side. Tags that spell no spans, such as parts of speech, are counted one by one. A type named like an
average, `micro`, is listed as `micro (type)`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from langue.base.errors import MissingExtra
from langue.base.progress import log
from langue.corpus.schemes import OUTSIDE, UNKNOWN, is_stray, is_typed, scheme_of, spans, usual
from langue.corpus.tagged import Sentence
from langue.models.taggers.labels import put_outside
from langue.protocols import Tagger

Tags = Sequence[Sequence[str]]
AVERAGES = ("micro", "macro")
UNTYPED = "span"  # the row of spans without a type, such as words of a segmented text
SHOWN = 12  # tags of the confusion table that is printed: what fits on a page


class Row(NamedTuple):
    """Of one type: shares, and how often it is there."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class TagScores:
    """Predicted tags against the right ones."""

    tokens: int
    sentences: int  # in which some tag is known
    right: int  # tokens
    right_sentences: int
    unit: Literal["entity", "tag"]  # what rows count
    rows: dict[str, Row]  # by type; "micro" and "macro" are the averages
    confusion: dict[str, dict[str, int]]  # right tag → predicted tag → tokens
    unknown_tags: tuple[str, ...]  # right tags that the model has never seen, and so cannot predict

    @property
    def accuracy(self) -> float:
        """Of tokens."""
        return self.right / self.tokens if self.tokens else 1.0

    @property
    def f1(self) -> float:
        """Micro-averaged: the one figure. Of single tags it is the accuracy."""
        return self.rows["micro"].f1

    def to_json(self) -> dict[str, Any]:
        return {
            "accuracy": self.accuracy,
            "f1": self.f1,
            "unit": self.unit,
            "tokens": self.tokens,
            "sentences": self.sentences,
            "sentences_right": self.right_sentences,
            "rows": {name: row._asdict() for name, row in self.rows.items()},
            "confusion": self.confusion,
            "unknown_tags": list(self.unknown_tags),
        }

    def __str__(self) -> str:
        width = max(map(len, self.rows))
        lines = [f"{self.unit:{width}}  precision  recall      F1  support"]
        for name, row in self.rows.items():
            lines.append(
                f"{name:{width}}  {row.precision:9.2%}  {row.recall:6.2%}  {row.f1:6.2%}  {row.support:7,}"
            )
        lines.append(f"accuracy   {self.accuracy:.2%} of {self.tokens:,} tokens")
        share = self.right_sentences / self.sentences if self.sentences else 1.0
        lines.append(f"sentences  {share:.2%} of {self.sentences:,} all right")
        if self.unknown_tags:
            lines.append(f"never seen in training: {', '.join(self.unknown_tags)}")
        return "\n".join([*lines, *self._confusions()])

    def _confusions(self) -> list[str]:
        """The commonest mistakes, right tag → predicted tag."""
        wrong = Counter(
            {
                (right, predicted): count
                for right, row in self.confusion.items()
                for predicted, count in row.items()
                if right != predicted
            }
        )
        if not wrong:
            return []
        return ["commonest mistakes:"] + [
            f"  {right} taken for {predicted}: {count:,}"
            for (right, predicted), count in sorted(wrong.items(), key=lambda item: (-item[1], item[0]))[
                :SHOWN
            ]
        ]


def score_tags(
    right: Tags, predicted: Tags, known: Sequence[str] = (), unit: Literal["entity", "tag"] | None = None
) -> TagScores:
    """Compare predicted tags with the right ones.

    Args:
        unit: what is counted; None: entities if most of the right tags spell spans. A tag that spells
            nothing is outside of all.
        known: tags of the model's training data; those beyond are named. Empty: all are known.

    Raises:
        MissingExtra: the tags spell spans, and seqeval is not installed.
    """
    judged = [pair for pair in zip(right, predicted, strict=True) if pair[0]]  # of others nothing is known
    pairs = [pair for gold, tags in judged for pair in zip(gold, tags, strict=True)]
    confusion: dict[str, dict[str, int]] = {}
    for (true, guess), count in sorted(Counter(pairs).items()):
        confusion.setdefault(true, {})[guess] = count
    unit = unit or ("entity" if scheme_of(right) else "tag")
    return TagScores(
        tokens=len(pairs),
        sentences=len(judged),
        right=sum(true == guess for true, guess in pairs),
        right_sentences=sum(tuple(gold) == tuple(tags) for gold, tags in judged),
        unit=unit,
        rows=_entities(right, predicted) if unit == "entity" else _tags(confusion),
        confusion=confusion,
        unknown_tags=tuple(sorted(set(confusion) - set(known))) if known else (),
    )


def measure(model: Tagger, sentences: Sequence[Sentence], known: Sequence[str] = ()) -> TagScores:
    """Tag sentences and compare; a token whose tag is not known is left out.

    The model says what is counted: entities if its own tags spell spans, whatever else is in the file.
    """
    right, predicted = known_tags(sentences, model.tag(sentences))
    return score_tags(right, predicted, known, unit_of_scores(model))


def known_tags(sentences: Sequence[Sentence], predicted: Tags) -> tuple[list[list[str]], list[list[str]]]:
    """The right and the predicted tags of sentences, of the tokens whose tag is known."""
    right, told = [], []
    spelling = usual(predicted)  # of a model that an earlier version trained
    for sentence, guesses in zip(sentences, predicted, strict=True):
        pairs = [pair for pair in zip(sentence.tags, guesses, strict=True) if pair[0] != UNKNOWN]
        right.append([tag for tag, _ in pairs])
        told.append([spelling.get(guess, guess) for _, guess in pairs])
    return right, told


def unit_of_scores(model: Tagger) -> Literal["entity", "tag"] | None:
    """What is counted of a model's tags; None: it has met nothing but `O`, so the file has to say."""
    if model.scheme:
        return "entity"
    return None if set(model.labels) <= {OUTSIDE} else "tag"


def tell_tags(model: Tagger, sentences: Sequence[Sentence]) -> None:
    """Say what of the tags of a file is not counted as it stands there."""
    right = [[tag for tag in sentence.tags if tag != UNKNOWN] for sentence in sentences]
    missing = sum(len(sentence.tags) for sentence in sentences) - sum(map(len, right))
    if missing:
        log.info("%s tokens have the tag %s: not known, so they are left out", f"{missing:,}", UNKNOWN)
    if unit_of_scores(model) == "tag":
        return
    scheme = model.scheme or scheme_of(right)
    if scheme:
        typed = is_typed([model.labels] if model.scheme else right)
        put_outside(sentences, scheme, typed=typed)


def _entities(right: Tags, predicted: Tags) -> dict[str, Row]:
    try:
        from seqeval.metrics import classification_report  # imports scikit-learn: 0.8 s, so only here
    except ImportError:
        raise MissingExtra("seqeval", "eval", "precision, recall and F1 of entities") from None
    typed = is_typed(right if scheme_of(right) else predicted)
    numbers: dict[str, str] = {}  # of types: seqeval is handed no name, which might be that of an average

    def plain(tags: Sequence[str]) -> list[str]:
        """In BIO, which seqeval reads as conlleval does: it knows neither M nor, for certain, IOB1."""
        spelled = [OUTSIDE] * len(tags)
        for span in spans([OUTSIDE if is_stray(tag, typed=typed) else tag for tag in tags]):
            number = numbers.setdefault(span.type, f"{len(numbers)}")
            spelled[span.begin : span.end] = [f"B-{number}"] + [f"I-{number}"] * (span.end - span.begin - 1)
        return spelled

    sides = [[plain(tags) for tags in side] for side in (right, predicted)]
    if not numbers:  # which seqeval has no averages of
        return {"micro": _row(0, 0, 0), "macro": _row(0, 0, 0)}
    report: dict[str, dict[str, Any]] = classification_report(*sides, output_dict=True, zero_division=0)

    def row(name: str) -> Row:
        told = report[name]
        return Row(
            float(told["precision"]), float(told["recall"]), float(told["f1-score"]), int(told["support"])
        )

    return {_named(type): row(numbers[type]) for type in sorted(numbers)} | {
        "micro": row("micro avg"),
        "macro": row("macro avg"),
    }


def _named(type: str) -> str:
    """The name of a type's row: another than those of the averages."""
    return f"{type} (type)" if type in AVERAGES else type or UNTYPED


def _tags(confusion: dict[str, dict[str, int]]) -> dict[str, Row]:
    guessed = Counter[str]()
    for row in confusion.values():
        guessed.update(row)
    rows = {}
    for tag in sorted({*confusion, *guessed}):
        of = confusion.get(tag, {})
        rows[_named(tag)] = _row(of.get(tag, 0), guessed[tag], sum(of.values()))
    right = sum(row.get(tag, 0) for tag, row in confusion.items())
    present = [row for row in rows.values() if row.support]
    total = sum(guessed.values())
    means = [sum(row[i] for row in present) / max(len(present), 1) for i in range(3)]
    macro = Row(means[0], means[1], means[2], support=total)
    return rows | {"micro": _row(right, total, total), "macro": macro}


def _row(right: int, guessed: int, support: int) -> Row:
    precision, recall = right / guessed if guessed else 0.0, right / support if support else 0.0
    return Row(precision, recall, 2 * right / (guessed + support) if guessed + support else 0.0, support)
