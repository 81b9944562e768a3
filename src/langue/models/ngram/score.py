"""Walking the trie: scores of a text, steps of a state, the distribution of the next word.

A state is one node, the longest context that the words so far end with; its suffixes are the shorter
ones. A word is looked up in them from the shortest to the longest: found after one, its node is the
suffix to look for after the next. A match that is shorter than the context pays the backoffs of the
contexts it fell short of.

Most of the time goes into waiting for memory, and into branches guessed wrong. So a text is walked by
several streams in lockstep, each in a part of its own: what one needs next is fetched while the others
work, and only those that may still find a longer n-gram look for it.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from langue.base.compiled import njit
from langue.models.ngram.counts import THREADS, Numbers, each
from langue.models.ngram.tables import FEW, Tables, edge, find, look_up, scan, slot_of, value

STREAMS = 16  # in lockstep: 8 are slower by 4 %, 32 no faster (docs/log.md)
SHORT = 4096  # positions: as many are scored in the time it takes to start a thread


def _prefetching(context: Any, array: Any, index: Any) -> Any:
    """Code that asks for the cache line of array[index], and do not wait."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        place = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(8).as_pointer())
        integer = ir.IntType(32)
        form = ir.FunctionType(ir.VoidType(), [place.type, integer, integer, integer])
        function = builder.module.declare_intrinsic("llvm.prefetch", [place.type], form)
        builder.call(function, [place, integer(0), integer(3), integer(1)])  # to read, keep, data
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


_prefetch: Any = intrinsic(_prefetching)


