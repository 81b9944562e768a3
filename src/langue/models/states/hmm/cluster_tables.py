"""Forward–backward where a word is emitted by the states of its own cluster alone (Chiu and Rush 2020, 3.2).

M clusters of words, S states to each, K = M S in all. Where the words are known their clusters are, so a
message has S numbers and not K, and of the K² transitions only the blocks between clusters that do follow
each other are ever made. The softmax over all next states is one over clusters and one within a cluster,

    p(z' | z) = p(c' | z) p(z' | z, c')        p(z' | z, c') ∝ exp out(z)·into(z')

so that a block needs no other to be normalized (the paper normalizes over all K states, and makes all K²).
Messages are doubles, scaled at each position; blocks are float32. Letters: N positions, P pairs of clusters.
"""

from typing import NamedTuple

import numpy as np
import torch

from langue.base.arrays import Array
from langue.base.compiled import njit
from langue.inference.batched import imap_products, map_products
from langue.inference.chain import map_blocks

NOTHING = -1  # in place of a cluster or a pair: nothing was read yet
UNREACHED = 1e-250  # a message below is none: what would follow has no bound


class Tables(NamedTuple):
    """An HMM in blocks: float32, natural logs but for the vectors."""

    first: torch.Tensor  # (2, M, S) first state of a document, and of a piece from inside one
    leave: torch.Tensor  # (M, M, S) next cluster: from, to, state of `from`
    out: torch.Tensor  # (M, S, C)
    into: torch.Tensor  # (M, S, C)
    emission: torch.Tensor  # (V, S) of each word, by state of its cluster


class Messages(NamedTuple):
    """Forward messages at the last word of some sequences."""

    clusters: Array  # (B,) of the last word; -1 before a document, -2 before a piece from inside one
    alpha: Array  # (B, S) probability of each state of that cluster

    @classmethod
    def none(cls, B: int, S: int) -> "Messages":
        """Sequences of which nothing was read yet."""
        return cls(np.full(B, NOTHING, np.int64), np.zeros((B, S)))


class Layout(NamedTuple):
    """Sequences one after another, and the blocks between their clusters."""

    words: Array  # (N,)
    clusters: Array  # (N,)
    offsets: Array  # (sequences + 1,)
    pairs: Array  # (N,) number of the block that leads there, or `NOTHING`
    codes: Array  # (P,) from × M + to, ascending

    @classmethod
    def of(cls, words: Array, offsets: Array, classes: Array, M: int, before: Array) -> "Layout":
        """Args: classes `(V,)` cluster of each word; before `(sequences,)` cluster read before each."""
        clusters = classes[words]
        sources = np.r_[NOTHING, clusters[:-1]]
        some = offsets[:-1] < offsets[1:]
        sources[offsets[:-1][some]] = before[some]
        codes, pairs = np.unique(np.where(sources >= 0, sources * M + clusters, NOTHING), return_inverse=True)
        if len(codes) and codes[0] == NOTHING:
            codes, pairs = codes[1:], pairs - 1
        return cls(words, clusters, offsets, pairs, codes)


class Blocks(NamedTuple):
    """p(z' | z, c') of some pairs. Row i of pair p is `table[base[p] + i × stride[p]]`: all pairs from one
    cluster are one product."""

    table: Array  # (P S, S) float32
    base: Array  # (P,)
    stride: Array  # (P,)


class Scaled(NamedTuple):
    """Tables as doubles, each row divided by its largest, whose log is kept."""

    first: Array  # (2, M, S)
    first_log: Array  # (2, M)
    leave: Array  # (M, M, S)
    leave_log: Array  # (M, M)
    emission: Array  # (V, S)
    emission_log: Array  # (V,)

    @classmethod
    def of(cls, tables: Tables) -> "Scaled":
        parts = []
        for logs in (tables.first, tables.leave, tables.emission):
            double = logs.detach().double()
            largest = double.amax(-1)
            parts += [(double - largest[..., None]).exp().numpy(), largest.numpy()]
        return cls(*parts)


