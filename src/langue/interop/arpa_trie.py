"""The n-grams of an ARPA file, in the order of the file, made the trie that langue walks."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from langue.base.arrays import Array
from langue.base.compiled import njit
from langue.base.errors import Damaged
from langue.models.counts.ngram.tables import Tables, index_of


class Section(NamedTuple):
    """The n-grams of one order, in the order of the file."""

    ids: Array  # (n-grams, n) uint32
    log_prob: Array  # (n-grams,) float32, natural
    log_backoff: Array  # (n-grams,) float32, natural


def tables_of(sections: list[Section], lines: list[int], path: Path) -> Tables:
    """The tables of n-grams, those put back that were pruned and that others need.

    Args:
        sections: of every order.
        lines: where each begins in the file, for messages.

    Raises:
        LangueError: an n-gram stands there twice.
    """
    tables = _assemble(sections, lines, path) or _assemble(_closed(sections), lines, path)
    assert tables is not None
    return tables


def _assemble(sections: list[Section], lines: list[int], path: Path) -> Tables | None:
    """The trie, or None where the context or the suffix of an n-gram is not there."""
    sizes = [len(section.log_prob) for section in sections]
    first = np.r_[0, np.cumsum(sizes)]
    nodes, contexts = int(first[-1]), int(first[-2])
    word, suffix = np.empty(nodes, np.uint32), np.empty(nodes, np.uint32)
    log_prob, log_backoff = np.empty(nodes, np.float32), np.zeros(contexts, np.float32)
    children = np.full(contexts + 1, nodes, np.uint32)
    for n, section in enumerate(sections, 1):
        here = slice(int(first[n - 1]), int(first[n]))
        if n == 1:
            word[here] = suffix[here] = section.ids[:, 0]
            by_key: Any = slice(None)
        else:
            context, shorter = (
                _locate(children, word, rows) for rows in (section.ids[:, :-1], section.ids[:, 1:])
            )
            if (context < 0).any() or (shorter < 0).any():
                return None
            keys = context.astype(np.uint64) << np.uint64(32) | section.ids[:, -1]
            by_key = np.argsort(keys, kind="stable")
            twice = np.flatnonzero(np.diff(keys[by_key]) == 0)
            if len(twice):
                line = lines[n - 1] + int(by_key[twice[0] + 1])
                raise Damaged(f"{path}, line {line:,}: this {n}-gram stands here for the second time")
            before = np.arange(first[n - 2], first[n - 1])
            children[before] = here.start + np.searchsorted(context[by_key], before)
            children[min(here.start, contexts)] = here.stop  # where the children of the last of them end
            word[here], suffix[here] = section.ids[by_key, -1], shorter[by_key]
        log_prob[here] = section.log_prob[by_key]
        if n < len(sections):
            log_backoff[here] = section.log_backoff[by_key]
    _fill_in(first, suffix, log_prob, log_backoff, children)
    return Tables(first, suffix, log_prob, log_backoff, children, index_of(children, word)).freeze()


def _closed(sections: list[Section]) -> list[Section]:
    """Sections with every context and suffix of every n-gram; those put in have NaN for a probability."""
    closed = list(sections)
    for n in range(len(sections) - 1, 1, -1):
        above, here = closed[n].ids, closed[n - 1]
        wanted = np.unique(np.concatenate([above[:, :-1], above[:, 1:]]), axis=0)
        whole = np.concatenate([here.ids, wanted])
        _, first = np.unique(whole, axis=0, return_index=True)
        new = whole[first[first >= len(here.ids)]]
        nothing = np.full(len(new), np.nan, np.float32)
        closed[n - 1] = Section(
            np.concatenate([here.ids, new]),
            np.r_[here.log_prob, nothing],
            np.r_[here.log_backoff, nothing * 0],
        )
    return closed


def _fill_in(first: Array, suffix: Array, log_prob: Array, log_backoff: Array, children: Array) -> None:
    """Give n-grams that were put back the probability they had without: that of backing off."""
    log_backoff[np.isnan(log_backoff)] = 0
    for n in range(2, len(first)):
        level = slice(int(first[n - 1]), int(first[n]))
        nodes = level.start + np.flatnonzero(np.isnan(log_prob[level]))
        context = np.searchsorted(children, nodes, side="right") - 1
        log_prob[nodes] = log_backoff[context] + log_prob[suffix[nodes]]


@njit
def _locate(children, word, rows):
    """The node of each row of words, or -1."""
    nodes = np.empty(len(rows), np.int64)
    for row in range(len(rows)):
        node = np.int64(rows[row, 0])
        for n in range(1, rows.shape[1]):
            low, high = np.int64(children[node]), np.int64(children[node + 1])
            end, target = high, rows[row, n]
            while low < high:
                middle = (low + high) >> 1
                if word[middle] < target:
                    low = middle + 1
                else:
                    high = middle
            if low == end or word[low] != target:
                node = np.int64(-1)
                break
            node = low
        nodes[row] = node
    return nodes
