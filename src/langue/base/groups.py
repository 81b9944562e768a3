"""Gathering what comes one by one into groups that are worth the trouble and still fit in memory."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def group_by_size(items: Iterable[T], size: Callable[[T], int], limit: int) -> Iterator[list[T]]:
    """Items in order, in groups whose sizes sum to `limit` at most; one that is larger stands alone."""
    group: list[T] = []
    held = 0
    for item in items:
        needed = size(item)
        if group and held + needed > limit:
            yield group
            group, held = [], 0
        group.append(item)
        held += needed
    if group:
        yield group
