"""From counts to probabilities: interpolated modified Kneser–Ney, and simpler ways in the same frame.

    p(w | c) = (a(cw) - D(a(cw))) / (a(c·) + e(c)) + gamma(c) p(w | c')

order by order, with c' the context c less its first word; under the unigrams lies the uniform
distribution. gamma(c) is the mass that the discounts D and the extra counts e(c) take away, so p sums
to one. A smoothing says what a, D and e are (Chen and Goodman 1999, sections 2 and 3).
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Literal, NamedTuple, get_args

import numpy as np

from langue.base.arrays import Array
from langue.base.compiled import njit
from langue.base.parallel import default_workers, parallel_map
from langue.base.progress import log
from langue.models.counts.ngram.counts import Levels
from langue.models.counts.ngram.tables import NO_RULES, RULE, Tables, index_of

# For an order with too few counts to estimate from: what KenLM's --discount_fallback takes.
FALLBACK = (0.5, 1.0, 1.5)
CHUNK_NGRAMS = 1 << 17  # worked on by one thread at a time: long beside what it takes to hand them over
CHUNK_CONTEXTS = 1 << 16  # interpolated at a time: what is held beside the tables stays small
STUPID = 0.4  # the backoff of Brants et al. 2007, section 4

Smoothing = Literal["modified-kneser-ney", "absolute", "witten-bell", "add-k", "stupid-backoff"]
SMOOTHINGS: tuple[Smoothing, ...] = get_args(Smoothing)


class Rule(NamedTuple):
    """One order's a, D and e."""

    counts: Array  # a: (n-grams of the order,)
    discount: tuple[float, float, float, float]  # D of counts 0, 1, 2, and 3 or more
    extra_per_child: float = 0.0  # e(c) = this times the different words seen after c ...
    extra: float = 0.0  # ... plus this
    backoff: float = 0.0  # where it is not 0: gamma of every context, and p is the first term alone
    distinct: bool = False  # a is of the different words before an n-gram, but for one that begins with `<s>`


def estimate_tables(
    levels: Levels,
    smoothing: Smoothing = "modified-kneser-ney",
    *,
    k: float = 1.0,
    prune: tuple[int, ...] = (),
    absent: int | None = None,
) -> Tables:
    """Probabilities and backoffs of every n-gram counted. The counts are used up.

    Args:
        k: the count that `add-k` adds to every word of the vocabulary.
        prune: for orders 1, 2, ...: n-grams that occur at most so often are left out, and what they
            would take is given to the order below; the last holds for all orders above.
        absent: an id that no text holds, to which no probability is given.
    """
    suffix = _suffixes(levels)
    slots = index_of(levels.children, levels.word, levels.new)
    log_prob = levels.word.view(np.float32)  # suffixes name the words now; their memory serves again
    log_backoff = levels.new(len(levels.children) - 1, np.float32)
    words = _vocabulary_size(levels) - (absent is not None)
    lower = np.full(1, 1.0 / words)  # p of the order before, by suffix
    rules = np.zeros((levels.order, RULE))
    for n in range(1, levels.order + 1):
        counts = adjusted_counts(levels, suffix, n) if adjusts(smoothing) else raw_counts(levels, n)
        rule = rule_of(smoothing, counts, n, levels, k)
        rules[n - 1] = rule_row(rule, n)
        lower = _order(levels, suffix, n, rule, threshold_of(prune, n), lower, log_prob, log_backoff)
        if n == 1 and absent is not None:
            log_prob[absent] = -np.inf
    log_prob[levels.first[1] - 1] = 0  # `<s>` is given, not foretold: it costs nothing, as in files of lmplz
    tables = Tables(levels.first, suffix, log_prob, log_backoff, levels.children, slots)
    return prune_counts(levels, tables, rules, prune)


def prune_counts(levels: Levels, tables: Tables, rules: Array, prune: tuple[int, ...]) -> Tables:
    """Leave out the n-grams that occur too seldom; tables of all of them say by which `rules` they came."""
    if not any(prune):
        return tables._replace(rules=rules if rules.any() else NO_RULES).freeze()
    tables.freeze()
    kept = levels.new(len(tables.suffix), bool)
    kept[: levels.first[1]] = True
    for n in range(2, levels.order + 1):
        np.greater(levels.count[levels.level(n)], threshold_of(prune, n), out=kept[levels.level(n)])
    return tables.keep(kept, levels.new)