def make_blocks(tables: Tables, codes: Array) -> Blocks:
    """The blocks of these pairs."""
    M, S, _ = tables.out.shape
    P = len(codes)
    table = torch.empty(P * S, S)
    starts = np.searchsorted(codes, np.arange(M + 1) * M)

    def work(source: int) -> None:
        low, high = starts[source], starts[source + 1]
        logits = tables.out[source] @ _targets(tables, codes[low:high], M).T
        here = table[low * S : high * S].view(S, high - low, S)
        here.copy_(logits.view(here.shape).softmax(-1))

    map_products(work, np.flatnonzero(np.diff(starts)).tolist())
    sources = codes // M
    strides = np.diff(starts)[sources]
    return Blocks(table.numpy(), starts[sources] * S + np.arange(P) - starts[sources], strides)


def _targets(tables: Tables, codes: Array, M: int) -> torch.Tensor:
    """Vectors of the states that pairs from one cluster lead into: `(pairs × S, C)`."""
    return tables.into[torch.from_numpy(codes % M)].flatten(0, 1)


def advance(
    tables: Tables, scaled: Scaled, classes: Array, words: Array, offsets: Array, before: Messages
) -> tuple[Array, Messages]:
    """Read sequences on from where messages stand.

    Args:
        classes: `(V,)` cluster of each word.
        words: `(N,)`, sequence s in `offsets[s]` to `offsets[s + 1]`.

    Returns:
        log p of each word given all before it; what is known then.
    """
    layout = Layout.of(words, offsets, classes, tables.out.shape[0], before.clusters)
    blocks = make_blocks(tables, layout.codes)
    scores, alpha = np.empty(len(words)), before.alpha.copy()
    map_blocks(
        lambda low, high: _score(low, high, layout, blocks, scaled, before.clusters, alpha, scores), offsets
    )
    clusters = before.clusters.copy()
    some = offsets[:-1] < offsets[1:]
    clusters[some] = layout.clusters[offsets[1:][some] - 1]
    return scores, Messages(clusters, alpha)


class Posteriors(NamedTuple):
    """Posteriors of forward–backward at each position."""

    scores: Array  # (N,) log p of each word given those before
    states: Array  # (N, S) float32: probability of each state of the word's cluster
    mass: Array  # (N, S) what leaves each state of the cluster before for this one
    weighted: Array  # (N, S) what a state is worth to all that follows


def posteriors(layout: Layout, blocks: Blocks, scaled: Scaled, kinds: Array) -> Posteriors:
    """Args: kinds `(sequences,)` 0 where a document begins, 1 where a piece from inside one does."""
    N, S = len(layout.words), scaled.emission.shape[1]
    marginals = Posteriors(np.empty(N), np.empty((N, S), np.float32), np.zeros((N, S)), np.zeros((N, S)))
    map_blocks(
        lambda low, high: _forward_backward(low, high, layout, blocks, scaled, kinds, marginals),
        layout.offsets,
    )
    return marginals


def expect(
    tables: Tables, classes: Array, words: Array, offsets: Array, kinds: Array
) -> tuple[float, Tables]:
    """log p of all sequences and its gradient with respect to the tables.

    Where a table holds log-probabilities that is their expected counts; of `out` and `into` it is the
    gradient through the softmax that makes blocks of them.

    Args:
        kinds: `(sequences,)` 0 where a document begins, 1 where a piece from inside one does.
    """
    M = tables.out.shape[0]
    layout = Layout.of(words, offsets, classes, M, NOTHING - kinds)
    blocks = make_blocks(tables, layout.codes)
    marginals = posteriors(layout, blocks, Scaled.of(tables), kinds)
    states = torch.from_numpy(marginals.states)
    emission = torch.zeros_like(tables.emission).index_add_(0, torch.from_numpy(words), states)
    begins = offsets[:-1]
    first = torch.zeros_like(tables.first).flatten(0, 1)
    first.index_add_(0, torch.from_numpy(kinds * M + layout.clusters[begins]), states[begins])
    into = np.flatnonzero(layout.pairs >= 0)
    codes = torch.from_numpy(layout.codes[layout.pairs[into]])
    leave = torch.zeros_like(tables.leave).flatten(0, 1).index_add_(0, codes, states[into - 1])
    vectors = _vector_gradients(tables, layout, blocks, marginals)
    return float(marginals.scores.sum()), Tables(
        first.view_as(tables.first), leave.view_as(tables.leave), *vectors, emission
    )


