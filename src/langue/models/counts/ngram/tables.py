"""The trie of an estimated model: a few flat arrays that are mapped from disk as they are.

A node is an n-gram. Node w is the unigram w, the next one after the vocabulary is `<s>`, and the
bigrams, trigrams ... follow, each level sorted by context, then word. A node does not name its last
word: it names its suffix, the n-gram less its first word, and the suffix of a suffix ... is that word.
Children of a context are sorted by suffix as they are by word, for all their suffixes are children of
one node, the context's own suffix. So one array serves to find a word, to interpolate, and to step.

A context of few children is searched from end to end: they lie in two or three cache lines. The n-grams
of the others, one in eight, are found through a hash index.
"""

from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import overload

from langue.base.arrays import Array
from langue.base.checked import ArraySpec
from langue.base.compiled import njit, prefetch
from langue.models.counts.ngram.counts import New

FEW = 32  # children, of 4 bytes: two cache lines, and a few instructions
SLOTS = 1.2  # slots of the index for each n-gram in it; fewer make long searches
EMPTY = np.uint32(0xFFFFFFFF)
BINS = 256  # values of an order of quantized tables
SPAN = 1 << 16  # children that 16 bits tell apart
MOST_LOG = 1e4  # of a backoff, which pruning may raise above 0: no sum of some is infinite
NO_BINS, NO_BASES = np.empty((2, 0, BINS), np.float32), np.empty(0, np.uint32)
RULE = 7  # figures of the smoothing of an order: see `estimate.rule_row`
NO_RULES = np.empty((0, RULE))


