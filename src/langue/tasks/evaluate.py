"""Measuring what was fine-tuned on a task of another package, by that task's reader and metric."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langue.base.config import decode
from langue.base.errors import Unsupported
from langue.models.folder import ModelFolder
from langue.tasks import registry
from langue.tasks.learn import label_of
from langue.tasks.task import Task


@dataclass(frozen=True)
class TaskEvaluation:
    """A model measured on a labelled file. It has no bits per byte: it is no model of text."""

    name: str
    scores: Any  # what the metric of its task gives
    seconds: float
    passed: bool = True  # it has no self-tests of scores

    def to_json(self) -> dict[str, Any]:
        return {"model": self.name, **self.scores._asdict(), "seconds": round(self.seconds, 3)}

    def __str__(self) -> str:
        rows = self.scores._asdict().items()
        return "\n".join(
            f"{label_of(name):16} {f'{value:.2%}' if isinstance(value, float) else value}"
            for name, value in rows
        )


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
    return TaskEvaluation(folder.path.name, scores, time.perf_counter() - started)
