"""Zero-training baselines of classification: what a training file alone gives, in seconds.

majority      the commonest label
words         logistic regression on which words (of Chinese: characters) a text has
n-grams       the same on words and pairs of them, averaged: what fastText reads (Joulin et al. 2017), in one
              layer and without collisions
naive Bayes   two logistic regressions, on words and pairs of them and on stretches of characters, each
              feature weighted by its naive Bayes ratio (Wang and Manning 2012); their votes are added
bits          an n-gram model of the texts of each label; the label under which a text costs fewest bits
edits         of pairs: two logistic regressions, on the words that both texts have or one, and on these and
              what is edited between them, averaged; their votes are added
likeness      of pairs: these, and one on how alike both texts are; weighed by what they are worth
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from langue.base.arrays import BoolArray, Float64Array, Int64Array
from langue.base.progress import bar
from langue.corpus.labeled import Example
from langue.evaluation.bootstrap import Ratio, ratio
from langue.tasks.baselines import bayes, ngrams
from langue.tasks.baselines.likeness import edited, likeness
from langue.tasks.baselines.logistic import AVERAGED_PENALTY, PENALTY, Predict, Texts, added, learn_grams
from langue.tasks.retrieval.terms import is_han

CHARACTERS_PENALTY = 10.0  # they are ten times as many; of 1, 3 and 10 the best on SST-2's dev part
LEAST = 2  # texts that a stretch of characters stands in: those of one alone are most of them, and say little
SAMPLE = 200  # texts by which the script is told


def majority(texts: Texts, labels: Int64Array, classes: int) -> Predict:
    shares = np.bincount(labels, minlength=classes) / len(labels)
    return lambda texts: np.tile(shares, (len(texts), 1))


def words(texts: Texts, labels: Int64Array, classes: int) -> Predict:
    return learn_grams(texts, labels, classes, ngrams.unigrams, penalty=PENALTY)


def averaged_ngrams(texts: Texts, labels: Int64Array, classes: int) -> Predict:
    return learn_grams(texts, labels, classes, ngrams.bigrams, penalty=AVERAGED_PENALTY, averaged=True)


def naive_bayes(texts: Texts, labels: Int64Array, classes: int) -> Predict:
    parts = (
        learn_grams(texts, labels, classes, ngrams.bigrams, penalty=PENALTY, weighted=True),
        learn_grams(
            texts, labels, classes, ngrams.characters, penalty=CHARACTERS_PENALTY, weighted=True, least=LEAST
        ),
    )
    return added(parts)


def bits(texts: Texts, labels: Int64Array, classes: int) -> Predict:
    han = is_han("".join(texts[index][0] for index in range(min(len(texts), SAMPLE))))
    order = bayes.ORDER_HAN if han else bayes.ORDER
    return bayes.Bayes(texts, labels, classes, order=order).log_probs


BASELINES: dict[str, Callable[[Texts, Int64Array, int], Predict]] = {
    "majority": majority,
    "words": words,
    "n-grams": averaged_ngrams,
    "naive Bayes": naive_bayes,
    "bits": bits,
}
OF_PAIRS = {"edits": edited, "likeness": likeness}  # further ones


class Result(NamedTuple):
    """A baseline on a file."""

    name: str
    accuracy: Ratio
    right: BoolArray  # of each example


def measure_baselines(
    training: Sequence[Example], examples: Sequence[Example], names: Iterable[str] | None = None
) -> list[Result]:
    """Learn baselines from a training file, and measure them; a label that it has not counts as wrong.

    Args:
        names: which; None: all that read such examples.
    """
    baselines = BASELINES | OF_PAIRS if len(training[0].texts) == 2 else BASELINES
    known = sorted({example.label for example in training})
    number = {label: index for index, label in enumerate(known)}
    labels = np.array([number[example.label] for example in training], np.int64)
    answers = np.array([number.get(example.label, -1) for example in examples], np.int64)
    texts, asked = ([example.texts for example in some] for some in (training, examples))
    results = []
    chosen = list(baselines if names is None else names)
    with bar("baselines", len(chosen)) as shown:
        for name in chosen:
            shown.note(name)
            predicted = baselines[name](texts, labels, len(known))(asked).argmax(-1)
            right = predicted == answers
            results.append(Result(name, share(right), right))
            shown.advance()
    return results


def share(values: BoolArray | Float64Array) -> Ratio:
    """A mean over examples, with its interval."""
    return ratio(np.asarray(values, np.float64), np.ones(len(values)))


@dataclass(frozen=True)
class Comparison:
    """A model beside the baselines, on the same examples."""

    training: str  # the file that the baselines learned from
    results: Sequence[Result]
    gain: Ratio  # of the model's accuracy above that of the best of them

    @classmethod
    def of(cls, right: BoolArray, results: Sequence[Result], training: str) -> "Comparison":
        best = max(results, key=lambda result: result.accuracy.value)
        return cls(training, results, share(right.astype(np.float64) - best.right))

    @property
    def best(self) -> Result:
        return max(self.results, key=lambda result: result.accuracy.value)

    def to_json(self) -> dict[str, Any]:
        return {
            "training": self.training,
            "baselines": {result.name: result.accuracy.to_json() for result in self.results},
            "gain": self.gain.to_json(),
        }

    def __str__(self) -> str:
        lines = [f"baselines        learned from {self.training}"]
        lines += [f"  {result.name:14} {percent(result.accuracy)}" for result in self.results]
        gain = percent(self.gain)
        if self.gain.interval is None or self.gain.interval[0] <= 0 <= self.gain.interval[1]:
            said = "no sure difference"
        else:
            said = "worth it" if self.gain.value > 0 else "not worth it"
        return "\n".join([*lines, f"  the model is   {gain} above {self.best.name}: {said}"])


def percent(figure: Ratio) -> str:
    """A share with its interval, in per cent."""
    if figure.interval is None:
        return f"{figure.value:.2%}"
    return f"{figure.value:.2%} [{figure.interval[0]:.2%}, {figure.interval[1]:.2%}]"
