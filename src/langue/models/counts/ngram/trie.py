"""Whether tables are a trie: what compiled code relies on when it walks them, and what makes sums one.

The children of a context are one range of the next level, and lie in its order; the suffix of an n-gram is
a child of the suffix of its context; every n-gram of a context of many children is edges through the index.
Then no walk leaves the arrays or goes on for ever. And where scores are probabilities, what words seen
after a context take, and what it hands down, is one.
"""

from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from langue.base.arrays import Array
from langue.base.checked import check, damaged, once, read_array
from langue.base.compiled import njit
from langue.base.errors import Damaged
from langue.base.parallel import parallel_map
from langue.models.counts.ngram.tables import EMPTY, FEW, Tables, edge, look_up, slot_of

TOLERANCE = (
    1e-3  # of what words sum to, which are 32-bit logs: twice as much is what `evaluate --check` lets pass
)
OPTIONAL = Tables._field_defaults
ROUNDED = 0.1  # what quantized tables may sum to less than one
CHUNK_CONTEXTS = 1 << 15  # contexts looked at a time: what is made of them stays in the cache
FAULTS = {
    1: ("children or bases", "are not ranges of the next level, one after another"),
    2: ("suffix", "does not name a child of the suffix of the context, in their order"),
    3: ("slots", "do not hold every n-gram of a large context where it is looked for"),
    4: ("log_prob and log_backoff", "do not sum to one over all words after a context"),
    5: ("log_prob", "holds a probability of 0 for an n-gram that occurs"),
    6: ("log_backoff", "hands nothing down"),
}


def load_tables(folder: Path, words: int, *, normalized: bool) -> Tables:
    """Map the tables of a model folder: what is used is read, when it is used.

    Folders of old have children numbered in full, which a model then makes narrow.

    Args:
        words: ids of the vocabulary, without `<s>`.
        normalized: the scores are probabilities, and sum to one.

    Raises:
        LangueError: an array is not what it must be; it is named.
    """
    files = [folder / f"{name}.npy" for name in Tables._fields]
    tables = Tables(
        **{file.stem: read_array(file) for file in files if file.exists() or file.stem not in OPTIONAL}
    )
    once(files, (words, normalized), lambda: check_tables(tables, folder, words, normalized=normalized))
    return tables.freeze()


def check_tables(tables: Tables, where: Path | str, words: int, *, normalized: bool) -> None:
    """Compare tables with what they must be: once over all n-grams.

    Raises:
        LangueError: the array that is wrong is named.
    """
    order = check(tables, where)["order"]
    if order < 1 or tables.first[1] != words + 1:
        raise damaged(where, "first", f"does not begin with the {words} words of the vocabulary and <s>")
    if tables.quantized and tables.bins.shape[1] != order:
        raise damaged(where, "bins", f"does not say what the codes of {order} orders stand for")
    if len(tables.rules) not in (0, order):
        raise damaged(where, "rules", f"does not say how {order} orders were smoothed")
    for name in ("log_prob", "log_backoff"):
        if (getattr(tables, name).dtype == np.uint8) != tables.quantized:
            raise damaged(where, name, "and bins do not belong together")
    if not tables.quantized and tables.log_prob.max() > TOLERANCE:
        raise damaged(where, "log_prob", f"holds {tables.log_prob.max()}, which is the log of no probability")
    _check_trie(tables, where, normalized=normalized)


def sums_to_one(tables: Tables, where: Path | str, words: int) -> bool:
    """Whether tables are probabilities: those of a file need not be.

    Raises:
        Damaged: they are no tables at all.
    """
    check_tables(tables, where, words, normalized=False)
    try:
        check_tables(tables, where, words, normalized=True)
    except Damaged:
        return False
    return True


def _check_trie(tables: Tables, where: Path | str, *, normalized: bool) -> None:
    """Whether tables, whose types and shapes are right, are a trie."""
    _check_levels(tables, where)
    _check_edges(tables, where)
    indexed = _indexed_ngrams(tables)
    if indexed < 0:
        raise damaged(where, *FAULTS[1])
    if len(tables.slots) <= indexed or tables.slots.max() != EMPTY:
        raise damaged(where, "slots", "has no empty slot, which ends a search")
    if normalized:
        _check_unigrams(tables, where)
    totals = np.ones(len(tables.log_backoff) if tables.quantized and normalized else 0, np.float32)
    for n in range(1, tables.order):
        edges = [*range(int(tables.first[n - 1]), int(tables.first[n]), CHUNK_CONTEXTS), int(tables.first[n])]
        for fault in parallel_map(partial(_fault, tables, n, normalized, totals), pairwise(edges)):
            if fault:
                raise damaged(where, *FAULTS[fault])


def _fault(tables: Tables, n: int, normalized: bool, totals: Array, span: tuple[int, int]) -> int:
    """The number of what is wrong with a span of contexts of n words, or 0."""
    fault: int = _structure(tables, n, *span)
    if normalized and not fault:
        fault = _sums(tables, n, *span, *_probabilities(tables, n, *span), totals)
    return fault


def _probabilities(tables: Tables, n: int, low: int, high: int) -> tuple[Array, Array, Array]:
    """Of the children of contexts [low, high), of their suffixes, and the backoffs of these contexts."""
    nodes = slice(*edges_of(tables, np.array([low, high])).tolist())
    logs = tables.log_prob[nodes], tables.log_prob[tables.suffix[nodes]], tables.log_backoff[low:high]
    if not tables.quantized:
        return np.exp(logs[0]), np.exp(logs[1]), np.exp(logs[2])
    bins = np.exp(tables.bins)
    return bins[0, n, logs[0]], bins[0, n - 1, logs[1]], bins[1, n - 1, logs[2]]


