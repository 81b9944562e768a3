"""Which texts were seen before: exactly, by hash, or nearly, by MinHash (Broder 1997).

What was seen is kept in a temporary SQLite database, which spills to disk: memory stays bounded
however many documents there are.
"""

import hashlib
import re
import sqlite3
import zlib
from functools import cache

import numpy as np
import numpy.typing as npt

from langue.base.errors import MissingExtra
from langue.base.seeds import generator

SKETCH = 64  # numbers of a sketch, each equal in two texts as often as their runs are shared
BANDS, ROWS = 16, 2  # made of the first of them; texts meet in one with 99 % at a Jaccard index of 0.5
ENOUGH = 21  # equal numbers: an index of 1/3, where each of two like texts shares half of its runs
RUN = 3  # words that are compared together: one word changed of ten leaves most as they were
RUNS = 256  # that stand for a text
PART = 1 << 16  # characters whose words are held at a time
MIXER = np.uint64(0x9E3779B97F4A7C15)
_CJK = "\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_CJK}]|[^\W_{_CJK}]+")

Hashes = npt.NDArray[np.uint64]
Sketch = npt.NDArray[np.uint32]


def _database(table: str) -> sqlite3.Connection:
    """A private temporary database of one table, which spills to disk and is gone when closed."""
    database = sqlite3.connect("", isolation_level=None)
    database.execute("PRAGMA journal_mode = OFF")
    database.execute("PRAGMA synchronous = OFF")
    database.execute(f"CREATE TABLE {table}")
    database.execute("BEGIN")
    return database


def key_of(text: str) -> bytes:
    """128 bits: equal for equal texts, and for no two others in any real corpus."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


class Seen:
    """The texts seen so far, by hash, each with a label."""

    def __init__(self) -> None:
        self._database = _database("seen (key BLOB PRIMARY KEY, label TEXT) WITHOUT ROWID")

    def add(self, key: bytes, label: str) -> str | None:
        """Remember the key of a text; the label it was first seen with, or None if it is new."""
        new = self._database.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (key, label)).rowcount
        if new:
            return None
        row = self._database.execute("SELECT label FROM seen WHERE key = ?", (key,)).fetchone()
        return str(row[0])

    def close(self) -> None:
        self._database.close()


def available() -> bool:
    """Whether the MinHash library is installed."""
    try:
        import rensa  # noqa: F401
    except ImportError:
        return False
    return True


def sketch_of(text: str) -> Sketch | None:
    """The MinHash sketch of a text, `(SKETCH,)`; None of one without words.

    It is of the runs of three words, or of three Chinese or Japanese characters; blanks, marks and capitals
    make no difference. Of a long text the runs with the smallest hashes stand for all, so that a document
    costs the same whatever its length.
    """
    from rensa import RMinHash

    runs = _runs(text)
    if not len(runs):
        return None
    minhash = RMinHash(num_perm=SKETCH, seed=1)
    minhash.update([str(run) for run in runs.tolist()])
    return np.array(minhash.digest(), np.uint32)


def _runs(text: str) -> Hashes:
    """Hashes of the different runs of a text, at most `RUNS` of them."""
    kept = np.empty(0, np.uint64)
    before = np.empty(0, np.uint64)  # the last words of the part before
    for begin in range(0, len(text), PART):
        words = _WORD.findall(text[begin : begin + PART].lower())
        hashes = np.fromiter((zlib.crc32(word.encode()) for word in words), np.uint64, len(words))
        hashes = np.concatenate([before, hashes])
        before = hashes[-(RUN - 1) :]
        kept = np.concatenate([kept, _joined(hashes)])
        if len(kept) > RUNS:
            kept = np.unique(kept)[:RUNS]
    if not len(kept) and len(before):  # too short for a run
        return before.sum(keepdims=True)
    return np.unique(kept)


def _joined(hashes: Hashes) -> Hashes:
    """A well-mixed hash of every run of words."""
    count = max(len(hashes) - RUN + 1, 0)
    total = np.zeros(count, np.uint64)
    for offset, multiplier in enumerate(_of_run()):
        total += hashes[offset : offset + count] * (multiplier | np.uint64(1))
    return (total ^ (total >> np.uint64(31))) * MIXER


@cache
def _of_run() -> Hashes:
    """Multipliers of the words of a run."""
    return generator(0, "bands").integers(2**64, size=RUN, dtype=np.uint64)


def check_available() -> None:
    """Raise `MissingExtra` if the MinHash library is not installed."""
    if not available():
        raise MissingExtra("rensa", "data", "finding near-duplicates")


class NearDuplicates:
    """Texts that share more than half of what they say with an earlier one, single sentences included.

    Texts that meet in a band of their sketches are candidates (Broder 1997); of those the sketches tell how
    much is shared.
    """

    def __init__(self) -> None:
        self._database = _database("bands (key INTEGER PRIMARY KEY, document INTEGER)")
        self._database.execute("CREATE TABLE sketches (document INTEGER PRIMARY KEY, sketch BLOB)")
        self._count = 0
        random = generator(0, "bands")
        random.integers(2**64, size=RUN, dtype=np.uint64)  # those of `_of_run`
        self._of_band = random.integers(2**64, size=(BANDS, ROWS), dtype=np.uint64)

    def add(self, sketch: Sketch | None) -> bool:
        """Remember the sketch of a text; whether one much like it was seen before."""
        if sketch is None:
            return False
        # Multilinear hashing, modulo 2^64 (Lemire and Kaser 2014), with multipliers of each band's own.
        bands = sketch[: BANDS * ROWS].astype(np.uint64).reshape(BANDS, ROWS)
        keys = (bands * self._of_band).sum(1, dtype=np.uint64).view(np.int64).tolist()
        near = self._meets(keys, sketch)
        rows = [(key, self._count) for key in keys]
        self._database.executemany("INSERT OR IGNORE INTO bands VALUES (?, ?)", rows)
        self._database.execute("INSERT INTO sketches VALUES (?, ?)", (self._count, sketch.tobytes()))
        self._count += 1
        return near

    def _meets(self, keys: list[int], sketch: Sketch) -> bool:
        """Whether one of the texts in these bands shares enough with a sketch."""
        marks = ",".join("?" * len(keys))
        met = f"SELECT document FROM bands WHERE key IN ({marks})"
        rows = self._database.execute(f"SELECT sketch FROM sketches WHERE document IN ({met})", keys)
        return any(np.count_nonzero(np.frombuffer(other, np.uint32) == sketch) >= ENOUGH for (other,) in rows)

    def close(self) -> None:
        self._database.close()
