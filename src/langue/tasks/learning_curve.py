"""Learning curves: what an encoder is worth with few labels and with many, before it is tuned.

A linear probe on its last layer learns from so many labels, drawn several times; so do the same on random
weights, and the baselines that need no network. Pretraining was worth it where it gains more than the draws
differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from langue.base.arguments import check_count
from langue.base.errors import InvalidSetting
from langue.base.progress import bar
from langue.base.seeds import generator
from langue.models.folder import ModelFolder
from langue.protocols import Masked
from langue.tasks.baselines.baselines import measure_baselines
from langue.tasks.classification import Scores, measure
from langue.tasks.learn import spread
from langue.tasks.probing import BASELINES, ProbeData, both


class Point(NamedTuple):
    """What is reached with so many labels, of each draw of them."""

    labels: int
    baselines: dict[str, list[float]]  # accuracy
    random: list[Scores]
    pretrained: list[Scores]

    def worth(self, figure: str = "accuracy") -> bool:
        """Whether the pretrained encoder is above random weights by more than either's spread."""
        return exceeds(*([getattr(one, figure) for one in some] for some in (self.pretrained, self.random)))

    @property
    def needed(self) -> bool:
        """Whether it is so above the best of what needs no network."""
        best = max(self.baselines.values(), key=lambda values: float(np.mean(values)))
        return exceeds([one.accuracy for one in self.pretrained], best)

    def to_json(self) -> dict[str, Any]:
        return {
            "labels": self.labels,
            "baselines": self.baselines,
            "random": [one._asdict() for one in self.random],
            "pretrained": [one._asdict() for one in self.pretrained],
            "above_random": self.worth(),
            "above_baselines": self.needed,
        }

    def __str__(self) -> str:
        encoders = ([one.accuracy for one in some] for some in (self.random, self.pretrained))
        cells = [f"{spread(values):>17}" for values in (*self.baselines.values(), *encoders)]
        verdicts = [f"{'yes' if verdict else 'no':>15}" for verdict in (self.worth(), self.needed)]
        return " ".join([f"{self.labels:6,}", *cells, *verdicts])


def exceeds(values: Sequence[float], others: Sequence[float]) -> bool:
    """Whether the mean is above that of others by more than either standard deviation."""
    spreads = [np.std(some, ddof=1) if len(some) > 1 else 0.0 for some in (values, others)]
    return bool(np.mean(values) - np.mean(others) > max(spreads))


@dataclass(frozen=True)
class LearningCurve:
    """Shares of right answers by the number of labels."""

    name: str
    points: list[Point]
    examples: int  # that are measured on
    passed: bool = True  # it has no self-tests

    def to_json(self) -> dict[str, Any]:
        points = [point.to_json() for point in self.points]
        return {"model": self.name, "examples": self.examples, "points": points}

    def __str__(self) -> str:
        draws = len(self.points[0].random)
        names = [f"{name:>17}" for name in (*self.points[0].baselines, "random weights", "pretrained")]
        return "\n".join(
            [
                f"accuracy of a linear probe on {self.examples:,} examples; mean ± standard deviation of "
                f"{draws} draws of the labels",
                " ".join(["labels", *names, "   above random above baselines"]),
                *map(str, self.points),
            ]
        )


def learning_curve(
    folder: ModelFolder[Masked],
    train: Path,
    test: Path,
    labels: Sequence[int],
    *,
    draws: int,
) -> LearningCurve:
    """Probe the last layer of an encoder with so many labels of a training file, drawn several times.

    Args:
        labels: numbers of them; one above what the file has stands for all of it.

    Raises:
        InvalidSetting: a number is none, or below 1.
        LangueError: a file is not of its format, or has a label that the training file has not.
        Unsupported: it is no encoder of langue's.
    """
    given_labels: object = labels
    if not isinstance(given_labels, Sequence) or not given_labels:
        raise InvalidSetting("labels is to be a list of numbers, as [50, 500]")
    for number in labels:
        check_count("labels", number, least=1)
    check_count("draws", draws, least=1)
    given = ProbeData.read(train, test)
    trained, random = (layers[-1] for layers in both(folder, given))
    numbers = sorted({min(number, len(given.learned)) for number in labels})
    points = []
    with bar("labels", len(numbers) * draws) as shown:
        for number in numbers:
            point = Point(number, {name: [] for name in BASELINES}, [], [])
            for draw in range(draws):
                rows = generator(draw, "labels").permutation(len(given.learned))[:number]
                some = [given.learned[row] for row in rows]
                for one in measure_baselines(some, given.measured, BASELINES):
                    point.baselines[one.name].append(one.accuracy.value)
                for features, kept in ((random, point.random), (trained, point.pretrained)):
                    kept.append(measure(features.guesses(given, rows), given.answers))
                shown.advance()
            points.append(point)
    return LearningCurve(folder.path.name, points, len(given.measured))
