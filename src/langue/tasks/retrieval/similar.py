"""The passages nearest to a query: by the words they share, or by the vectors of an encoder.

Search is exact: a query is set beside every vector, and those are mapped from disk where they are kept.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from langue.base.arrays import Float64Array
from langue.base.checked import ArraySpec, check, read_array
from langue.base.config import read_struct
from langue.base.errors import Damaged
from langue.base.files import atomic_folder, check_free, write_json
from langue.base.progress import bar
from langue.tasks.retrieval.bm25 import best
from langue.tasks.retrieval.passages import Passages
from langue.tasks.retrieval.terms import terms_of
from langue.tasks.retrieval.whitening import Whitening

Vectors = npt.NDArray[np.float32]
Embed = Callable[[Sequence[str]], Vectors]

AT_ONCE = 256  # passages that are embedded at a time
COMPARED = 1 << 16  # vectors that are read at a time
INDEX = "index.json"  # of a kept index, which tells what it is of
# The arrays beside it; the second of one that is whitened.
VECTORS = {"vectors": ArraySpec("float32", ("passages", "directions"))}
WHITENING = {
    "mean": ArraySpec("float64", ("width",)),
    "matrix": ArraySpec("float64", ("width", "directions")),
}


class KeptIndex(msgspec.Struct):
    """The contents of `index.json`."""

    fingerprint: str
    passages: int


class Near(NamedTuple):
    """A passage near a query, and where it stands."""

    text: str
    score: float  # BM25, or the cosine
    source: str  # file, record or document
    begin: int  # characters from the beginning of its text
    end: int
    begin_byte: int  # the same in UTF-8
    end_byte: int


@dataclass(frozen=True)
class SimilarPassages:
    """The passages nearest to a query, the nearest first."""

    query: str
    by: str  # by what they are near: "BM25", or the model
    passages: list[Near]

    def to_json(self) -> dict[str, Any]:
        return {
            "query": self.query,
            "by": self.by,
            "passages": [one._asdict() | {"score": round(one.score, 6)} for one in self.passages],
        }

    def __str__(self) -> str:
        if not self.passages:
            return f"nothing near, by {self.by}: no passage shares a word with the query"
        lines = [f"by {self.by}:"]
        for one in self.passages:
            where = f"{one.source}, characters {one.begin:,}–{one.end:,}"
            lines += [f"{one.score:8.4f}  {where}", f"    {' '.join(one.text.split())}"]
        return "\n".join(lines)


def near(passages: Passages, numbers: Sequence[int], scores: Sequence[float]) -> list[Near]:
    """Passages by their numbers, with where they stand."""
    return [
        Near(passages.passage(number), float(score), passages.name(number), *passages.location(number))
        for number, score in zip(numbers, scores, strict=True)
    ]


def by_words(query: str, passages: Passages, k: int) -> SimilarPassages:
    """The best by BM25; none that has no word of the query."""
    scores = passages.index.scores(passages.index.weights(terms_of(query)))
    chosen = [number for number in best(scores, k) if scores[number] > 0]
    return SimilarPassages(query, "BM25", near(passages, chosen, scores[chosen].tolist()))


@dataclass(frozen=True)
class VectorIndex:
    """The vectors of passages, each of length one."""

    vectors: Vectors  # (passages, directions), in memory or mapped
    whitening: Whitening | None

    @classmethod
    def of(cls, vectors: Vectors, *, whiten: bool) -> "VectorIndex":
        """Vectors as the encoder gave them."""
        whitening = Whitening.of(vectors) if whiten else None
        return cls(_unit(whitening.apply(vectors) if whitening else vectors), whitening)

    def scores(self, vector: Vectors) -> Float64Array:
        """The cosine of every passage with a vector of the encoder.

        Raises:
            Damaged: those of the passages, as a folder kept them, are of another width.
        """
        width = len(self.whitening.mean) if self.whitening else self.vectors.shape[1]
        if len(vector) != width:
            raise Damaged(
                f"the index holds vectors of {width} numbers, and the model gives {len(vector)}; make it "
                "again: --overwrite"
            )
        query = _unit(self.whitening.apply(vector[None]) if self.whitening else vector[None])[0]
        scores = np.empty(len(self.vectors))
        for begin in range(0, len(scores), COMPARED):
            scores[begin : begin + COMPARED] = self.vectors[begin : begin + COMPARED] @ query
        return scores


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.sqrt((vectors.astype(np.float64) ** 2).sum(-1, keepdims=True))
    unit: Vectors = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return unit


def index_passages(passages: Passages, embed: Embed, *, whiten: bool) -> VectorIndex:
    """Embed all passages."""
    parts = []
    with bar("embedding", len(passages)) as shown:
        for begin in range(0, len(passages), AT_ONCE):
            numbers = range(begin, min(begin + AT_ONCE, len(passages)))
            parts.append(embed([passages.passage(number) for number in numbers]))
            shown.advance(len(numbers))
    return VectorIndex.of(np.concatenate(parts), whiten=whiten)


def kept_index(
    folder: Path, passages: Passages, embed: Embed, *, model: str, whiten: bool, overwrite: bool
) -> VectorIndex:
    """The index that a folder holds, of the same passages by the same model; made and kept if there is none.

    Args:
        model: what the vectors depend on beside the passages: the digest of the model, and how it pools.

    Raises:
        LangueError: the folder holds an index of other passages or of another model, or something else.
        Damaged: a file of it is cut or altered.
    """
    fingerprint = _fingerprint(passages, model, whiten=whiten)
    if (folder / INDEX).is_file():
        try:
            if read_struct(KeptIndex, folder / INDEX).fingerprint == fingerprint:
                return _open(folder, len(passages), whiten=whiten)
        except Damaged as error:
            if not overwrite:
                raise Damaged(
                    f"{folder} is no whole index ({error.message}); remove it, or make it again: --overwrite"
                ) from None
    check_free(folder, marker=INDEX, overwrite=overwrite)
    index = index_passages(passages, embed, whiten=whiten)
    with atomic_folder(folder, marker=INDEX, overwrite=overwrite) as written:
        np.save(written / "vectors.npy", index.vectors)
        if index.whitening is not None:
            np.save(written / "mean.npy", index.whitening.mean)
            np.save(written / "matrix.npy", index.whitening.matrix)
        write_json(written / INDEX, msgspec.to_builtins(KeptIndex(fingerprint, len(passages))))
    return index


def _open(folder: Path, passages: int, *, whiten: bool) -> VectorIndex:
    specs = VECTORS | (WHITENING if whiten else {})
    # A matrix lies there column after column; vectors stay mapped.
    arrays = {name: np.ascontiguousarray(read_array(folder / f"{name}.npy")) for name in specs}
    check(arrays, folder, specs, passages=passages)
    whitening = Whitening(arrays["mean"], arrays["matrix"]) if whiten else None
    return VectorIndex(arrays["vectors"], whitening)


def _fingerprint(passages: Passages, model: str, *, whiten: bool) -> str:
    digest = hashlib.sha256(f"{model}\x1f{whiten}".encode())
    for number in range(len(passages)):
        digest.update(b"\x1e" + passages.passage(number).encode())
    return digest.hexdigest()


def by_vectors(
    query: str, passages: Passages, index: VectorIndex, embed: Embed, k: int, by: str
) -> SimilarPassages:
    """The nearest by cosine."""
    scores = index.scores(embed([query])[0])
    chosen = best(scores, k)
    return SimilarPassages(query, by, near(passages, chosen, scores[chosen].tolist()))