def rule_row(rule: Rule, n: int) -> Array:
    """What tells counts from probabilities, `(RULE,)`: D of 1, 2 and 3, e by child and beside, gamma of no
    context at all, and whether counts are of different words; of relative frequencies, nothing."""
    if rule.backoff:
        return np.zeros(RULE)
    gamma = 0.0
    if n == 1:
        seen = np.bincount(np.minimum(rule.counts, 3), minlength=4)
        added = rule.extra_per_child * seen[1:].sum() + rule.extra
        gamma = (np.dot(rule.discount, seen) + added) / (rule.counts.sum(dtype=np.int64) + added)
    return np.array([*rule.discount[1:], rule.extra_per_child, rule.extra, gamma, rule.distinct])


def _kneser_ney(counts: Array, n: int, levels: Levels, k: float) -> Rule:
    return Rule(counts, (0.0, *discounts(counts, n)), distinct=n < levels.order)


def _absolute(counts: Array, n: int, levels: Levels, k: float) -> Rule:
    """One discount for every count (Ney, Essen and Kneser 1994)."""
    t1, t2, *_ = counts_of_counts(counts)
    discount = t1 / (t1 + 2 * t2) if t1 and t2 else FALLBACK[0]
    return Rule(counts, (0.0, discount, discount, discount))


def _witten_bell(counts: Array, n: int, levels: Levels, k: float) -> Rule:
    """As many extra counts as different words were seen: what is new tends to be followed by the new."""
    return Rule(counts, (0.0, 0.0, 0.0, 0.0), extra_per_child=1.0)


def _add_k(counts: Array, n: int, levels: Levels, k: float) -> Rule:
    """k counts for every word, spread as the order below predicts (MacKay and Peto 1995); at order 1
    evenly, which is the add-k of the textbooks."""
    return Rule(counts, (0.0, 0.0, 0.0, 0.0), extra=k * _vocabulary_size(levels))


def _stupid_backoff(counts: Array, n: int, levels: Levels, k: float) -> Rule:
    """Relative frequencies, and one weight for every step down: scores that sum to more than one."""
    return Rule(counts, (0.0, 0.0, 0.0, 0.0), backoff=STUPID)


_RULES: dict[Smoothing, Callable[[Array, int, Levels, float], Rule]] = {
    "modified-kneser-ney": _kneser_ney,
    "absolute": _absolute,
    "witten-bell": _witten_bell,
    "add-k": _add_k,
    "stupid-backoff": _stupid_backoff,
}


def rule_of(smoothing: Smoothing, counts: Array, n: int, levels: Levels, k: float) -> Rule:
    """How order n is smoothed.

    Args:
        counts: `raw_counts`, or `adjusted_counts` where the smoothing `adjusts`.
        k: the count that `add-k` adds.
    """
    return _RULES[smoothing](counts, n, levels, k)


def adjusts(smoothing: Smoothing) -> bool:
    """Whether lower orders are estimated from the number of different words before an n-gram."""
    return smoothing == "modified-kneser-ney"


