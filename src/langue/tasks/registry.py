"""Every task by name. A task's module is imported only when it is asked for.

A package of another maker adds one by an entry point of the group `langue.tasks`, whose name is that of the
task and whose value is a `Task` (and its family, if it has one of its own, by one of `langue.families`); a
program adds one by `register`.
"""

import importlib
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

from langue.base.arguments import check_text
from langue.base.config import nearest
from langue.base.entry_points import load_point, points_of
from langue.base.errors import InvalidSetting
from langue.base.extras import needs_torch
from langue.models import registry as families

if TYPE_CHECKING:
    from langue.tasks.task import Task

# A module here defines `TASK`.
MODULES = {
    "classify": "langue.tasks.classify",
    "pair": "langue.tasks.pair",
    "multilabel": "langue.tasks.multilabel",
    "tag": "langue.tasks.tag",
    "span": "langue.tasks.span",
    "simcse": "langue.tasks.simcse",
}
ENTRY_POINTS = "langue.tasks"  # of entry points
# What is no head on an encoder, and how it is learned instead.
ELSEWHERE = {
    "summarize": "what chooses sentences is trained by langue train ranker PAIRS -o MODEL, and what writes, "
    "from an encoder too, on a store of pairs: langue prepare PAIRS -o STORE --documents summaries",
}

_registered: "dict[str, Task[Any, Any, Any]]" = {}


def register(task: "Task[Any, Any, Any]") -> None:
    """Make a task known in this process, and with it the family of its models.

    Raises:
        InvalidSetting: another one has that name.
    """
    if task.name in MODULES or _registered.get(task.name, task) is not task:
        raise InvalidSetting(f"there is a task {task.name} already; give yours another name")
    own = task.family
    if own is not None and not (families.is_family(own.name) and families.family(own.name) is own):
        families.register(own)
    _registered[task.name] = task


def names() -> list[str]:
    """The names of all tasks: langue's own, those of other packages, and those registered."""
    return [*MODULES, *(name for name in (*_registered, *points_of(ENTRY_POINTS)) if name not in MODULES)]


def task(name: str) -> "Task[Any, Any, Any]":
    """The task of that name.

    Raises:
        InvalidSetting: there is none (the nearest is named).
        MissingExtra: torch is not installed.
        LangueError: its package is broken.
    """
    if check_text("task", name) in _registered:
        return _registered[name]
    if name in MODULES:
        with needs_torch(f"the task {name}"):
            own: Task[Any, Any, Any] = importlib.import_module(MODULES[name]).TASK
        return own
    if name in points_of(ENTRY_POINTS):
        return _load(points_of(ENTRY_POINTS)[name])
    if name in ELSEWHERE:
        raise InvalidSetting(f"{name} is no task of an encoder that is fine-tuned: {ELSEWHERE[name]}")
    raise InvalidSetting(f"unknown task {name}{nearest(name, names())}")


def _load(point: EntryPoint) -> "Task[Any, Any, Any]":
    from langue.tasks.task import Task

    loaded: Task[Any, Any, Any] = load_point(point, Task)
    register(loaded)
    return loaded
