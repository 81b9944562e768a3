"""The unit of a corpus: one text with a name.

A corpus is an iterable of documents, never a list in memory. A step takes documents and yields
documents; what it drops it reports to the ledger, with a reason.
"""

from typing import NamedTuple


class Document(NamedTuple):
    """One text, the unit that is split, packed, scored and resampled."""

    text: str
    id: str  # stable name: where it was read, such as `novel.txt` or `news.jsonl:12`
    source: str  # the file (or `-`) it came from
