"""Which texts were seen before: exactly, by hash, or nearly, by MinHash (Broder 1997).

What was seen is kept in a temporary SQLite database, which spills to disk: memory stays bounded
however many documents there are.
"""

import hashlib
import sqlite3

import numpy as np

from langue.base.errors import MissingExtra
from langue.base.seeds import generator

BANDS, ROWS = 8, 8  # texts meet in a band at a Jaccard index of about (1/8)^(1/8) = 0.77
_ENDS = str.maketrans(dict.fromkeys(".!?。！？…；;", "\n"))  # of sentences


def _database(table: str) -> sqlite3.Connection:
    """A private temporary database of one table, which spills to disk and is gone when closed."""
    database = sqlite3.connect("", isolation_level=None)
    database.execute("PRAGMA journal_mode = OFF")
    database.execute("PRAGMA synchronous = OFF")
    database.execute(f"CREATE TABLE {table}")
    database.execute("BEGIN")
    return database


class Seen:
    """The texts seen so far, by hash, each with a label."""

    def __init__(self) -> None:
        self._database = _database("seen (key BLOB PRIMARY KEY, label TEXT) WITHOUT ROWID")

    def add(self, text: str, label: str) -> str | None:
        """Remember a text; the label it was first seen with, or None if it is new."""
        # 128 bits: equal for equal texts, and for no two others in any real corpus
        key = hashlib.blake2b(text.encode(), digest_size=16).digest()
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


class NearDuplicates:
    """Texts that share most of their sentences with an earlier one.

    The sets compared are sentences (and lines): cheap to cut in any language, and an edit touches
    only the sentences it stands in.

    Raises:
        MissingExtra: the MinHash library is not installed.
    """

    def __init__(self) -> None:
        if not available():
            raise MissingExtra("rensa", "data", "finding near-duplicates")
        self._database = _database("bands (key INTEGER PRIMARY KEY)")
        self._multipliers = generator(0, "bands").integers(2**64, size=(BANDS, ROWS), dtype=np.uint64)

    def add(self, text: str) -> bool:
        """Remember a text; whether one much like it was seen before."""
        from rensa import RMinHash

        sentences = [part for part in set(text.translate(_ENDS).split("\n")) if part and not part.isspace()]
        if not sentences:
            return False
        sketch = RMinHash(num_perm=BANDS * ROWS, seed=1)
        sketch.update(sentences)
        bands = np.array(sketch.digest(), np.uint64).reshape(BANDS, ROWS)
        # Multilinear hashing, modulo 2^64 (Lemire and Kaser 2014), with multipliers of each band's own.
        keys = (bands * self._multipliers).sum(1, dtype=np.uint64).view(np.int64)
        rows = [(key,) for key in keys.tolist()]
        new = self._database.executemany("INSERT OR IGNORE INTO bands VALUES (?)", rows).rowcount
        return new < BANDS

    def close(self) -> None:
        self._database.close()