class Tables(NamedTuple):
    """14 bytes a context, 8 a node of the highest order, and the index: about 13 an n-gram at order 5.

    While they are made, children are numbered in full, and take 16 bytes a context; see `narrow`.
    """

    # The first node of each level, and the end of the last.
    first: Annotated[Array, ArraySpec("int64", ("order + 1",), rising=True, first=0, last="nodes")]
    # The n-gram less its first word; of a unigram, itself.
    suffix: Annotated[Array, ArraySpec("uint32", ("nodes",), below="nodes")]
    # Natural log p(last word | words before), or its code.
    log_prob: Annotated[Array, ArraySpec(("float32", "uint8"), ("nodes",), impossible=True)]
    # Natural log gamma; contexts lie below the highest order.
    log_backoff: Annotated[Array, ArraySpec(("float32", "uint8"), ("contexts",), most=MOST_LOG)]
    children: Annotated[
        Array, ArraySpec(("uint16", "uint32"), ("contexts + 1",))
    ]  # the first of each: `edge`
    slots: Annotated[Array, ArraySpec("uint32", ("slots",))]  # nodes, hashed by context and word: `slot_of`
    # 2, words and blocks: what children are counted from; see `edge`.
    bases: Annotated[Array, ArraySpec("uint32", ("bases",))] = NO_BASES
    # What the codes of each order of quantized tables stand for; else empty.
    bins: Annotated[Array, ArraySpec("float32", (2, "coded", BINS), most=MOST_LOG, impossible=True)] = NO_BINS
    # How each order was smoothed, by which counts can be told from probabilities; empty where they cannot.
    rules: Annotated[Array, ArraySpec("float64", ("ruled", RULE))] = NO_RULES

    @property
    def order(self) -> int:
        return len(self.first) - 1

    def level(self, n: int) -> slice:
        """The nodes of the n-grams of `n` words."""
        return slice(int(self.first[n - 1]), int(self.first[n]))

    def words(self, new: New = np.empty) -> Array:
        """The last word of every node: `(nodes,)`."""
        word = new(len(self.suffix), np.uint32)
        _last_words(self.suffix, int(self.first[1]), word)
        return word

    def freeze(self) -> "Tables":
        """Made read-only, as mapped ones are: compiled code is made for one of them."""
        for array in self:
            array.flags.writeable = False
        return self

    def keep(self, kept: Array, new: New = np.empty) -> "Tables":
        """The tables of some of the nodes.

        Args:
            kept: `(nodes,)` bool. With an n-gram, its context and its suffix must be kept.
            new: makes the arrays.
        """
        first = np.r_[0, np.cumsum([np.count_nonzero(kept[self.level(n + 1)]) for n in range(self.order)])]
        nodes, contexts = int(first[-1]), int(first[-2])
        suffix, log_prob = new(nodes, np.uint32), new(nodes, np.float32)
        log_backoff, children = new(contexts, np.float32), new(contexts + 1, np.uint32)
        number = new(len(kept) + 1, np.uint32)
        tables = Tables(first, suffix, log_prob, log_backoff, children, np.empty(0, np.uint32))
        _keep(kept, self, number, tables)
        return tables._replace(slots=index_of(children, tables.words(new), new)).freeze()

    @property
    def quantized(self) -> bool:
        return self.bins.size > 0

    def narrow(self, new: New = np.empty) -> "Tables":
        """With children in 16 bits: themselves, if they are so already.

        Args:
            new: makes the array.
        """
        if len(self.bases):
            return self
        words = min(int(self.first[1]), len(self.children))
        for shift in range(10, -1, -1):  # with one context a block, nothing is left to tell apart
            starts = self.children[words :: 1 << shift]
            if shift == 0 or (np.diff(starts, append=self.children[-1]) < SPAN).all():
                break
        low = new(len(self.children), np.uint16)
        np.bitwise_and(self.children, SPAN - 1, out=low, casting="unsafe")
        heading = np.array([shift, words], np.uint32)
        bases = np.concatenate([heading, self.children[:words], starts])
        return self._replace(children=low, bases=bases).freeze()

    def exact(self) -> "Tables":
        """With children numbered in full, and numbers in place of codes: as they are estimated."""
        if not len(self.bases):
            return self
        children = np.empty(len(self.children), np.uint32)
        _widen(self.children, self.bases, children)
        wide = self._replace(children=children, bases=NO_BASES)
        if not self.quantized:
            return wide.freeze()
        log_prob, log_backoff = (
            np.empty(len(codes), np.float32) for codes in (self.log_prob, self.log_backoff)
        )
        for n in range(1, self.order + 1):
            here = self.level(n)
            log_prob[here] = self.bins[0, n - 1, self.log_prob[here]]
            if n < self.order:
                log_backoff[here] = self.bins[1, n - 1, self.log_backoff[here]]
        return wide._replace(log_prob=log_prob, log_backoff=log_backoff, bins=NO_BINS).freeze()

    def save(self, folder: Path) -> None:
        for name, array in self._asdict().items():
            if name in self._field_defaults and not array.size:
                continue
            np.save(folder / f"{name}.npy", array, allow_pickle=False)


def index_of(children: Array, word: Array, new: New = np.empty) -> Array:
    """The hash index over the contexts of many children.

    Args:
        word: `(nodes,)` uint32, the last word of every node.
        new: makes the array.
    """
    slots = new(int(_in_large(children) * SLOTS) + 1, np.uint32)
    slots[:] = EMPTY
    _fill(children, word, slots)
    return slots


@njit
def _last_words(suffix, words, word):
    for node in range(len(suffix)):
        shorter = np.int64(suffix[node])
        word[node] = shorter if shorter < words else word[shorter]


@njit
def _keep(kept, old, number, new):
    """Fill the tables `new` of the kept nodes; `number` with how many are kept before each node."""
    suffix, log_prob, log_backoff, children = old.suffix, old.log_prob, old.log_backoff, old.children
    new_suffix, new_log_prob, new_log_backoff = new.suffix, new.log_prob, new.log_backoff
    at = np.int64(0)
    for node in range(len(kept)):
        number[node] = at
        if kept[node]:
            new_suffix[at], new_log_prob[at] = number[np.int64(suffix[node])], log_prob[node]
            at += 1
    number[len(kept)] = at
    at = np.int64(0)
    for context in range(len(log_backoff)):
        if kept[context]:
            # A context's children begin where those of the context before end.
            new_log_backoff[at], new.children[at] = log_backoff[context], number[np.int64(children[context])]
            at += 1
    new.children[at] = number[len(kept)]


