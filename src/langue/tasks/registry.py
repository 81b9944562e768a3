"""Every task by name. A task's module is imported only when it is asked for.

A package of another maker adds one by an entry point of the group `langue.tasks`, whose name is that of the
task and whose value is a `Task` (and its family, if it has one of its own, by one of `langue.families`); a
program adds one by `register`.
"""

import importlib
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from langue.base.config import nearest
from langue.base.errors import InvalidSetting, LangueError
from langue.models import registry as families

if TYPE_CHECKING:
    from langue.tasks.task import Task

# A module here defines `TASK`.
MODULES = {
    "classify": "langue.tasks.classify",
    "pair": "langue.tasks.pair",
    "tag": "langue.tasks.tag",
}
ENTRY_POINTS = "langue.tasks"  # of entry points

_registered: "dict[str, Task[Any, Any, Any]]" = {}


def register(task: "Task[Any, Any, Any]") -> None:
    """Make a task known in this process, and with it the family of its models.

    Raises:
        InvalidSetting: another one has that name.
    """
    if task.name in MODULES or _registered.get(task.name, task) is not task:
        raise InvalidSetting(f"there is a task {task.name} already; give yours another name")
    name = task.family.name
    if not (families.is_family(name) and families.family(name) is task.family):
        families.register(task.family)
    _registered[task.name] = task


def names() -> list[str]:
    """The names of all tasks: langue's own, those of other packages, and those registered."""
    return [*MODULES, *(name for name in (*_registered, *_entry_points()) if name not in MODULES)]


def task(name: str) -> "Task[Any, Any, Any]":
    """The task of that name.

    Raises:
        InvalidSetting: there is none (the nearest is named).
        LangueError: its package is broken.
    """
    if name in _registered:
        return _registered[name]
    if name in MODULES:
        own: Task[Any, Any, Any] = importlib.import_module(MODULES[name]).TASK
        return own
    if name in _entry_points():
        return _load(_entry_points()[name])
    raise InvalidSetting(f"unknown task {name}{nearest(name, names())}")


@cache
def _entry_points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


def _load(point: EntryPoint) -> "Task[Any, Any, Any]":
    from langue.tasks.task import Task

    try:
        loaded = point.load()
    except Exception as error:  # whatever a package of another maker does when it is imported
        raise LangueError(f"the task {point.name} of {point.value} cannot be loaded: {error}") from error
    if not isinstance(loaded, Task):
        raise LangueError(f"{point.value}, which is to be the task {point.name}, is no Task of langue")
    register(loaded)
    return loaded
