"""How central each sentence is to its document: by position, by the centroid, and by two graphs.

A document is a sparse matrix of sentences and terms, and a similarity of all pairs of sentences is only ever
multiplied by a vector: S p = X (Xᵀ p). So time and memory grow with the text, and a book is a document.
"""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from langue.base.arrays import Float64Array, Int64Array
from langue.models.summarizers.terms import terms_of

DAMPING = 0.85  # Brin and Page 1998, as both papers have it
STEPS = 50
TOLERANCE = 1e-6  # of the largest score
IDF_POWER = 0.5  # of LexRank: 0.3 to 0.7 were tried on BBC's dev part, 1 is the paper's (docs/log.md)
LONGEST = 200  # terms; in TextRank longer sentences count as so long


class SentenceTerms:
    """Which terms the sentences of a document have, `(N, V)`, sparse; `N` sentences, `V` terms.

    Attributes:
        terms: what the columns are.
        rows, columns, counts: of each entry.
        lengths: terms of each sentence.
    """

    def __init__(self, sentences: Sequence[str]) -> None:
        numbers: dict[str, int] = {}
        rows: list[int] = []
        columns: list[int] = []
        counts: list[int] = []
        self.N = len(sentences)
        self.lengths = np.zeros(self.N)
        for row, sentence in enumerate(sentences):
            for term, count in Counter(terms_of(sentence)).items():
                rows.append(row)
                columns.append(numbers.setdefault(term, len(numbers)))
                counts.append(count)
        self.terms = list(numbers)
        self.V = max(len(numbers), 1)
        self.rows: Int64Array = np.array(rows, np.int64)
        self.columns: Int64Array = np.array(columns, np.int64)
        self.counts = np.array(counts, np.float64)
        self.lengths = self.sum_by_row(self.counts)

    def sum_by_row(self, values: Float64Array) -> Float64Array:
        """Σ over the entries of each sentence: `(N,)`."""
        return np.bincount(self.rows, values, self.N).astype(np.float64)

    def sum_by_term(self, values: Float64Array) -> Float64Array:
        """Σ over the entries of each term: `(V,)`."""
        return np.bincount(self.columns, values, self.V).astype(np.float64)

    def weighed(self, idf: Float64Array, power: float = 1.0) -> Float64Array:
        """tf · idf^power of each entry."""
        return self.counts * (idf**power)[self.columns] if len(self.counts) else self.counts

    def unit(self, values: Float64Array) -> Float64Array:
        """The same entries, each sentence of length 1."""
        norms = np.sqrt(self.sum_by_row(values**2))
        return values / np.where(norms > 0, norms, 1.0)[self.rows]


def lead(matrix: SentenceTerms) -> Float64Array:
    """The earlier, the better: a baseline that news is hard to beat by."""
    return -np.arange(matrix.N, dtype=np.float64)


def centroid(matrix: SentenceTerms, idf: Float64Array, power: float = 1.0) -> Float64Array:
    """Cosine of each sentence and the centroid of the document (Radev et al. 2004)."""
    values = matrix.unit(matrix.weighed(idf, power))
    middle = matrix.sum_by_term(matrix.weighed(idf, power))
    norm = float(np.sqrt((middle**2).sum())) or 1.0
    return matrix.sum_by_row(values * middle[matrix.columns]) / norm


def lexrank(matrix: SentenceTerms, idf: Float64Array, power: float = IDF_POWER) -> Float64Array:
    """LexRank in its continuous form (Erkan and Radev 2004, section 3.3): where a walk along similarities
    spends its time, as a multiple of the average. The similarity is the cosine of tf·idf."""
    values = matrix.unit(matrix.weighed(idf, power))

    def similar(p: Float64Array) -> Float64Array:
        along = matrix.sum_by_term(values * p[matrix.rows])
        return matrix.sum_by_row(values * along[matrix.columns])

    return _walk(matrix, similar)


def textrank(matrix: SentenceTerms) -> Float64Array:
    """TextRank (Mihalcea and Tarau 2004): the similarity is the number of common terms, over the sum of the
    logarithms of both lengths. Sentences of one length are added up before they are multiplied."""
    lengths, group = np.unique(np.clip(matrix.lengths, 2, LONGEST), return_inverse=True)
    L = len(lengths)
    logs = np.log(lengths)
    inverse = 1.0 / (logs[:, None] + logs[None]) if L else np.zeros((0, 0))
    cells = group[matrix.rows] * matrix.V + matrix.columns
    distinct = matrix.sum_by_row(np.ones(len(matrix.rows)))

    def similar(p: Float64Array) -> Float64Array:
        table = np.bincount(cells, p[matrix.rows], L * matrix.V).reshape(L, matrix.V)  # (lengths, V)
        common = (inverse @ table)[group[matrix.rows], matrix.columns]
        return matrix.sum_by_row(common) - p * distinct * np.diag(inverse)[group]  # none is its own neighbor

    return _walk(matrix, similar)


def _walk(matrix: SentenceTerms, similar: Callable[[Float64Array], Float64Array]) -> Float64Array:
    """The stationary distribution of a walk along similarities, times `N`: `(N,)`."""
    if not matrix.N:
        return np.zeros(0)
    degrees = similar(np.ones(matrix.N))
    leaving = np.where(degrees > 0, degrees, 1.0)
    p = np.ones(matrix.N)
    for _ in range(STEPS):
        # What leaves a sentence that is like no other goes to all.
        lost = float(p[degrees <= 0].sum()) / matrix.N
        after = 1.0 - DAMPING + DAMPING * (similar(np.where(degrees > 0, p, 0.0) / leaving) + lost)
        moved = float(np.abs(after - p).max())
        p = after
        if moved < TOLERANCE * float(p.max()):
            break
    return p
