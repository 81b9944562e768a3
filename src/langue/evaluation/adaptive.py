"""Counts that go on learning while a text is scored: a cache model (Kuhn and De Mori 1990) beside another.

Each token is scored first and counted afterwards, in one pass, so that nothing is predicted from itself. The
counts are an interpolated Witten-Bell model (Witten and Bell 1991) of what was read so far: with c(h w) times
that w followed h, in all c(h), and t(h) different ones,

    p(w | h) = (c(h w) + t(h) p(w | h without its first token)) / (c(h) + t(h)),

and 1 / V below the shortest. The model and the counts are mixed by weights for each length of the longest
history known, which learn as they go, too. What comes out is a distribution over all tokens that sums to one.
It is another figure than the model's own, for it depends on the texts before: the two are never compared.
"""

from collections.abc import Sequence

import numpy as np

from langue.base.arrays import Floats, Ids
from langue.base.compiled import njit

ORDER = 5  # of the counts: longer ones gain nothing
PRIOR = np.array([9.0, 1.0])  # tokens that the weights of the model and of the counts begin with


class AdaptiveCounts:
    """Counts of the tokens read so far, and their weights beside a model."""

    def __init__(self, size: int, eos: int) -> None:
        self.size, self.eos = size, eos
        self._keys = np.full(1 << 10, -1, np.int64)  # a hash table of (node, token)
        self._children = np.zeros(1 << 10, np.int64)
        # Of each n-gram its count, and as a history c(h) and t(h).
        self._nodes = np.zeros((3, 1 << 9), np.int64)
        self._used = np.ones(1, np.int64)
        self._weights = np.tile(PRIOR, (ORDER + 1, 1))  # by the number of histories known

    def mix(self, sequences: Sequence[Ids], log_probs: Sequence[Floats]) -> list[Floats]:
        """Score documents in their order, then learn from them: natural-log probabilities.

        Args:
            sequences: each document with its closing `<eos>`.
            log_probs: by the model.
        """
        return [self._document(ids, log_p) for ids, log_p in zip(sequences, log_probs, strict=True)]

    def _document(self, ids: Ids, log_p: Floats) -> Floats:
        self._grow(int(self._used[0]) + len(ids) * ORDER + 1)
        mixed = np.empty(len(ids), np.float32)
        table = (self._keys, self._children, self._nodes, self._used)
        _read(
            ids.astype(np.int64), log_p.astype(np.float64), self.size, self.eos, table, self._weights, mixed
        )
        return mixed

    def _grow(self, nodes: int) -> None:
        if nodes > self._nodes.shape[1]:
            more = np.zeros((3, max(nodes, 2 * self._nodes.shape[1])), np.int64)
            more[:, : self._nodes.shape[1]] = self._nodes
            self._nodes = more
        if 2 * nodes > len(self._keys):
            slots = 1 << (4 * nodes - 1).bit_length()
            keys, children = np.full(slots, -1, np.int64), np.zeros(slots, np.int64)
            _rehash(self._keys, self._children, keys, children)
            self._keys, self._children = keys, children


@njit
def _slot(keys, node, token):
    """Where a child stands in the hash table, or would."""
    key = (np.int64(node) << 32) | np.int64(token)
    mask = len(keys) - 1
    slot = ((key * np.int64(-7046029254386353131)) >> 20) & mask  # 2^64 / the golden ratio
    while keys[slot] != key and keys[slot] != -1:
        slot = (slot + 1) & mask
    return slot, key


@njit
def _child(keys, children, used, node, token):
    """The n-gram of a history and a token, which is made where it is new."""
    slot, key = _slot(keys, node, token)
    if keys[slot] != key:
        keys[slot], children[slot] = key, used[0]
        used[0] += 1
    return children[slot]


@njit
def _rehash(keys, children, new_keys, new_children):
    for old in range(len(keys)):
        if keys[old] != -1:
            slot, key = _slot(new_keys, keys[old] >> 32, keys[old] & 0xFFFFFFFF)
            new_keys[slot], new_children[slot] = key, children[old]


@njit
def _read(ids, log_p, size, eos, table, weights, mixed):
    keys, children, nodes, used = table
    order = len(weights) - 1
    histories = np.full(order, -1, np.int64)  # nodes of the last 0, 1, … tokens; -1: not in this document
    histories[0] = 0
    histories[1] = _child(keys, children, used, 0, eos)
    for index in range(len(ids)):
        token = ids[index]
        p, known = _probability(keys, children, nodes, histories, token, size)
        model, counts = weights[known]
        own, other = model * np.exp(log_p[index]), counts * p
        mixed[index] = np.log((own + other) / (model + counts))
        weights[known, 0] += own / (own + other)
        weights[known, 1] += other / (own + other)
        _learn(keys, children, nodes, used, histories, token)


@njit
def _probability(keys, children, nodes, histories, token, size):
    """p(token | histories), and how many of the histories were seen to go on."""
    p, known = 1.0 / size, 0
    for n in range(len(histories)):
        node = histories[n]
        if node < 0 or nodes[1, node] == 0:
            break
        slot, key = _slot(keys, node, token)
        count = nodes[0, children[slot]] if keys[slot] == key else 0
        p = (count + nodes[2, node] * p) / (nodes[1, node] + nodes[2, node])
        known = n + 1
    return p, known


@njit
def _learn(keys, children, nodes, used, histories, token):
    """Count a token after each history, and move the histories on by it, the longest first."""
    for n in range(len(histories) - 1, -1, -1):
        node, child = histories[n], np.int64(-1)
        if node >= 0:
            child = _child(keys, children, used, node, token)
            nodes[2, node] += nodes[0, child] == 0
            nodes[0, child] += 1
            nodes[1, node] += 1
        if n + 1 < len(histories):
            histories[n + 1] = child
