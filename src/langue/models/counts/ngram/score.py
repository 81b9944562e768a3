"""Walking the trie: scores of a text, steps of a state, the distribution of the next word.

A state is one node, the longest context that the words so far end with; its suffixes are the shorter
ones. A word is looked up in them from the shortest to the longest: found after one, its node is the
suffix to look for after the next. A match that is shorter than the context pays the backoffs of the
contexts it fell short of.

Most of the time goes into waiting for memory, and into branches guessed wrong. So a text is walked by
several streams in lockstep, each in a part of its own: what one needs next is fetched while the others
work, and only those that may still find a longer n-gram look for it.
"""

from itertools import pairwise

import numpy as np

from langue.base.arrays import Array
from langue.base.compiled import njit, prefetch
from langue.base.parallel import parallel_map
from langue.models.counts.ngram.tables import (
    FEW,
    Tables,
    edge,
    fetch_word,
    find,
    look_up,
    scan,
    slot_of,
    value,
)

STREAMS = 16  # in lockstep: 8 are slower by 4 %, 32 no faster (docs/log.md)
CHUNK_POSITIONS = 1 << 14  # scored at a time by one thread: long beside the 16 contexts that are read again


def score(tables: Tables, stream: Array, *, workers: int | None = None) -> tuple[Array, Array]:
    """Score a stream of documents.

    Args:
        stream: `(positions,)` uint32, each document after its `<s>`.
        workers: see `parallel_map`.

    Returns:
        log_probs: `(positions,)` float32, natural logs; 0 for `<s>`.
        lengths: `(positions,)` uint8, words of the n-gram that was found; 0 for `<s>`.
    """
    log_probs, lengths = np.zeros(len(stream), np.float32), np.zeros(len(stream), np.uint8)
    parts = len(stream) // CHUNK_POSITIONS + 1
    edges = [len(stream) * part // parts for part in range(parts + 1)]
    parallel_map(
        lambda span: _lockstep(tables, stream, *span, log_probs, lengths), pairwise(edges), workers=workers
    )
    return log_probs, lengths


@njit
def _lockstep(tables, stream, begin, end, log_probs, lengths):  # noqa: C901  # a call a stage halves the speed
    """Score positions [begin, end). Before where a stream begins, order - 1 words are read again.

    What a match is worth is fetched when it is known to be the longest, and written down a turn later.
    """
    first, suffix, log_prob, log_backoff, children, slots, bases, _, _ = tables
    order = len(first) - 1
    counted, stop = np.empty(STREAMS, np.int64), np.empty(STREAMS, np.int64)  # the part of each stream
    for s in range(STREAMS):
        counted[s] = begin + (end - begin) * s // STREAMS
        stop[s] = begin + (end - begin) * (s + 1) // STREAMS
    # What is kept as uint32 is known not to be negative, and indexes without a test for that.
    at = np.maximum(counted - (order - 1), 0)  # where each stream reads
    # Matches of 1, 2 ... words for each stream, which a turn later are the contexts: two halves in turn.
    nodes = np.zeros((2, STREAMS, order + 1), np.uint32)
    depth = np.zeros((2, STREAMS), np.int64)  # how many contexts there are
    fertile = np.zeros(STREAMS, np.int64)  # how many of them have children
    matches = np.ones(STREAMS, np.int64)  # how many matches
    low, high = np.empty((STREAMS, order), np.uint32), np.empty((STREAMS, order), np.uint32)
    slot = np.empty((STREAMS, order), np.uint32)
    waiting = np.empty(STREAMS, np.uint32)  # the streams whose word may be found after a longer context
    turns = (stop - at).max()
    for turn in range(turns + 1):
        old, new = turn & 1, 1 - (turn & 1)  # the halves of contexts, and of matches
        left = np.int64(0)
        for s in range(STREAMS):
            if at[s] < stop[s]:
                word = np.int64(stream[at[s]])
                fertile[s] = _open(tables, nodes, old, s, depth[old, s], word, low, high, slot)
                fetch_word(children, bases, word)
                waiting[left] = s
                left += fertile[s] > 0
        for s in range(STREAMS):
            if counted[s] < at[s] <= stop[s] and nodes[old, s, 0] != first[1] - 1:
                log_probs[at[s] - 1] = _worth(tables, nodes, old, s, matches[s], depth[new, s])
                lengths[at[s] - 1] = matches[s]
        for s in range(STREAMS):
            if at[s] < stop[s]:
                nodes[new, s, 0] = stream[at[s]]
            matches[s] = 1
        for index in range(left):
            row = np.int64(waiting[index])
            _reach(tables, row, fertile[row], low, high, slot)
        for n in range(order - 1):
            going_on = np.int64(0)
            for index in range(left):
                row = np.int64(waiting[index])
                begins, ends, target = np.int64(low[row, n]), np.int64(high[row, n]), nodes[new, row, n]
                if ends - begins <= FEW:
                    node = scan(suffix, begins, ends, target)
                else:
                    node = look_up(suffix, slots, np.int64(slot[row, n]), begins, ends, target)
                if node >= 0:
                    nodes[new, row, n + 1] = node
                    matches[row] = n + 2
                    prefetch(children, node)  # beyond the end at the highest order: it does nothing
                    waiting[going_on] = row
                    going_on += n + 1 < fertile[row]
            left = going_on
        for s in range(STREAMS):
            match = matches[s]
            prefetch(log_prob, np.int64(nodes[new, s, match - 1]))
            for n in range(match - 1, depth[old, s]):
                prefetch(log_backoff, np.int64(nodes[old, s, n]))
            depth[new, s] = min(match, order - 1)
            at[s] += 1


@njit(inline="always")
def _open(tables, nodes, old, s, depth, word, low, high, slot):
    """Read where the children of each context nodes[old, s] lie, and fetch where the word may be.

    Returns:
        How many contexts have children; where one has none, no longer one has.
    """
    suffix, children, slots, bases = tables.suffix, tables.children, tables.slots, tables.bases
    fertile = 0
    for n in range(depth):
        context = np.int64(nodes[old, s, n])
        begin, end = edge(children, bases, context), edge(children, bases, context + 1)
        low[s, n], high[s, n] = begin, end
        fertile += begin < end  # to leave here instead would be guessed wrong too often
        if end - begin <= FEW:
            prefetch(suffix, begin)
            prefetch(suffix, end - 1)
        else:
            first_slot = slot_of(context, word, len(slots))
            slot[s, n] = first_slot
            prefetch(slots, first_slot)
    return fertile


@njit(inline="always")
def _reach(tables, s, fertile, low, high, slot):
    """Fetch what the slots of the index point to."""
    for n in range(fertile):
        if np.int64(high[s, n]) - np.int64(low[s, n]) > FEW:
            prefetch(tables.suffix, np.int64(tables.slots[np.int64(slot[s, n])]))


@njit(inline="always")
def _worth(tables, nodes, new, s, match, depth):
    """Log-probability of the word whose matches are nodes[new, s], the longest of `match` words: that of the
    match, and the backoffs of the contexts nodes[1 - new, s], `depth` of them, that have as many words."""
    total = value(tables.log_prob, tables.bins, 0, match - 1, np.int64(nodes[new, s, match - 1]))
    for n in range(match - 1, depth):
        total += value(tables.log_backoff, tables.bins, 1, n, np.int64(nodes[1 - new, s, n]))
    return total


@njit
def sums_of(begins, log_probs, sums):
    """Fill `sums` `(parts,)` with those of log_probs[begins[i] : begins[i + 1]]."""
    for part in range(len(sums)):
        total = 0.0
        for position in range(begins[part], begins[part + 1]):
            total += log_probs[position]
        sums[part] = total


@njit
def totals(stream, begins, unknown, log_probs):
    """The sum of log-probabilities, that of unknown words among them, how many these are, and the tokens."""
    total, unknown_total, unknowns, tokens = 0.0, 0.0, 0, 0
    for part in range(len(begins) - 1):
        for position in range(begins[part] + 1, begins[part + 1]):
            tokens += 1
            total += log_probs[position]
            if stream[position] == unknown:
                unknowns += 1
                unknown_total += log_probs[position]
    return total, unknown_total, unknowns, tokens


@njit
def line_totals(stream, begins, unknown, log_probs, sums, unknowns):
    """Fill `sums` and `unknowns` `(parts,)`: of each part the sum of log-probabilities, and how many of its
    words are unknown."""
    for part in range(len(begins) - 1):
        total, count = 0.0, 0
        for position in range(begins[part] + 1, begins[part + 1]):
            total += log_probs[position]
            count += stream[position] == unknown
        sums[part], unknowns[part] = total, count


@njit
def score_marks(tables, stream, begins, log_probs, lengths):
    """Score each `<s>` that a document itself holds, as KenLM does: its unigram, and the backoffs of what
    stands before it. `begins` `(documents + 1,)` is where each begins in the stream, and the last ends."""
    start, order = tables.first[1] - 1, len(tables.first) - 1
    state, log_prob, length = np.empty(1, np.int64), np.empty(1, np.float32), np.empty(1, np.uint8)
    for part in range(len(begins) - 1):
        for position in range(begins[part] + 1, begins[part + 1]):
            if stream[position] == start:
                state[0] = -1
                for before in range(max(begins[part], position - order + 1, 0), position + 1):
                    step(tables, state, stream[before : before + 1], log_prob, length)
                log_probs[position], lengths[position] = log_prob[0], length[0]


@njit(linked=True)
def step(tables, states, words, log_probs, lengths):
    """Read one word in each state: `states` `(batch,)` is overwritten, the rest `(batch,)` filled.

    A state is a context and may be -1, the empty one; so may be the states that result (order 1).
    """
    first, suffix, slots = tables.first, tables.suffix, tables.slots
    order = len(first) - 1
    nodes = np.zeros((2, 1, order + 1), np.uint32)  # contexts, and matches
    low, high = np.empty((1, order), np.uint32), np.empty((1, order), np.uint32)
    slot = np.empty((1, order), np.uint32)
    for at in range(len(states)):
        depth = _contexts(first, suffix, states[at], nodes)
        word = np.int64(words[at])
        fertile = _open(tables, nodes, 0, 0, depth, word, low, high, slot)
        node, length = word, 1
        nodes[1, 0, 0] = word
        while length <= fertile:
            n = length - 1
            longer = find(
                suffix,
                slots,
                np.int64(low[0, n]),
                np.int64(high[0, n]),
                np.int64(slot[0, n]),
                np.uint32(node),
            )
            if longer < 0:
                break
            node = longer
            nodes[1, 0, length] = node
            length += 1
        log_probs[at] = _worth(tables, nodes, 1, 0, length, depth)
        lengths[at] = length
        states[at] = _shortest(
            tables, node if length < order else np.int64(suffix[node]), min(length, order - 1)
        )


@njit
def read(tables, states, lengths, words, counts):
    """Read on in each state `(B,)` as many of the words as `counts` `(B,)` has; `lengths` `(B,)` are those of
    the last n-grams."""
    log_prob, length = np.empty(1, np.float32), np.empty(1, np.uint8)
    begin = 0
    for row in range(len(states)):
        for at in range(begin, begin + counts[row]):
            step(tables, states[row : row + 1], words[at : at + 1], log_prob, length)
            lengths[row] = length[0]
        begin += counts[row]


@njit
def _shortest(tables, node, length):
    """The shortest context that stands for one of `length` words: as long as no n-gram begins with it and its
    backoff is 0, nothing is lost without its first word."""
    while length > 0:
        begin, end = (
            edge(tables.children, tables.bases, node),
            edge(tables.children, tables.bases, node + 1),
        )
        if begin < end or value(tables.log_backoff, tables.bins, 1, length - 1, node) != 0:
            break
        node = np.int64(tables.suffix[node])
        length -= 1
    return node if length > 0 else np.int64(-1)


@njit
def _contexts(first, suffix, state, nodes):
    """The contexts of 1, 2 ... words that end a state; returns how many there are."""
    depth = 0
    if state >= 0:
        while first[depth] <= state:
            depth += 1
        for n in range(depth - 1, -1, -1):
            nodes[0, 0, n] = state
            state = np.int64(suffix[state])
    return depth


@njit(linked=True)
def distribution(tables, state, row):
    """Fill `row` `(vocabulary,)` with the log-probabilities of every word after a state.

    From the shortest context to the longest: each backs off from what stands there and overwrites
    what it has seen itself.
    """
    first, suffix, log_prob, log_backoff, children, _, bases, bins, _ = tables
    nodes = np.empty((1, 1, len(first)), np.uint32)
    depth = _contexts(first, suffix, state, nodes)
    for id in range(len(row)):
        row[id] = value(log_prob, bins, 0, 0, id)
    before, words = np.int64(0), np.empty(0, np.uint32)  # the first child of the context before; their words
    for n in range(depth):
        row += value(log_backoff, bins, 1, n, np.int64(nodes[0, 0, n]))
        context = np.int64(nodes[0, 0, n])
        low, high = edge(children, bases, context), edge(children, bases, context + 1)
        own = np.empty(high - low, np.uint32)
        for node in range(low, high):
            shorter = np.int64(suffix[node])
            word = words[shorter - before] if n else np.uint32(shorter)
            own[node - low] = word
            if word < len(row):
                row[word] = value(log_prob, bins, 0, n + 1, node)
        before, words = low, own