def _vector_gradients(
    tables: Tables, layout: Layout, blocks: Blocks, marginals: Posteriors
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients of `out` and `into`: ∂/∂ logit of a softmax row is its expected count less its share of
    the row's. Made cluster by cluster, so that no more than one cluster's is ever held."""
    M, S, _ = tables.out.shape
    starts = np.searchsorted(layout.codes, np.arange(M + 1) * M)
    order = np.argsort(layout.pairs, kind="stable")
    begins = np.searchsorted(layout.pairs[order], np.arange(len(layout.codes) + 1))
    chosen = np.flatnonzero(np.diff(starts))
    out = torch.zeros_like(tables.out)

    def differentiate(source: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Fill in the gradient of `out` of one cluster; returns the clusters after it, and that of `into`."""
        low, high = int(starts[source]), int(starts[source + 1])
        counts = torch.zeros(S, high - low, S)
        _count(low, high, order, begins, marginals.mass, marginals.weighted, counts.numpy())
        rows = torch.from_numpy(blocks.table[low * S : high * S]).view(counts.shape)
        counts *= rows
        counts.addcmul_(rows, counts.sum(-1, keepdim=True), value=-1)
        flat = counts.view(S, -1)
        out[source] = flat @ _targets(tables, layout.codes[low:high], M)
        targets = torch.from_numpy(layout.codes[low:high] % M)
        return targets, (flat.T @ tables.out[source]).view(high - low, S, -1)

    # Two sums, as the parts of old had: models come out the same to the bit.
    into = [torch.zeros_like(tables.into) for _ in range(2)]
    for index, (targets, gradient) in enumerate(imap_products(differentiate, chosen.tolist())):
        into[index % 2].index_add_(0, targets, gradient)
    return out, into[0].add_(into[1])


@njit
def _enter(first, emission, message):
    """message = first × emission, normalized; returns the sum it had."""
    total = 0.0
    for j in range(len(message)):
        message[j] = first[j] * emission[j]
        total += message[j]
    if total > 0.0:
        message /= total
    return total


@njit
def _step(before, leave, emission, table, base, stride, mass, message):
    """One position on: fills `mass` and `message`; returns the sum that was divided out."""
    S = len(before)
    message[:] = 0.0
    for i in range(S):
        mass[i] = weight = before[i] * leave[i]
        row = table[base + i * stride]  # a row, not an item of a block: only then do its loops become vectors
        for j in range(S):
            message[j] += weight * row[j]
    total = 0.0
    for j in range(S):
        message[j] *= emission[j]
        total += message[j]
    if total > 0.0:
        message /= total
    return total


@njit
def _score(first, last, layout, blocks, scaled, before, alpha, scores):
    """Fill `scores` of sequences [first, last), and `alpha` with what is known at their ends."""
    S = scaled.emission.shape[1]
    mass, message = np.empty(S), np.empty(S)
    for s in range(first, last):
        cluster = before[s]
        for t in range(layout.offsets[s], layout.offsets[s + 1]):
            word, here = layout.words[t], layout.clusters[t]
            emission = scaled.emission[word]
            if cluster < 0:
                kind = NOTHING - cluster
                total = _enter(scaled.first[kind, here], emission, message)
                scores[t] = scaled.first_log[kind, here]
            else:
                base, stride = blocks.base[layout.pairs[t]], blocks.stride[layout.pairs[t]]
                leave = scaled.leave[cluster, here]
                total = _step(alpha[s], leave, emission, blocks.table, base, stride, mass, message)
                scores[t] = scaled.leave_log[cluster, here]
            scores[t] += np.log(total) + scaled.emission_log[word]
            alpha[s] = message
            cluster = here


@njit
def _forward_backward(first, last, layout, blocks, scaled, kinds, marginals):
    S = scaled.emission.shape[1]
    longest = 1
    for s in range(first, last):
        longest = max(longest, layout.offsets[s + 1] - layout.offsets[s])
    alpha, totals = np.empty((longest, S)), np.empty(longest)
    for s in range(first, last):
        begin, end = layout.offsets[s], layout.offsets[s + 1]
        for t in range(begin, end):
            word, here, offset = layout.words[t], layout.clusters[t], t - begin
            emission = scaled.emission[word]
            if offset == 0:
                total = _enter(scaled.first[kinds[s], here], emission, alpha[0])
                marginals.scores[t] = scaled.first_log[kinds[s], here]
            else:
                source = layout.clusters[t - 1]
                base, stride = blocks.base[layout.pairs[t]], blocks.stride[layout.pairs[t]]
                leave, before, mass = scaled.leave[source, here], alpha[offset - 1], marginals.mass[t]
                total = _step(before, leave, emission, blocks.table, base, stride, mass, alpha[offset])
                marginals.scores[t] = scaled.leave_log[source, here]
            totals[offset] = total
            marginals.scores[t] += np.log(total) + scaled.emission_log[word]
        _backward(begin, end, layout, blocks, scaled, alpha, totals, marginals)


@njit
def _backward(begin, end, layout, blocks, scaled, alpha, totals, marginals):
    S = alpha.shape[1]
    beta = np.ones(S)
    for t in range(end - 1, begin, -1):
        offset = t - begin
        weighted, emission = marginals.weighted[t], scaled.emission[layout.words[t]]
        for j in range(S):
            marginals.states[t, j] = alpha[offset, j] * beta[j]
            weighted[j] = emission[j] * beta[j] / totals[offset]
        leave = scaled.leave[layout.clusters[t - 1], layout.clusters[t]]
        base, stride = blocks.base[layout.pairs[t]], blocks.stride[layout.pairs[t]]
        _retreat(weighted, leave, blocks.table, base, stride, beta)
        for i in range(S):
            if alpha[offset - 1, i] < UNREACHED:
                beta[i] = 0.0
    for j in range(S):
        marginals.states[begin, j] = alpha[0, j] * beta[j]


@njit(fastmath=True)
def _retreat(weighted, leave, table, base, stride, beta):
    """beta of the position before, from what the next one is worth."""
    S = len(beta)
    for i in range(S):
        row = table[base + i * stride]
        total = 0.0
        for j in range(S):
            total += row[j] * weighted[j]
        beta[i] = total * leave[i]


@njit
def _count(low, high, order, begins, mass, weighted, counts):
    """counts `(S, pairs, S)` = Σ mass × weighted over the positions of each pair in [low, high)."""
    S = mass.shape[1]
    for p in range(low, high):
        for index in range(begins[p], begins[p + 1]):
            t = order[index]
            after = weighted[t]
            for i in range(S):
                weight, row = mass[t, i], counts[i, p - low]
                for j in range(S):
                    row[j] += weight * after[j]


def best_paths(layout: Layout, blocks: Blocks, tables: Tables) -> Array:
    """The likeliest states `(N,)` of all K, as cluster × S + state (Viterbi). No sequence reads on."""
    N, S = len(layout.words), tables.out.shape[1]
    logs = (tables.first.numpy(), tables.leave.numpy(), tables.emission.numpy())
    path = np.empty(N, np.int32)
    map_blocks(lambda low, high: _viterbi(low, high, layout, blocks, *logs, path), layout.offsets)
    return path + (layout.clusters * S).astype(np.int32)


@njit
def _viterbi(first, last, layout, blocks, opening, leave, emission, path):
    S = emission.shape[1]
    best, ahead = np.empty(S), np.empty(S)
    for s in range(first, last):
        begin, end = layout.offsets[s], layout.offsets[s + 1]
        came_from = np.zeros((end - begin, S), np.int32)
        for t in range(begin, end):
            here, word = layout.clusters[t], layout.words[t]
            if t == begin:
                ahead[:] = opening[0, here] + emission[word]
            else:
                base, stride = blocks.base[layout.pairs[t]], blocks.stride[layout.pairs[t]]
                block = np.log(blocks.table[base : base + (S - 1) * stride + 1 : stride])
                leaving = best + leave[layout.clusters[t - 1], here]
                for j in range(S):
                    source = (leaving + block[:, j]).argmax()
                    came_from[t - begin, j] = source
                    ahead[j] = leaving[source] + block[source, j] + emission[word, j]
            best, ahead = ahead, best
        if begin < end:
            path[end - 1] = best.argmax()
        for t in range(end - 1, begin, -1):
            path[t - 1] = came_from[t - begin, path[t]]