def _check_levels(tables: Tables, where: Path | str) -> None:
    """Levels lie one behind another, and a suffix is an n-gram of the level below."""
    first, suffix = tables.first, tables.suffix
    if not (np.diff(first) >= 0).all() or first[-1] != len(suffix) or first[-2] != len(tables.log_backoff):
        raise damaged(where, "first", "does not say where the levels of these tables begin and end")
    words = int(first[1])
    if not np.array_equal(suffix[:words], np.arange(words, dtype=np.uint32)):
        raise damaged(where, "suffix", "does not name each word at its own place")
    for n in range(2, tables.order + 1):
        level = suffix[tables.level(n)]
        if len(level) and not (first[n - 2] <= level.min() and level.max() < first[n - 1]):
            raise damaged(where, "suffix", f"names what is no n-gram of {n - 1} words")


def _check_edges(tables: Tables, where: Path | str) -> None:
    """`edge` finds what it reads, and the first and the last context of each level begin and end it."""
    bases, children = tables.bases, tables.children
    if (children.dtype == np.uint16) != (len(bases) > 0):
        raise damaged(where, "bases", "and children do not belong together")
    if len(bases):
        heading = len(bases) > 1 and bases[0] <= 10 and bases[1] == min(int(tables.first[1]), len(children))
        if not heading or len(bases) != 2 + int(bases[1]) - (
            -(len(children) - int(bases[1])) >> int(bases[0])
        ):
            raise damaged(where, "bases", "are not the numbers that these children are counted from")
    ends = edges_of(tables, tables.first[:-1])
    if not np.array_equal(ends, tables.first[1:]):
        name = "bases" if len(bases) else "children"
        raise damaged(where, name, "does not begin each level with its first n-gram")


def _check_unigrams(tables: Tables, where: Path | str) -> None:
    words = int(tables.first[1]) - 1  # `<s>` is read, never predicted
    logs = tables.log_prob[:words]
    logs = (tables.bins[0, 0, logs] if tables.quantized else logs).astype(np.float64)
    if not abs(np.exp(logs).sum() - 1) <= (ROUNDED if tables.quantized else TOLERANCE):
        raise damaged(where, "log_prob", "does not sum to one over all words")
    if np.isneginf(logs).sum() > 1:  # padding, of which there is one, stands in no text
        raise damaged(where, "log_prob", "holds a probability of 0 for a word")


@njit
def edges_of(tables, contexts):
    edges = np.empty(len(contexts), np.int64)
    for index in range(len(contexts)):
        edges[index] = edge(tables.children, tables.bases, contexts[index])
    return edges


@njit
def _structure(tables, n, begin, end):
    """The number of what is wrong with the n-grams after the contexts [begin, end) of n words, or 0."""
    first, suffix = tables.first, tables.suffix
    low = edge(tables.children, tables.bases, begin)
    for context in range(begin, end):
        high = edge(tables.children, tables.bases, context + 1)
        if not first[n] <= low <= high <= first[n + 1]:
            return 1
        last, stop = np.int64(-1), np.int64(first[1])
        if n > 1:
            shorter = np.int64(suffix[context])
            last = edge(tables.children, tables.bases, shorter) - 1
            stop = edge(tables.children, tables.bases, shorter + 1)
        for node in range(low, high):
            if not last < np.int64(suffix[node]) < stop:
                return 2
            last = np.int64(suffix[node])
        if high - low > FEW and not _indexed(tables, context, low, high):
            return 3
        low = high
    return 0


@njit
def _sums(tables, n, begin, end, p, p_below, gamma, totals):
    """The same of what words sum to.

    Args:
        totals: what they sum to after each context of fewer words, filled in for these; empty: to one.
    """
    lowest = 1 - (ROUNDED if len(totals) else TOLERANCE)
    low = edge(tables.children, tables.bases, begin)
    nodes = low
    for context in range(begin, end):
        high = edge(tables.children, tables.bases, context + 1)
        own, below, total = 0.0, 0.0, 1.0
        for node in range(low - nodes, high - nodes):
            if p[node] == 0:
                return 5
            own += p[node]
            below += p_below[node]
        if n > 1 and len(totals):
            total = np.float64(totals[np.int64(tables.suffix[context])])
        if gamma[context - begin] == 0:
            return 6
        total = own + gamma[context - begin] * max(total - below, 0.0)
        if len(totals):
            totals[context] = total
        if not lowest <= total <= 1 + TOLERANCE:
            return 4
        low = high
    return 0


@njit
def _indexed_ngrams(tables):
    """How many n-grams have a context of many children; -1 where children fall."""
    total, low = 0, edge(tables.children, tables.bases, 0)
    for context in range(len(tables.children) - 1):
        high = edge(tables.children, tables.bases, context + 1)
        if high < low:
            return -1
        if high - low > FEW:
            total += high - low
        low = high
    return total


@njit
def _indexed(tables, context, low, high):
    """Whether each child [low, high) of a context is edges through the index."""
    for node in range(low, high):
        word = np.int64(tables.suffix[node])
        while word >= tables.first[1]:
            word = np.int64(tables.suffix[word])
        slot = slot_of(context, word, len(tables.slots))
        target = tables.suffix[node]
        if look_up(tables.suffix, tables.slots, slot, low, high, target) != node:
            return False
    return True
