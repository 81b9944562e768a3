"""What tells whether texts are the same: a hash, or nearly the same: a MinHash sketch (Broder 1997).

Texts that meet in a band of their sketches are candidates; of those the sketches tell how much is shared.
"""

import hashlib
import re
import zlib
from functools import cache

import numpy as np
import numpy.typing as npt

from langue.base.arrays import BoolArray
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
Sketch = npt.NDArray[np.uint32]  # `(SKETCH,)`
Sketches = npt.NDArray[np.uint32]  # `(texts, SKETCH)`


def key_of(text: str) -> bytes:
    """128 bits: equal for equal texts, and for no two others in any real corpus."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


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


def bands_of(sketches: Sketches) -> Hashes:
    """A hash of each band of sketches, `(texts, BANDS)`.

    Multilinear, modulo 2^64 (Lemire and Kaser 2014), with multipliers of each band's own.
    """
    bands = sketches[:, : BANDS * ROWS].astype(np.uint64).reshape(-1, BANDS, ROWS)
    return np.asarray((bands * _of_band()).sum(2, dtype=np.uint64))


@cache
def _of_band() -> Hashes:
    random = generator(0, "bands")
    random.integers(2**64, size=RUN, dtype=np.uint64)  # those of `_of_run`
    return random.integers(2**64, size=(BANDS, ROWS), dtype=np.uint64)


def are_alike(some: Sketches, others: Sketches) -> BoolArray:
    """Whether the texts of each two sketches share more than half of what they say, `(pairs,)`."""
    return np.asarray(np.count_nonzero(some == others, axis=1) >= ENOUGH)
