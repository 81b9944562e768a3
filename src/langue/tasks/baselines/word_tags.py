"""F1 of tags with its interval over sentences, and a baseline: each word has the tag that it mostly has."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from langue.base.arrays import Float64Array
from langue.corpus.schemes import OUTSIDE, UNKNOWN, is_stray, is_typed, scheme_of, spans
from langue.corpus.tagged import Sentence
from langue.evaluation.bootstrap import Ratio, interval, resampled_ratios

Tags = Sequence[Sequence[str]]
NOTHING = 1e-9  # added to what is divided by: a draw of sentences without spans has an F1 of 0


class WordTags:
    """Each word has its commonest tag in training sentences; one that is not there the commonest of all."""

    def __init__(self, sentences: Sequence[Sentence]) -> None:
        counts: dict[str, Counter[str]] = {}
        for sentence in sentences:
            for word, tag in zip(sentence.words, sentence.tags, strict=True):
                if tag != UNKNOWN:
                    counts.setdefault(word, Counter())[tag] += 1
        self.tags = {word: _commonest(tags) for word, tags in counts.items()}
        self.otherwise = _commonest(sum(counts.values(), Counter())) if counts else OUTSIDE

    def tag(self, sentences: Sequence[Sentence]) -> list[tuple[str, ...]]:
        return [tuple(self.tags.get(word, self.otherwise) for word in one.words) for one in sentences]


def _commonest(tags: Counter[str]) -> str:
    return min(tags, key=lambda tag: (-tags[tag], tag))


@dataclass(frozen=True)
class F1:
    """Twice what is right, and what is predicted or right, of each sentence."""

    above: Float64Array
    below: Float64Array

    @classmethod
    def of(cls, right: Tags, predicted: Tags, unit: Literal["entity", "tag"]) -> "F1":
        """Of entities, or of single tags, where it is the accuracy."""
        if unit == "tag":
            same = [sum(map(str.__eq__, *pair)) for pair in zip(right, predicted, strict=True)]
            return cls(2.0 * np.array(same), 2.0 * np.array([len(tags) for tags in right]))
        typed = is_typed(right if scheme_of(right) else predicted)
        sets = [
            [{*spans([OUTSIDE if is_stray(tag, typed=typed) else tag for tag in tags])} for tags in side]
            for side in (right, predicted)
        ]
        pairs = list(zip(*sets, strict=True))
        return cls(
            2.0 * np.array([len(gold & told) for gold, told in pairs]),
            np.array([len(gold) + len(told) for gold, told in pairs], np.float64),
        )

    def drawn(self) -> Float64Array:
        """Over sentences drawn with replacement; the same draws for all that has as many."""
        return resampled_ratios(self.above[None], self.below + NOTHING)[0]

    @property
    def value(self) -> float:
        return float(self.above.sum() / (self.below.sum() + NOTHING))

    def ratio(self) -> Ratio:
        return Ratio(self.value, interval(self.drawn()) if len(self.above) > 1 else None)

    def gain(self, other: "F1") -> Ratio:
        """How far it is above another of the same sentences."""
        spread = interval(self.drawn() - other.drawn()) if len(self.above) > 1 else None
        return Ratio(self.value - other.value, spread)


@dataclass(frozen=True)
class TagComparison:
    """A tagger beside the baseline, on the same sentences."""

    training: str  # the file that the baseline learned from
    baseline: Ratio
    gain: Ratio

    def to_json(self) -> dict[str, Any]:
        figures = {"word tags": self.baseline.to_json()}
        return {"training": self.training, "baselines": figures, "gain": self.gain.to_json()}

    def __str__(self) -> str:
        return (
            f"baseline   F1 {self.baseline}  each word with its commonest tag in {self.training}\n"
            f"above it   F1 {self.gain}"
        )