def score(tables: Tables, stream: Numbers, *, threads: int = THREADS) -> tuple[Numbers, Numbers]:
    """Score a stream of documents.

    Args:
        stream: `(positions,)` uint32, each document after its `<s>`.

    Returns:
        log_probs: `(positions,)` float32, natural logs; 0 for `<s>`.
        lengths: `(positions,)` uint8, words of the n-gram that was found; 0 for `<s>`.
    """
    log_probs, lengths = np.zeros(len(stream), np.float32), np.zeros(len(stream), np.uint8)
    if len(stream) <= SHORT or threads == 1:
        _lockstep(*tables, stream, 0, len(stream), log_probs, lengths)
    else:
        edges = [len(stream) * part // threads for part in range(threads + 1)]
        each(lambda begin, end: _lockstep(*tables, stream, begin, end, log_probs, lengths), edges, edges[1:])
    return log_probs, lengths


@njit
def _lockstep(  # type: ignore[no-untyped-def]  # noqa: C901  # a call for each stage halves the speed
    first, suffix, log_prob, log_backoff, children, slots, bins, bases, stream, begin, end, log_probs, lengths
):
    """Score positions [begin, end). Before where a stream begins, order - 1 words are read again."""
    order = len(first) - 1
    counted, stop = np.empty(STREAMS, np.int64), np.empty(STREAMS, np.int64)  # the part of each stream
    for s in range(STREAMS):
        counted[s] = begin + (end - begin) * s // STREAMS
        stop[s] = begin + (end - begin) * (s + 1) // STREAMS
    # What is kept as uint32 is known not to be negative, and indexes without a test for that.
    at = np.maximum(counted - (order - 1), 0)  # where each stream reads
    nodes = np.empty((STREAMS, order + 1), np.uint32)  # contexts of 1, 2 ... words, replaced by matches
    depth = np.zeros(STREAMS, np.int64)  # how many contexts there are
    fertile = np.zeros(STREAMS, np.int64)  # how many of them have children
    found = np.empty(STREAMS, np.int64)  # how many matches
    low, high = np.empty((STREAMS, order), np.uint32), np.empty((STREAMS, order), np.uint32)
    slot = np.empty((STREAMS, order), np.uint32)
    backoff = np.zeros((STREAMS, order + 1), np.float32)  # summed over contexts of n words and more
    waiting = np.empty(STREAMS, np.uint32)  # the streams whose word may be found after a longer context
    for _ in range((stop - at).max()):
        left = np.int64(0)
        for s in range(STREAMS):
            if at[s] < stop[s]:
                word = np.int64(stream[at[s]])
                fertile[s] = _open(
                    suffix, log_backoff, children, slots, bins, bases, nodes, s, depth[s], word, low, high,
                    slot, backoff,
                )  # fmt: skip
                nodes[s, 0] = word
                found[s] = 1
                _prefetch(log_prob, word)
                _prefetch(children, word)
                _prefetch(log_backoff, word)
                waiting[left] = s
                left += fertile[s] > 0
        for index in range(left):
            row = np.int64(waiting[index])
            _reach(suffix, slots, row, fertile[row], low, high, slot)
        for n in range(order - 1):
            going_on = np.int64(0)
            for index in range(left):
                row = np.int64(waiting[index])
                first_child, last = np.int64(low[row, n]), np.int64(high[row, n])
                if last - first_child <= FEW:
                    node = scan(suffix, first_child, last, nodes[row, n])
                else:
                    node = look_up(suffix, slots, np.int64(slot[row, n]), first_child, last, nodes[row, n])
                if node >= 0:
                    nodes[row, n + 1] = node
                    found[row] = n + 2
                    _prefetch(log_prob, node)
                    _prefetch(children, node)  # beyond the end at the highest order: it does nothing
                    _prefetch(log_backoff, node)
                    waiting[going_on] = row
                    going_on += n + 1 < fertile[row]
            left = going_on
        _settle(log_prob, bins, first[1] - 1, counted, stop, at, nodes, found, backoff, log_probs, lengths)
        for s in range(STREAMS):
            depth[s] = min(found[s], order - 1)
            at[s] += 1


@njit(inline="always")
def _open(  # type: ignore[no-untyped-def]
    suffix, log_backoff, children, slots, bins, bases, nodes, s, depth, word, low, high, slot, backoff
):
    """Read where the children of each context of row s lie, and what falling short of it costs.

    Returns:
        How many contexts have children; where one has none, no longer one has.
    """
    fertile = 0
    for n in range(depth):
        context = np.int64(nodes[s, n])
        begin, end = edge(children, bases, context), edge(children, bases, context + 1)
        low[s, n], high[s, n] = begin, end
        fertile += begin < end  # to leave here instead would be guessed wrong too often
        if end - begin <= FEW:
            _prefetch(suffix, begin)
            _prefetch(suffix, end - 1)
        else:
            place = slot_of(context, word, len(slots))
            slot[s, n] = place
            _prefetch(slots, place)
    backoff[s, depth] = 0
    for n in range(depth - 1, -1, -1):
        backoff[s, n] = backoff[s, n + 1] + value(log_backoff, bins, 1, n, np.int64(nodes[s, n]))
    return fertile


@njit(inline="always")
def _reach(suffix, slots, s, fertile, low, high, slot):  # type: ignore[no-untyped-def]
    """Fetch what the slots of the index point to."""
    for n in range(fertile):
        if np.int64(high[s, n]) - np.int64(low[s, n]) > FEW:
            _prefetch(suffix, np.int64(slots[np.int64(slot[s, n])]))


@njit(inline="always")
def _settle(log_prob, bins, start, counted, stop, at, nodes, found, backoff, log_probs, lengths):  # type: ignore[no-untyped-def]
    """Write down what each stream found for the word it reads."""
    for s in range(STREAMS):
        if counted[s] <= at[s] < stop[s] and nodes[s, 0] != start:
            match = found[s]
            found_prob = value(log_prob, bins, 0, match - 1, np.int64(nodes[s, match - 1]))
            log_probs[at[s]] = found_prob + backoff[s, match - 1]
            lengths[at[s]] = match


@njit
def sums_of(begins, log_probs, sums):  # type: ignore[no-untyped-def]
    """Fill `sums` `(parts,)` with those of log_probs[begins[i] : begins[i + 1]]."""
    for part in range(len(sums)):
        total = 0.0
        for place in range(begins[part], begins[part + 1]):
            total += log_probs[place]
        sums[part] = total


@njit
def totals(stream, start, unknown, log_probs):  # type: ignore[no-untyped-def]
    """The sum of log-probabilities, that of unknown words among them, how many these are, and the tokens."""
    total, unknown_total, unknowns, tokens = 0.0, 0.0, 0, 0
    for place in range(len(stream)):
        if stream[place] != start:
            tokens += 1
            total += log_probs[place]
            if stream[place] == unknown:
                unknowns += 1
                unknown_total += log_probs[place]
    return total, unknown_total, unknowns, tokens


@njit
def step(  # type: ignore[no-untyped-def]
    first, suffix, log_prob, log_backoff, children, slots, bins, bases, states, words, log_probs, lengths
):
    """Read one word in each state: `states` `(batch,)` is overwritten, the rest `(batch,)` filled.

    A state is a context and may be -1, the empty one; so may be the states that result (order 1).
    """
    order = len(first) - 1
    nodes, backoff = np.empty((1, order + 1), np.uint32), np.zeros((1, order + 1), np.float32)
    low, high = np.empty((1, order), np.uint32), np.empty((1, order), np.uint32)
    slot = np.empty((1, order), np.uint32)
    for at in range(len(states)):
        depth = _contexts(first, suffix, states[at], nodes)
        word = np.int64(words[at])
        fertile = _open(
            suffix, log_backoff, children, slots, bins, bases, nodes, 0, depth, word, low, high, slot, backoff
        )
        node, length = word, 1
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
            length += 1
        log_probs[at] = value(log_prob, bins, 0, length - 1, node) + backoff[0, length - 1]
        lengths[at] = length
        states[at] = node if length < order else np.int64(suffix[node]) if order > 1 else -1


@njit
def _contexts(first, suffix, state, nodes):  # type: ignore[no-untyped-def]
    """The contexts of 1, 2 ... words that end a state; returns how many there are."""
    depth = 0
    if state >= 0:
        while first[depth] <= state:
            depth += 1
        for n in range(depth - 1, -1, -1):
            nodes[0, n] = state
            state = np.int64(suffix[state])
    return depth


@njit
def distribution(  # type: ignore[no-untyped-def]
    first, suffix, log_prob, log_backoff, children, slots, bins, bases, state, row
):
    """Fill `row` `(vocabulary,)` with the log-probabilities of every word after a state.

    From the shortest context to the longest: each backs off from what stands there and overwrites
    what it has seen itself.
    """
    nodes = np.empty((1, len(first)), np.uint32)
    depth = _contexts(first, suffix, state, nodes)
    for id in range(len(row)):
        row[id] = value(log_prob, bins, 0, 0, id)
    before, words = np.int64(0), np.empty(0, np.uint32)  # the first child of the context before; their words
    for n in range(depth):
        row += value(log_backoff, bins, 1, n, np.int64(nodes[0, n]))
        context = np.int64(nodes[0, n])
        low, high = edge(children, bases, context), edge(children, bases, context + 1)
        own = np.empty(high - low, np.uint32)
        for node in range(low, high):
            shorter = np.int64(suffix[node])
            word = words[shorter - before] if n else np.uint32(shorter)
            own[node - low] = word
            if word < len(row):
                row[word] = value(log_prob, bins, 0, n + 1, node)
        before, words = low, own
