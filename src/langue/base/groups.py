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


def growing_groups(items: Iterable[T], size: Callable[[T], int], limit: int) -> Iterator[list[T]]:
    """Items in order, in groups of which the first holds one item and each later one twice as much, up to
    about `limit`: what comes first is served at once, and what comes by thousands in thousands."""
    group: list[T] = []
    held, enough = 0, 0
    for item in items:
        group.append(item)
        held += size(item)
        if held >= enough:
            yield group
            enough = min(2 * max(held, 1), limit)
            group, held = [], 0
    if group:
        yield group
