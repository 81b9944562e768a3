"""What of a text stands in the training text: where a string occurs, and how much was copied.

Both ask a model that keeps its training text, `infinigram`, and look at bytes: they give the same whatever
the tokenizer. Over one that loses text, such as `whitespace`, the training text is what its tokens spell.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from langue.base.arrays import Array
from langue.base.errors import LangueError
from langue.base.groups import group_by_size
from langue.base.wording import counted
from langue.models.counts.suffix_array import matching_statistics
from langue.models.folder import ModelFolder
from langue.protocols import Searchable
from langue.tokens.tokenizer import Tokenizer

CONTEXT = 40  # characters shown before and after an occurrence
MIN_BYTES = 32  # of a copied piece: six words of English, eleven characters of Chinese
BLOCK_BYTES = 1 << 20  # of the training text, looked through at a time
BETWEEN = b"\xff"  # documents: a byte that no text holds
BASE = 0x9E3779B97F4A7C15  # of the hash of a window: odd, so that it has an inverse
SEARCHED = "the train split (valid and test are not searched)"


@dataclass(frozen=True)
class Occurrence:
    """One place where a string stands."""

    document: int  # of the training split, the first is 0
    before: str
    after: str


@dataclass(frozen=True)
class Matches:
    """All places where a string stands."""

    text: str
    count: int  # those that overlap are counted each
    documents: int  # in which it stands
    occurrences: list[Occurrence]  # the first few
    split: str = "train"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        times, documents = counted(self.count, "time"), counted(self.documents, "document")
        lines = [f"{self.text!r}: {times} in {documents} of {SEARCHED}"]
        for occurrence in self.occurrences:
            shown = f"{occurrence.before}[{self.text}]{occurrence.after}".replace("\n", "\\n")
            lines.append(f"{occurrence.document:>8}  {shown}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Span:
    """A piece of a text that stands in the training text, as long as it goes."""

    text: str
    bytes: int
    document: int
    begin: int  # byte of the text


@dataclass(frozen=True)
class Copied:
    """How much of a text stands verbatim in the training text."""

    bytes: int
    copied: int  # bytes in spans of at least `min_bytes`
    min_bytes: int
    spans: list[Span]  # the longest first
    split: str = "train"

    @property
    def share(self) -> float:
        return self.copied / self.bytes if self.bytes else 0.0

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "share": self.share}

    def __str__(self) -> str:
        lines = [
            f"{self.share:.1%} of {self.bytes:,} bytes stand in {SEARCHED}, "
            f"in pieces of {self.min_bytes} bytes and more"
        ]
        lines += [f"{span.bytes:>6} bytes  document {span.document:>6}  {span.text!r}" for span in self.spans]
        return "\n".join(lines)


def find(loaded: ModelFolder[Any], tokenizer: Tokenizer, text: str, *, limit: int = 10) -> Matches:
    """Where a text, normalized, stands in what the model was trained on: every place, as `str.find` sees it.

    Raises:
        LangueError: the model keeps no training text, or the text is empty.
    """
    wanted = text.encode()
    if not wanted:
        raise LangueError("there is nothing to find: the text is empty")
    count = documents = 0
    occurrences: list[Occurrence] = []
    for number, data in enumerate(_training_text(loaded, tokenizer)):
        begin = data.find(wanted)
        documents += begin >= 0
        while begin >= 0:
            count += 1
            if len(occurrences) < limit:
                occurrences.append(_occurrence(number, data, begin, begin + len(wanted)))
            begin = data.find(wanted, begin + 1)
    return Matches(text, count, documents, occurrences)


def _occurrence(document: int, data: bytes, begin: int, end: int) -> Occurrence:
    """What stands around data[begin:end]; characters cut at the far ends are left out."""
    before = data[max(0, begin - 4 * CONTEXT) : begin].decode(errors="ignore")
    after = data[end : end + 4 * CONTEXT].decode(errors="ignore")
    return Occurrence(document, before[-CONTEXT:], after[:CONTEXT])


def copied(
    loaded: ModelFolder[Any], tokenizer: Tokenizer, text: str, *, min_bytes: int = MIN_BYTES, limit: int = 10
) -> Copied:
    """How much of a text, normalized, stands verbatim in what the model was trained on.

    Args:
        min_bytes: UTF-8 bytes of a piece that counts as copied; shorter ones are the language's own.

    Raises:
        LangueError: the model keeps no training text.
    """
    return copied_from(_training_text(loaded, tokenizer), text, min_bytes=min_bytes, limit=limit)


def copied_from(
    documents: Iterable[bytes], text: str, *, min_bytes: int = MIN_BYTES, limit: int = 10
) -> Copied:
    """How much of a text stands verbatim in documents; see `copied`."""
    data = text.encode()
    candidates = _candidates(documents, data, min_bytes)
    if not candidates:
        return Copied(len(data), 0, min_bytes, [])
    lengths, owners = _longest(candidates, data)
    # A piece begins where the byte before it does not prolong it; it is cut to whole characters.
    begins = np.flatnonzero((lengths >= min_bytes) & np.r_[True, lengths[:-1] != lengths[1:] + 1])
    characters = np.r_[np.flatnonzero(np.frombuffer(data, np.uint8) & 0xC0 != 0x80), len(data)]
    lows = characters[np.searchsorted(characters, begins)]
    highs = characters[np.searchsorted(characters, begins + lengths[begins], side="right") - 1]
    kept = highs - lows >= min_bytes
    lows, highs, begins = lows[kept], highs[kept], begins[kept]
    covered = np.zeros(len(data) + 1, np.int64)
    np.add.at(covered, lows, 1)
    np.add.at(covered, highs, -1)
    longest = np.lexsort((lows, lows - highs))[:limit]
    spans = [
        Span(
            data[lows[at] : highs[at]].decode(),
            int(highs[at] - lows[at]),
            int(owners[begins[at]]),
            int(lows[at]),
        )
        for at in longest
    ]
    return Copied(len(data), int((np.cumsum(covered) > 0).sum()), min_bytes, spans)


class Piece(NamedTuple):
    """A piece of the training text that shares some window with a text."""

    document: int
    data: bytes


def _candidates(documents: Iterable[bytes], data: bytes, window: int) -> list[Piece]:
    """What of the training text can hold a copied piece: each stretch of it whose every window occurs in
    `data`, by a hash of windows; equal ones once."""
    wanted = np.unique(_hashes(data, window))
    table = np.zeros(1 << 20, np.bool_)
    table[wanted >> np.uint64(44)] = True
    numbered = enumerate(documents)
    first: dict[bytes, int] = {}  # piece → document
    for block in group_by_size(numbered, lambda document: len(document[1]), BLOCK_BYTES):
        joined = BETWEEN.join(document for _, document in block)
        hashes = _hashes(joined, window)
        likely = np.flatnonzero(table[hashes >> np.uint64(44)])
        begins = likely[np.isin(hashes[likely], wanted)]
        if len(begins):
            ends = np.cumsum([len(document) + 1 for _, document in block])
            for run in np.split(begins, np.flatnonzero(np.diff(begins) > 1) + 1):
                document = block[int(np.searchsorted(ends, run[0], side="right"))][0]
                first.setdefault(joined[int(run[0]) : int(run[-1]) + window], document)
    return [Piece(document, piece) for piece, document in first.items()]


def _hashes(data: bytes, window: int) -> Array:
    """A hash of every window of so many bytes, `(len(data) - window + 1,)`: polynomials modulo 2^64."""
    count = len(data) - window + 1
    if count <= 0:
        return np.empty(0, np.uint64)
    powers = np.multiply.accumulate(np.full(len(data), BASE, np.uint64))
    sums = np.zeros(len(data) + 1, np.uint64)
    np.cumsum((np.frombuffer(data, np.uint8).astype(np.uint64) + np.uint64(1)) * powers, out=sums[1:])
    inverses = np.multiply.accumulate(np.full(count, pow(BASE, -1, 1 << 64), np.uint64))
    return np.asarray((sums[window:] - sums[:-window]) * inverses)


def _longest(candidates: list[Piece], data: bytes) -> tuple[Array, Array]:
    """For each byte of `data`, the length of the longest piece of a candidate that begins with it, and its
    document."""
    joined = BETWEEN.join(piece for _, piece in candidates) + BETWEEN
    starts = np.cumsum([0, *(len(piece) + 1 for _, piece in candidates)])[:-1]
    stream = np.frombuffer(joined + data, np.uint8).astype(np.uint32)
    lengths, positions = matching_statistics(stream, len(joined))
    owners = np.searchsorted(starts, positions, side="right") - 1
    return lengths, np.array([document for document, _ in candidates])[owners]


def _training_text(loaded: ModelFolder[Any], tokenizer: Tokenizer) -> Iterator[bytes]:
    spelled = tokenizer.spellings()
    for ids in loaded.require(Searchable).model.documents():
        yield b"".join([spelled[id] for id in ids.tolist()])