@njit
def _in_large(children):
    """Number of n-grams whose context has many children."""
    total = np.int64(0)
    for context in range(len(children) - 1):
        size = np.int64(children[context + 1]) - np.int64(children[context])
        if size > FEW:
            total += size
    return total


@njit
def _fill(children, word, slots):
    """Enter the nodes in their order, which `look_up` relies on."""
    for context in range(len(children) - 1):
        low, high = np.int64(children[context]), np.int64(children[context + 1])
        if high - low > FEW:
            for node in range(low, high):
                slot = slot_of(context, word[node], len(slots))
                while slots[slot] != EMPTY:
                    slot = slot + 1 if slot + 1 < len(slots) else np.int64(0)
                slots[slot] = node


@njit
def _widen(children, bases, wide):
    for context in range(len(children)):
        wide[context] = edge(children, bases, context)


def value(values: Any, bins: Any, which: int, n: Any, node: Any) -> Any:
    """The log-probability (`which` 0) or backoff (1) of a node of order n + 1, in compiled code."""
    raise NotImplementedError


@overload(value, inline="always")
def _value(values, bins, which, n, node):
    if isinstance(values.dtype, types.Float):
        return lambda values, bins, which, n, node: values[node]
    return lambda values, bins, which, n, node: bins[which, n, values[node]]


def edge(children: Any, bases: Any, context: Any) -> Any:
    """The first child of a context, in compiled code.

    In 16 bits, children are counted on from a number for a block of contexts, of `1 << bases[0]`; those of
    the first `bases[1]` contexts, the words, which have most children, stand in full among the numbers.
    """
    raise NotImplementedError


@overload(edge, inline="always")
def _edge(children, bases, context):
    if children.dtype == types.uint32:
        return lambda children, bases, context: np.int64(children[context])

    def narrow(children, bases, context):
        beyond = np.int64(context) - np.int64(bases[1])
        if beyond < 0:
            return np.int64(bases[2 + context])
        base = np.int64(bases[2 + np.int64(bases[1]) + (beyond >> np.int64(bases[0]))])
        return base + ((np.int64(children[context]) - base) & np.int64(SPAN - 1))

    return narrow


def fetch_word(children: Any, bases: Any, word: Any) -> Any:
    """Fetch what `edge` reads of a word, in compiled code."""
    raise NotImplementedError


@overload(fetch_word, inline="always")
def _fetch_word(children, bases, word):
    if children.dtype == types.uint32:
        return lambda children, bases, word: prefetch(children, word)
    return lambda children, bases, word: prefetch(bases, np.int64(2) + word)


@njit
def slot_of(context, word, size):
    """Hash of a context and a word, the slot where a search begins: a 64-bit mix, scaled to the table."""
    mixed = (np.uint64(context) << np.uint64(32) | np.uint64(word)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    return np.int64(((mixed >> np.uint64(32)) * np.uint64(size)) >> np.uint64(32))


@njit
def find(suffix, slots, low, high, slot, target):
    """The child in [low, high) whose suffix is `target`, or -1.

    Args:
        slot: `slot_of` the context and the word; read where there are more than `FEW` children.
    """
    if high - low <= FEW:
        return scan(suffix, low, high, target)
    return look_up(suffix, slots, slot, low, high, target)


@njit
def scan(suffix, low, high, target):
    child = np.int64(-1)
    for node in range(low, high):  # no way out early: what is guessed wrong costs more than it reads
        if suffix[node] == target:
            child = np.int64(node)
    return child


@njit
def look_up(suffix, slots, slot, low, high, target):
    # Nodes were entered in their order, so what stands before one is smaller: at a larger one, or at an empty
    # slot, which is larger than all, nothing more is to be found.
    while slots[slot] < high:
        node = np.int64(slots[slot])
        if node >= low and suffix[node] == target:
            return node
        slot += 1
        if slot == len(slots):
            slot = np.int64(0)
    return np.int64(-1)
