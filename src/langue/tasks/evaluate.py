"""Measuring what was fine-tuned on a task of another package, by that task's reader and metric.

How sure a figure is, is told by groups: examples in twenty of them, drawn at random, and the spread of the
metric over these (batch means). So it is told of any metric, whatever it makes of single examples.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from langue.base.config import decode
from langue.base.errors import Unsupported
from langue.base.seeds import generator
from langue.evaluation.bootstrap import Interval
from langue.models.folder import ModelFolder
from langue.tasks import registry
from langue.tasks.learn import label_of
from langue.tasks.task import Task

GROUPS = 20  # of two examples and more; of fewer examples no interval is told
STUDENT = 2.093  # the t of 19 degrees of freedom within which 95 % lies


@dataclass(frozen=True)
class TaskEvaluation:
    """A model measured on a labelled file. It has no bits per byte: it is no model of text."""

    name: str
    scores: Any  # what the metric of its task gives
    intervals: dict[str, Interval]  # of its shares, 95 %
    seconds: float
    passed: bool = True  # it has no self-tests of scores

    def to_json(self) -> dict[str, Any]:
        intervals = {name: list(bounds) for name, bounds in self.intervals.items()}
        facts = {"model": self.name, **self.scores._asdict(), "intervals": intervals}
        return facts | {"seconds": round(self.seconds, 3)}

    def __str__(self) -> str:
        return "\n".join(f"{label_of(name):16} {self._cell(name)}" for name in self.scores._fields)

    def _cell(self, name: str) -> str:
        value = getattr(self.scores, name)
        if not isinstance(value, float):
            return str(value)
        if name not in self.intervals:
            return f"{value:.2%}"
        low, high = self.intervals[name]
        return f"{value:.2%} [{low:.2%}, {high:.2%}]"


def task_of(folder: ModelFolder[Any]) -> Task[Any, Any, Any]:
    """The task that a model was fine-tuned on.

    Raises:
        InvalidSetting: it is not known here.
    """
    return registry.task(str(folder.description.recipe["task"]))


def evaluate_task(folder: ModelFolder[Any], task: Task[Any, Any, Any], path: Path) -> TaskEvaluation:
    """The metric of a task on a labelled file.

    Raises:
        Unsupported: the task does not say how a finished model reads examples.
    """
    if task.encode is None:
        raise Unsupported(f"the task {task.name} measures models only while they are fine-tuned")
    layout = decode(task.data, {}, "data") if task.data is not None else None
    examples = task.encode(folder, task.read(path, layout).examples)
    started = time.perf_counter()
    scores = task.metric(folder.model, examples)
    intervals = _intervals(task, folder.model, examples, scores)
    return TaskEvaluation(folder.path.name, scores, intervals, time.perf_counter() - started)


def _intervals(
    task: Task[Any, Any, Any], model: Any, examples: Sequence[Any], scores: Any
) -> dict[str, Interval]:
    if len(examples) < 2 * GROUPS:
        return {}
    groups = np.array_split(generator(0, "groups").permutation(len(examples)), GROUPS)
    parts = [task.metric(model, [examples[index] for index in group]) for group in groups]
    intervals = {}
    for name, value in scores._asdict().items():
        if isinstance(value, float):
            half = (
                STUDENT * float(np.std([getattr(part, name) for part in parts], ddof=1)) / math.sqrt(GROUPS)
            )
            intervals[name] = (value - half, value + half)
    return intervals
