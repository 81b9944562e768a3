"""The unit of a corpus: one text with a name.

A corpus is an iterable of documents, never a list in memory. A step takes documents and yields
documents; what it drops it reports to the ledger, with a reason.
"""

from typing import NamedTuple

# Between the texts of a pair where they are one string: no normalized text has this control character.
UNIT_SEPARATOR = "\x1f"


class Document(NamedTuple):
    """One text, or a pair of them: the unit that is split, packed, scored and resampled."""

    text: str  # of a pair, its source
    id: str  # stable name: where it was read, such as `novel.txt` or `news.jsonl:12`
    source: str  # the file (or `-`) it came from
    target: str | None = None  # of a pair

    @property
    def texts(self) -> tuple[str, ...]:
        """Its text, or the source and the target."""
        return (self.text,) if self.target is None else (self.text, self.target)

    @property
    def joined(self) -> str:
        """All of it as one string, another one for every other (normalized) document."""
        return UNIT_SEPARATOR.join(self.texts)
