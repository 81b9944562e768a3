"""Which documents of a corpus repeat an earlier one: tasks over ranges of hashes, across all parts.

The hashes of the documents of a part are written sorted. A task takes those in its range from all parts, so
that equal ones meet in it; of these the first, in the order in which documents were read, is what the others
repeat. A document is known by its number: that of its part, and its row there. So a task holds some hashes,
whatever the size of the corpus, and between tasks stand numbers.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from langue.base.array_files import map_file, write_array
from langue.base.arrays import BoolArray, Int64Array, UInt64Array
from langue.base.stages import Executor, Stage, run_stage
from langue.corpus.duplicates import SKETCH, Sketch, Sketches, are_alike, bands_of
from langue.corpus.parts import RepeatRule, part_names, read_part, write_part
from langue.corpus.split import SPLITS

KEYS, BANDS, SKETCHES = "keys", "bands", "sketches"  # of the documents of each part
DUPLICATES, NEAR = "duplicates", "near"  # the documents that are, of each range of hashes
RANGES = "ranges"  # a file of a folder of stages: into how many ranges keys and bands are cut
HASHES = 1 << 21  # of a task, roughly: what is made of them takes a hundred megabytes
PAIRS = 1 << 15  # of sketches that are compared at a time
ROW_BITS = np.uint64(32)  # of the number of a document


class RowHashes(NamedTuple):
    """What tells a document of a part from others."""

    row: int
    split: str
    key: bytes  # of 16 bytes; none, where repeats are ignored
    sketch: Sketch | None  # where near-duplicates are looked for, and it has words


def make_folders(folder: Path) -> None:
    for name in (KEYS, BANDS, SKETCHES, DUPLICATES, NEAR):
        (folder / name).mkdir(exist_ok=True)


def write_hashes(folder: Path, name: str, hashes: Sequence[RowHashes], rule: RepeatRule) -> None:
    """Write the hashes of the documents of a part, as far as repeats are looked for."""
    rows = np.array([one.row for one in hashes], np.uint64)
    if rule.exact != "ignore":
        high, low = np.frombuffer(b"".join(one.key for one in hashes), np.uint64).reshape(-1, 2).T
        splits = np.array([SPLITS.index(one.split) for one in hashes], np.uint64)
        _write_sorted(_file(folder, KEYS, name), high, rows, low, splits)
    if rule.near != "ignore":
        own = {one.row: one.sketch for one in hashes if one.sketch is not None}
        sketches = np.zeros((max(own, default=-1) + 1, SKETCH), np.uint32)
        for row, sketch in own.items():
            sketches[row] = sketch
        bands = bands_of(sketches[list(own)])
        repeated = np.repeat(np.array(list(own), np.uint64), bands.shape[1])
        _write_sorted(_file(folder, BANDS, name), bands.ravel(), repeated)
        write_array(_file(folder, SKETCHES, name), sketches.ravel())


def find_repeats(folder: Path, rule: RepeatRule, executor: Executor) -> None:
    """Note which documents repeat one before them, by tasks over ranges of hashes."""
    if not (folder / RANGES).exists():
        names = part_names(folder)
        sizes = {
            kind: sum(len(map_file(_file(folder, kind, name))) for name in names) // columns
            for kind, columns, wanted in ((KEYS, 4, rule.exact), (BANDS, 2, rule.near))
            if wanted != "ignore"
        }
        write_part(folder / RANGES, {kind: -(-size // HASHES) for kind, size in sizes.items()})
    ranges = read_part(folder / RANGES, dict[str, int])

    def of(number: int) -> str:
        return f"range {number:,} of hashes"

    run_stage(Stage("finding duplicates", find_duplicates, ranges.get(KEYS, 0), of), folder, executor)
    run_stage(Stage("finding near-duplicates", find_near, ranges.get(BANDS, 0), of), folder, executor)


def find_duplicates(number: int, folder: Path) -> None:
    """A task: the documents whose hash an earlier one has, with the split of the first of these."""
    high, documents, low, splits = _gather(folder, KEYS, 4, number)
    order = np.lexsort((documents, low, high))
    repeats, first = _repeats(high[order], low[order])
    _write_sorted(
        _file(folder, DUPLICATES, f"{number:07}"), documents[order[repeats]], splits[order[first[repeats]]]
    )


def find_near(number: int, folder: Path) -> None:
    """A task: the documents that are much like the first of those with one of their bands."""
    bands, documents = _gather(folder, BANDS, 2, number)
    order = np.lexsort((documents, bands))
    repeats, first = _repeats(bands[order])
    later, earlier = documents[order[repeats]], documents[order[first[repeats]]]
    order = np.lexsort((earlier, later))
    again, _ = _repeats(later[order], earlier[order])  # two that meet in several bands
    order = order[~again & (later[order] != earlier[order])]
    near = [
        later[some][are_alike(_sketches(folder, later[some]), _sketches(folder, earlier[some]))]
        for some in (order[begin : begin + PAIRS] for begin in range(0, len(order), PAIRS))
    ]
    write_array(_file(folder, NEAR, f"{number:07}"), np.unique(np.concatenate([*near, later[:0]])))


class Repeats:
    """What the tasks have noted, a part after another."""

    def __init__(self, folder: Path) -> None:
        self._duplicates = [map_file(path).reshape(2, -1) for path in sorted((folder / DUPLICATES).iterdir())]
        self._near = [map_file(path).reshape(1, -1) for path in sorted((folder / NEAR).iterdir())]

    def duplicates(self, part: int) -> dict[int, str]:
        """The rows of a part that are those of an earlier document, with the split that this one is of."""
        rows, splits = _of_part(self._duplicates, 2, part)
        return {row: SPLITS[split] for row, split in zip(rows.tolist(), splits.tolist(), strict=True)}

    def near(self, part: int) -> set[int]:
        """The rows of a part that are much like an earlier document."""
        (rows,) = _of_part(self._near, 1, part)
        return set(rows.tolist())


def _of_part(files: Sequence[UInt64Array], columns: int, part: int) -> UInt64Array:
    """What files that are sorted by documents hold of a part, with rows instead of documents."""
    begin, end = (np.uint64(number) << ROW_BITS for number in (part, part + 1))
    pieces = [file[:, slice(*np.searchsorted(file[0], [begin, end]))] for file in files]
    whole = np.concatenate([*pieces, np.empty((columns, 0), np.uint64)], axis=1)
    whole[0] -= begin
    return whole


def _gather(folder: Path, kind: str, columns: int, number: int) -> UInt64Array:
    """Hashes in the range of a task, from all parts, with their documents: `(columns, hashes)`."""
    ranges = read_part(folder / RANGES, dict[str, int])[kind]
    low, high = (2**64 * edge // ranges for edge in (number, number + 1))
    pieces = []
    for part, name in enumerate(part_names(folder)):
        own = map_file(_file(folder, kind, name)).reshape(columns, -1)
        begin = np.searchsorted(own[0], np.uint64(low), side="left")
        end = np.searchsorted(own[0], np.uint64(high - 1), side="right")
        piece = own[:, begin:end].copy()
        piece[1] += np.uint64(part) << ROW_BITS
        pieces.append(piece)
    return np.concatenate(pieces, axis=1)


def _repeats(*keys: UInt64Array) -> tuple[BoolArray, Int64Array]:
    """Of sorted keys: whether each is equal to the one before, and where the first of its equals is."""
    same = np.zeros(len(keys[0]), np.bool_)
    same[1:] = np.logical_and.reduce([key[1:] == key[:-1] for key in keys])
    return same, np.maximum.accumulate(np.where(same, 0, np.arange(len(same))))


def _sketches(folder: Path, documents: UInt64Array) -> Sketches:
    """The sketches of some documents: `(documents, SKETCH)`."""
    names = part_names(folder)
    parts, rows = documents >> ROW_BITS, (documents & np.uint64(0xFFFFFFFF)).astype(np.int64)
    sketches = np.empty((len(documents), SKETCH), np.uint32)
    order = np.argsort(parts, kind="stable")
    for own in np.split(order, np.flatnonzero(np.diff(parts[order])) + 1) if len(order) else ():
        mapped = map_file(_file(folder, SKETCHES, names[int(parts[own[0]])])).reshape(-1, SKETCH)
        sketches[own] = mapped[rows[own]]
    return sketches


def _write_sorted(path: Path, first: UInt64Array, *others: UInt64Array) -> None:
    """Write columns, sorted by the first, one after another."""
    order = np.argsort(first, kind="stable")
    write_array(path, np.concatenate([column[order] for column in (first, *others)]))


def _file(folder: Path, kind: str, name: str) -> Path:
    return folder / kind / f"{name}.npy"
