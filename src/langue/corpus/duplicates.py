"""Which texts were seen before: exactly, by hash, or nearly, by MinHash (Broder 1997).

What was seen is kept in a temporary SQLite database, which spills to disk: memory stays bounded
however many documents there are.
"""

import hashlib
import re
import sqlite3
import struct

from langue.base.errors import MissingExtra

BANDS, ROWS = 8, 8  # texts meet in a band at a Jaccard index of about (1/8)^(1/8) = 0.77
_SENTENCE = re.compile(r"[\n.!?。！？…；;]+")


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
        found = self._database.execute("SELECT label FROM seen WHERE key = ?", (key,)).fetchone()
        return str(found[0])

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

    def add(self, text: str) -> bool:
        """Remember a text; whether one much like it was seen before."""
        from rensa import RMinHash

        sentences = {stripped for part in _SENTENCE.split(text) if (stripped := part.strip())}
        if not sentences:
            return False
        sketch = RMinHash(num_perm=BANDS * ROWS, seed=1)
        sketch.update(list(sentences))
        values = sketch.digest()
        keys = [(_key(band, values[band * ROWS : (band + 1) * ROWS]),) for band in range(BANDS)]
        new = self._database.executemany("INSERT OR IGNORE INTO bands VALUES (?)", keys).rowcount
        return new < BANDS

    def close(self) -> None:
        self._database.close()


def _key(band: int, values: list[int]) -> int:
    packed = struct.pack(f"<B{ROWS}Q", band, *values)
    return int.from_bytes(hashlib.blake2b(packed, digest_size=8).digest(), "little", signed=True)
