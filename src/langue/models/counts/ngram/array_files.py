"""Levels between the tasks of stages: a folder of arrays each, or one joined of the branches of many."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from langue.base.array_files import map_file, write_array, write_joined
from langue.base.arrays import Array
from langue.base.files import writing
from langue.models.counts.ngram.counts import Levels, check_numbered

ARRAYS = ("first", "word", "count", "children")  # of `Levels`


def write_levels(folder: Path, levels: Levels) -> None:
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for name in ARRAYS:
        write_array(folder / f"{name}.npy", np.asarray(getattr(levels, name)))


def map_levels(folder: Path) -> Levels:
    first, word, count, children = (map_file(folder / f"{name}.npy") for name in ARRAYS)
    return Levels(first, word, count, children)


def branch_of(levels: Levels, low: int, high: int) -> Levels:
    """What begins with the words [low, high), as levels whose unigrams are these words."""
    begins, ends = [low], [high]
    for _ in range(1, levels.order):
        begins.append(int(levels.children[begins[-1]]))
        ends.append(int(levels.children[ends[-1]]))
    parts = [slice(*part) for part in zip(begins, ends, strict=True)]
    first = np.r_[0, np.cumsum([part.stop - part.start for part in parts])]
    children = [
        levels.children[part] - np.uint32(begins[n]) + np.uint32(first[n])
        for n, part in enumerate(parts[:-1], 1)
    ]
    return Levels(
        first,
        np.concatenate([levels.word[part] for part in parts]),
        np.concatenate([levels.count[part] for part in parts]),
        np.concatenate([*children, first[-1:].astype(np.uint32)]),
    )


def join_branches(folder: Path, branches: list[Levels]) -> None:
    """Write the levels that are these branches side by side, in the order of their words.

    Raises:
        LangueError: they are more n-grams than can be numbered.
    """
    order = branches[0].order
    sizes = np.array([np.diff(branch.first) for branch in branches])  # (branches, order)
    first = np.r_[0, np.cumsum(sizes.sum(0))]
    check_numbered(int(first[-1]))
    before = np.r_[np.zeros((1, order), np.int64), np.cumsum(sizes, 0)]  # nodes in the branches before

    def children() -> Iterable[Array]:
        for n in range(1, order):
            for index, branch in enumerate(branches):
                added = first[n] + before[index, n] - branch.first[n]
                yield branch.children[branch.level(n)] + np.uint32(added)
        yield first[-1:].astype(np.uint32)

    def side_by_side(name: str) -> Iterable[Array]:
        return (getattr(branch, name)[branch.level(n)] for n in range(1, order + 1) for branch in branches)

    with writing(folder):
        folder.mkdir(exist_ok=True)
    write_array(folder / "first.npy", first)
    for name in ("word", "count"):
        write_joined(folder / f"{name}.npy", side_by_side(name), int(first[-1]), np.uint32)
    write_joined(folder / "children.npy", children(), int(first[-2]) + 1, np.uint32)
