"""What a ranker knows of each sentence of a document.

Every feature is relative to the document (a part, a rank, a difference from its mean), so that what is
learned on short texts holds for long ones. Ranks run from 0, the lowest, to 1.
"""

import re
from collections.abc import Callable, Mapping

import numpy as np

from langue.base.arrays import Array, Float64Array
from langue.corpus.units import DocumentUnits
from langue.models.summarizers.salience import SentenceTerms, centroid, lexrank, textrank
from langue.models.summarizers.terms import Background, own_background, terms_of

_NUMBER = re.compile(r"\d+")
_NAME = re.compile(r"(?<=[a-z,;:] )[A-Z]")  # a capital within a sentence
_QUOTED = re.compile('["“”「『]')
CONTENT = 2.5  # nats: words that stand in one of twelve documents or fewer; others count for nothing then
CONTENT_POWER = 0.25
LOW_POWER = 0.3  # of the idf, beside `IDF_POWER`: commoner words count for more


def features(
    document: DocumentUnits, learned: Background, cues: Callable[[SentenceTerms], Float64Array]
) -> dict[str, Float64Array]:
    """The features of each sentence by name, `(N,)` each.

    Args:
        learned: of the documents that the ranker was trained on, beside that of the language.
        cues: how much the terms of each sentence speak for it.
    """
    matrix = SentenceTerms(document.sentences)
    background = own_background()
    table = _positions(document) | _lengths(matrix) | _marks(document, matrix)
    for name, source in (("language", background), ("corpus", learned)):
        idf = source.idf(matrix.terms)
        for power in (None, LOW_POWER):
            label = name if power is None else f"{name}, common words"
            ranks = lexrank(matrix, idf) if power is None else lexrank(matrix, idf, power)
            table |= _with_rank(f"lexrank ({label})", np.log(np.maximum(ranks, 1e-9)))
        for power in (1.0, 0.5):
            table |= _with_rank(
                f"centroid ({name}, idf^{power:g})", _of_largest(centroid(matrix, idf, power))
            )
        content = (idf > CONTENT) * idf**CONTENT_POWER
        ranks = lexrank(matrix, content, 1.0)
        table |= _with_rank(f"lexrank ({name}, content words)", np.log(np.maximum(ranks, 1e-9)))
        table |= _with_rank(f"centroid ({name}, content words)", _of_largest(centroid(matrix, content)))
        table |= _surprise(matrix, source, name)
    even = np.ones(matrix.V)  # all words alike
    table |= _with_rank("lexrank (all words)", np.log(np.maximum(lexrank(matrix, even), 1e-9)))
    table |= _with_rank("centroid (all words)", _of_largest(centroid(matrix, even)))
    table |= _with_rank("textrank", np.log(np.maximum(textrank(matrix), 1e-9)))
    title = _title(document, matrix, background)
    table |= {"like the title": title, "like the title, rank": _ranks(title)}
    return table | _repetition(matrix) | {"cue words": cues(matrix)}


def matrix_of(table: Mapping[str, Float64Array]) -> Float64Array:
    """Features side by side: `(N, features)`."""
    return np.stack(list(table.values()), axis=1)


def _positions(document: DocumentUnits) -> dict[str, Float64Array]:
    index = np.arange(len(document.spans), dtype=np.float64)
    number = max(len(index), 1)
    return {
        "position": index / number,
        "1 / position": 1.0 / (1.0 + index),
        "first": (index == 0).astype(np.float64),
        "second": (index == 1).astype(np.float64),
        "last": (index == number - 1).astype(np.float64),
        "opens a paragraph": np.array(document.opens, np.float64),
    }


def _lengths(matrix: SentenceTerms) -> dict[str, Float64Array]:
    logs = np.log(np.maximum(matrix.lengths, 1.0))
    ranks = _ranks(matrix.lengths)
    return {
        "length": logs,
        "length, rank": ranks,
        "length, rank²": ranks**2,
        "sentences": np.full(matrix.N, np.log(max(matrix.N, 1))),
    }


def _marks(document: DocumentUnits, matrix: SentenceTerms) -> dict[str, Float64Array]:
    """Numbers, names and quotations."""
    lengths = np.maximum(matrix.lengths, 1.0)
    texts = document.sentences
    return {
        "numbers": np.array([len(_NUMBER.findall(text)) for text in texts], np.float64) / lengths,
        "names": np.array([len(_NAME.findall(text)) for text in texts], np.float64) / lengths,
        "quotation": np.array([bool(_QUOTED.search(text)) for text in texts], np.float64),
    }


def _surprise(matrix: SentenceTerms, background: Background, name: str) -> dict[str, Float64Array]:
    """Bits of a term on average: under the background, and under the rest of the document."""
    lengths = np.maximum(matrix.lengths, 1.0)
    bits = np.log2(np.exp(background.idf(matrix.terms))) if matrix.terms else np.zeros(1)
    expected = (
        matrix.sum_by_row(matrix.counts * bits[matrix.columns]) / lengths
        if len(matrix.counts)
        else lengths * 0
    )
    if name != "language":
        return {f"surprise ({name})": _centered(expected)}
    total = matrix.sum_by_term(matrix.counts)
    rest = total[matrix.columns] - matrix.counts  # without the sentence itself
    share = (rest + 0.5) / (max(float(total.sum()), 1.0) + 0.5 * matrix.V)
    own = matrix.sum_by_row(-matrix.counts * np.log2(share)) / lengths
    return {f"surprise ({name})": _centered(expected), "surprise (document)": _centered(own)}


def _title(document: DocumentUnits, matrix: SentenceTerms, background: Background) -> Float64Array:
    """Cosine of each sentence and the title."""
    wanted = set(terms_of(document.title))
    idf = background.idf(matrix.terms) if matrix.terms else np.zeros(1)
    norm = float(np.sqrt((background.idf(sorted(wanted)) ** 2).sum())) or 1.0
    shared = np.array([term in wanted for term in matrix.terms] or [False])
    values = matrix.unit(matrix.weighed(idf))
    return matrix.sum_by_row(values * (idf * shared)[matrix.columns]) / norm


def _repetition(matrix: SentenceTerms) -> dict[str, Float64Array]:
    """What of a sentence is said for the first time, and what another says too."""
    lengths = np.maximum(matrix.lengths, 1.0)
    first = np.full(matrix.V, matrix.N)
    np.minimum.at(first, matrix.columns, matrix.rows)
    total = matrix.sum_by_term(matrix.counts)
    return {
        "new": matrix.sum_by_row(matrix.counts * (first[matrix.columns] == matrix.rows)) / lengths,
        "repeated": matrix.sum_by_row(matrix.counts * (total[matrix.columns] > matrix.counts)) / lengths,
    }


def _with_rank(name: str, values: Float64Array) -> dict[str, Float64Array]:
    return {name: values, f"{name}, rank": _ranks(values)}


def _ranks(values: Array) -> Float64Array:
    """0 to 1, ties by order; of one sentence 0.5."""
    order = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    return (order + 0.5) / max(len(values), 1)


def _of_largest(values: Float64Array) -> Float64Array:
    return values / (float(values.max()) or 1.0) if len(values) else values


def _centered(values: Float64Array) -> Float64Array:
    return values - values.mean() if len(values) else values
