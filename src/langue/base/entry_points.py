"""Entry points: what packages of other makers add to a registry of langue."""

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

from langue.base.errors import LangueError

T = TypeVar("T")


@cache
def points_of(group: str) -> dict[str, EntryPoint]:
    """The entry points of a group by name. It reads the metadata of every installed package, once."""
    return {point.name: point for point in entry_points(group=group)}


def load_point(point: EntryPoint, kind: type[T]) -> T:
    """What an entry point names.

    Raises:
        LangueError: its package is broken, or it names something else than one of `kind`.
    """
    what = f"{kind.__name__.lower()} {point.name}"
    try:
        loaded = point.load()
    except Exception as error:  # whatever a package of another maker does when it is imported
        raise LangueError(f"the {what} of {point.value} cannot be loaded: {error}") from error
    if not isinstance(loaded, kind):
        raise LangueError(f"{point.value}, which is to be the {what}, is no {kind.__name__} of langue")
    return loaded