def adjusted_counts(levels: Levels, suffix: Array, n: int) -> Array:
    """How many different words stand before an n-gram; at the highest order, and for what begins with
    `<s>`, before which no word can stand, how often it occurs."""
    counts = raw_counts(levels, n)
    if n == levels.order:
        return counts
    starts = starts_at(levels, n)
    counts[:starts] = 0
    longer, first = suffix[levels.level(n + 1)], int(levels.first[n - 1])
    # All read all suffixes, and each counts for some n-grams: where one is counted is what takes time.
    ranges = min(default_workers(), len(longer) // CHUNK_NGRAMS + 1)
    edges = np.linspace(0, starts, ranges + 1).astype(np.int64)
    parallel_map(lambda part: tally(longer, first, *part, counts[slice(*part)]), pairwise(edges.tolist()))
    return counts


def discounts(counts: Array, order: int) -> tuple[float, float, float]:
    """D1, D2 and D3+ of one order, from its counts of counts (equation 26 of the paper)."""
    t1, t2, t3, t4 = counts_of_counts(counts)
    if t1 and t2 and t3:
        y = t1 / (t1 + 2 * t2)
        estimates = (1 - 2 * y * t2 / t1, 2 - 3 * y * t3 / t2, 3 - 4 * y * t4 / t3)
        # A discount of 0, which KenLM takes, would leave nothing for words never seen in a context.
        if all(0 < value <= times for times, value in enumerate(estimates, 1)):
            return estimates
    log.info("order %d: too few counts to estimate discounts from; taking %s, %s, %s", order, *FALLBACK)
    return FALLBACK


@njit
def counts_of_counts(counts):
    """Counts of counts: how many n-grams have the counts 1, 2, 3 and 4, `(4,)`."""
    totals = np.zeros(4)
    for times in counts:
        if 1 <= times <= 4:
            totals[times - 1] += 1
    return totals


def _vocabulary_size(levels: Levels) -> int:
    return int(levels.first[1]) - 1


def raw_counts(levels: Levels, n: int) -> Array:
    counts = levels.new(int(levels.first[n] - levels.first[n - 1]), np.uint32)
    counts[:] = levels.count[levels.level(n)]
    if n == 1:
        counts[-1] = 0  # `<s>` is read, never predicted
    return counts


def starts_at(levels: Levels, n: int) -> int:
    """Place in level n of the first n-gram that begins with `<s>`: the largest first word, so the last."""
    node = _vocabulary_size(levels)
    for _ in range(n - 1):
        node = int(levels.children[node])
    return node - int(levels.first[n - 1])


def threshold_of(prune: tuple[int, ...], n: int) -> int:
    # Words stay, whatever is asked: a vocabulary is not a matter of the model.
    return prune[min(n, len(prune)) - 1] if prune and n > 1 else -1


def _suffixes(levels: Levels) -> Array:
    """The node of each n-gram less its first word; of a unigram, itself."""
    suffix = levels.new(len(levels.word), np.uint32)
    suffix[: levels.first[min(2, levels.order)]] = levels.word[: levels.first[min(2, levels.order)]]
    for n in range(3, levels.order + 1):
        parallel_map(partial(link_contexts, levels, suffix), cut_contexts(levels, n))
    return suffix


def link_contexts(levels: Levels, suffix: Array, contexts: tuple[int, int]) -> None:
    low, high = contexts
    linked = suffix[int(levels.children[low]) : int(levels.children[high])]
    link(levels.children, levels.word, suffix[low:high], low, high, linked)


def cut_contexts(levels: Levels, n: int, size: int | None = None) -> Iterator[tuple[int, int]]:
    """Ranges of the contexts of order n, with about `size` n-grams in each; unless given, `CHUNK_NGRAMS`."""
    contexts = levels.level(n - 1)
    parts = int(levels.first[n] - levels.first[n - 1]) // (size or CHUNK_NGRAMS) + 1
    # In the type of what is searched, which numpy would copy otherwise.
    wanted = np.linspace(levels.first[n - 1], levels.first[n], parts + 1)[1:-1].astype(np.uint32)
    cuts = contexts.start + np.searchsorted(levels.children[contexts], wanted)
    return pairwise([contexts.start, *cuts.tolist(), contexts.stop])


class Order(NamedTuple):
    """The n-grams of one order; what is numbered from its first node is `(n-grams of the order,)`."""

    children: Array  # of all contexts, as in `Tables`
    suffix: Array  # numbered from its first node; and so are raw and, from the first below, lower
    first: int  # its first node
    first_below: int  # that of the order below
    raw: Array  # how often each occurs
    threshold: int  # n-grams that occur at most so often are left out
    lower: Array  # p of the order below


def _order(
    levels: Levels, suffix: Array, n: int, rule: Rule, threshold: int, lower: Array, log_prob: Array,
    log_backoff: Array,
) -> Array:  # fmt: skip
    """Fill in the n-grams of one order and the backoffs of their contexts; returns p."""
    here, raw = levels.level(n), levels.count[levels.level(n)]
    p = levels.new(len(raw), np.float64)
    if n == 1:
        interpolate(order_of_words(raw, threshold, lower), rule, 0, 1, p, log_prob[here], np.empty(1, "f4"))
        return p
    below = levels.level(n - 1)
    order = Order(levels.children, suffix[here], here.start, below.start, raw, threshold, lower)

    def fill(contexts: tuple[int, int]) -> None:
        low, high = contexts
        part = slice(int(levels.children[low]), int(levels.children[high]))
        own = slice(part.start - here.start, part.stop - here.start)
        interpolate(order, rule, low, high, p[own], log_prob[part], log_backoff[low:high])

    parallel_map(fill, cut_contexts(levels, n))
    return p


def order_of_words(raw: Array, threshold: int, lower: Array) -> Order:
    """The unigrams: children of one context, of no words."""
    edges, nothing = np.array([0, len(raw)], np.uint32), np.zeros(len(raw), np.uint32)
    return Order(edges, nothing, 0, 0, raw, threshold, lower)


def interpolate(
    order: Order, rule: Rule, low: int, high: int, p: Array, log_prob: Array, log_backoff: Array
) -> None:
    """Fill in what follows from contexts [low, high): p and log p of their n-grams, and log gamma of each."""
    first = int(order.children[low])
    for begin in range(low, high, CHUNK_CONTEXTS):
        end = min(begin + CHUNK_CONTEXTS, high)
        gamma = np.empty(end - begin)
        part = slice(int(order.children[begin]) - first, int(order.children[end]) - first)
        _interpolate(order, rule, begin, end, p[part], gamma)
        with np.errstate(divide="ignore"):
            np.log(p[part], out=log_prob[part], casting="same_kind")
            np.log(gamma, out=log_backoff[begin - low : end - low], casting="same_kind")


@njit
def tally(suffix, first, begin, end, counts):
    """Count the words that stand before each of the n-grams [begin, end), `(end - begin,)`."""
    for index in range(len(suffix)):
        ngram = np.int64(suffix[index]) - first
        if begin <= ngram < end:
            counts[ngram - begin] += np.uint32(1)


@njit
def link(children, word, suffix, begin, end, linked):
    """The suffix of every child of contexts [begin, end), found among the children of their suffix.

    Args:
        suffix: `(end - begin,)` of the contexts.
        linked: to be filled in, from the first child of the first context on.
    """
    origin = np.int64(children[begin])
    for context in range(begin, end):
        shorter = np.int64(suffix[context - begin])
        low, last = np.int64(children[shorter]), np.int64(children[shorter + 1])
        for child in range(np.int64(children[context]), np.int64(children[context + 1])):
            target, high = word[child], last
            while high - low > 1:
                middle = (low + high) >> 1
                if word[middle] <= target:
                    low = middle
                else:
                    high = middle
            linked[child - origin] = low


@njit
def _interpolate(order, rule, begin, end, p, gamma):
    """The equation above for contexts [begin, end): fills in p of their n-grams, and gamma of each."""
    children, suffix, first, first_below, raw, threshold, lower = order
    origin = np.int64(children[begin]) - first
    counts, discount, per_child, extra, backoff, _ = rule
    seen = np.zeros(4, np.int64)
    for context in range(begin, end):
        low, high = np.int64(children[context]) - first, np.int64(children[context + 1]) - first
        total = np.int64(0)
        pruned = np.int64(0)
        seen[:] = 0
        for child in range(low, high):
            a = np.int64(counts[child])
            total += a
            if np.int64(raw[child]) <= threshold:
                pruned += a
            else:
                seen[min(a, np.int64(3))] += 1
        added = per_child * (seen[1] + seen[2] + seen[3]) + extra
        taken = discount[1] * seen[1] + discount[2] * seen[2] + discount[3] * seen[3] + pruned + added
        below = taken / (total + added) if total > 0 else 1.0
        share = 1.0 / (total + added) if total > 0 else 0.0
        gamma[context - begin] = backoff if backoff > 0.0 else below
        if backoff:
            below = 0.0
        for child in range(low, high):
            a = np.int64(counts[child])
            shorter = np.int64(suffix[child]) - first_below
            p[child - origin] = (a - discount[min(a, np.int64(3))]) * share + below * lower[shorter]
