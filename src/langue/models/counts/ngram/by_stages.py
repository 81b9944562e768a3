"""Estimating in tasks over files, by several processes or machines, to the same tables bit for bit.

Blocks of the text are counted, and what begins with some words is merged from all blocks; that is the trie.
Then, an order at a time, n-grams are linked to their suffixes, the words before them counted, and
probabilities interpolated, by ranges of contexts. Between tasks stand counts and numbers of n-grams, or what
was computed for one n-gram by itself: so nothing depends on how the work is cut. A task holds a block, or
what is made of as many n-grams; all else is mapped.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np

from langue.base import staging
from langue.base.array_files import map_file, write_array, write_joined
from langue.base.arrays import Array
from langue.base.stages import Executor, Stage, run_stage
from langue.corpus.parts import read_part, write_part
from langue.models.counts.ngram.array_files import (
    branch_of,
    join_branches,
    map_levels,
    write_levels,
)
from langue.models.counts.ngram.counts import Levels, New
from langue.models.counts.ngram.estimate import (
    CHUNK_NGRAMS,
    Order,
    Rule,
    Smoothing,
    adjusts,
    cut_contexts,
    interpolate,
    link,
    order_of_words,
    prune_counts,
    raw_counts,
    rule_of,
    rule_row,
    starts_at,
    tally,
    threshold_of,
)
from langue.models.counts.ngram.out_of_core import (
    MIN_BLOCK_POSITIONS,
    block_positions,
    count_block,
    least_memory,
    map_array,
    merge_all,
)
from langue.models.counts.ngram.tables import RULE, Tables, index_of

MEMORY = 256  # megabytes of a task, unless there is a ceiling: few beside what a processor has
LEAST_TASKS = 16  # into which a small text is cut: enough to keep some processors busy to the end
MOST_TALLIES = 64  # ranges of an order, each of which reads all n-grams of the next
POSITION_BYTES = 34  # that are written on the way for each token and order
PLAN, STREAM, LEVELS = "plan", "stream.npy", "levels"  # of the folder
CUTS, RULE_FILE, SUFFIX, COUNTS, P = "cuts", "rule", "suffix", "counts", "p"  # of the folder of an order
LOG_PROB, LOG_BACKOFF = "log_prob", "log_backoff"


class Plan(msgspec.Struct):
    """What is estimated, and how the work is cut."""

    vocabulary_size: int
    order: int
    block: int  # positions, or n-grams, of a task
    prune: tuple[int, ...]


def scratch_bytes(order: int, tokens: int) -> int:
    """Bytes that are written on the way, roughly: the stream, two tries, and what becomes of the second."""
    return tokens * (4 + POSITION_BYTES * order)


def estimate_by_stages(
    stream: Callable[[], Array],
    vocabulary_size: int,
    order: int,
    folder: Path,
    executor: Executor,
    *,
    smoothing: Smoothing = "modified-kneser-ney",
    k: float = 1.0,
    prune: tuple[int, ...] = (),
    absent: Callable[[Array], int | None] = lambda counts: None,
    memory: int = 0,
) -> Tables:
    """The tables of `estimate_tables`, which are mapped from files of the folder.

    Args:
        stream: makes it, as `stream_of` does; it is asked only if it was not yet written.
        folder: of the stages; of all machines that do tasks.
        smoothing, k, prune: as there.
        absent: of the counts of all words, the id that no text holds.
        memory: megabytes that a task may hold beside mapped files; 0: enough, and few.

    Raises:
        LangueError: a task cannot hold the vocabulary; a disk is full; there are too many n-grams.
    """
    if not (folder / STREAM).exists():
        write_array(folder / STREAM, stream())
    positions = len(map_file(folder / STREAM)) - 1
    least = least_memory(vocabulary_size, order)
    room = block_positions(memory or max(MEMORY, 2 * least), vocabulary_size, order)
    block = min(room, max(positions // LEAST_TASKS + 1, MIN_BLOCK_POSITIONS))
    write_part(folder / PLAN, Plan(vocabulary_size, order, block, prune))
    _count(folder, positions, executor)
    levels = map_levels(folder / LEVELS)
    new = partial(map_array, folder=folder)
    levels = Levels(levels.first, levels.word, levels.count, levels.children, new)
    for n in range(1, order + 1):
        (folder / str(n)).mkdir(exist_ok=True)
    for n in range(3, order + 1):
        _link(folder, levels, n, executor)
    rules = np.zeros((order, RULE))
    for n in range(1, order + 1):
        counts = _counts(folder, levels, n, executor) if adjusts(smoothing) else raw_counts(levels, n)
        rule = rule_of(smoothing, counts, n, levels, k)
        rules[n - 1] = rule_row(rule, n)
        if n == 1:
            _interpolate_words(folder, levels, rule, absent(levels.count))
        else:
            _interpolate(folder, levels, n, rule, executor)
    return prune_counts(levels, _assembled(folder, levels), rules, prune)


def _stage(
    folder: Path, name: str, function: Callable[[int, Path], None], cuts: Sequence[tuple[int, int]],
    what: str, executor: Executor,
) -> None:  # fmt: skip
    """Run a stage whose tasks are ranges of something."""

    def of(number: int) -> str:
        return f"{what} {cuts[number][0]:,} to {cuts[number][1]:,}"

    write_part(folder / CUTS, list(cuts))
    run_stage(Stage(name, function, len(cuts), of), folder, executor)


def _cut_of(folder: Path, number: int) -> tuple[int, int]:
    return read_part(folder / CUTS, list[tuple[int, int]])[number]


def _part(folder: Path, name: str, number: int) -> Path:
    return folder / f"{name}-{number:05}.npy"


def _join(folder: Path, name: str, more: Sequence[Array] = ()) -> None:
    """Join the parts of an array, and what comes after them, if that was not done before."""
    paths = sorted(folder.glob(f"{name}-[0-9]*.npy"))
    if not (folder / f"{name}.npy").exists():
        arrays = [*map(map_file, paths), *more]
        write_joined(folder / f"{name}.npy", arrays, sum(map(len, arrays)), arrays[0].dtype)
    for path in paths:
        path.unlink()


# Counting


def _count(folder: Path, positions: int, executor: Executor) -> None:
    """Write the levels of the stream."""
    if (folder / LEVELS / "children.npy").exists():  # the last that is written
        return
    plan = read_part(folder / PLAN, Plan)
    blocks, ranges = folder / "blocks", folder / "ranges"
    for each in (blocks, ranges):
        each.mkdir(exist_ok=True)
    begins = range(0, positions, plan.block)
    cuts = [(begin, min(begin + plan.block, positions)) for begin in begins]
    _stage(blocks, "counting n-grams", count_range, cuts, "tokens", executor)
    # Cut by first words, as many positions in each range as a block has, if no word is so frequent by itself.
    unigrams = sum(branch.count[: plan.vocabulary_size + 1].astype(np.int64) for branch in _branches(blocks))
    ends = np.cumsum(unigrams)
    edges = np.searchsorted(ends, np.arange(plan.block, positions, plan.block), side="right")
    edges = np.unique(np.r_[0, edges, plan.vocabulary_size + 1]).tolist()
    _stage(ranges, "merging n-grams", merge_range, list(pairwise(edges)), "words", executor)
    join_branches(folder / LEVELS, list(_branches(ranges)))
    for path in (*_parts(blocks), *_parts(ranges)):
        staging.remove(path)


def _parts(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name.isdigit())


def _branches(folder: Path) -> Iterator[Levels]:
    return map(map_levels, _parts(folder))


def count_range(number: int, folder: Path) -> None:
    """A task: the levels of a block."""
    plan = read_part(folder.parent / PLAN, Plan)
    begin, end = _cut_of(folder, number)
    stream = map_file(folder.parent / STREAM)
    levels = count_block(stream, begin, end - begin, plan.vocabulary_size, plan.order, np.empty)
    write_levels(folder / f"{number:05}", levels)


def merge_range(number: int, folder: Path) -> None:
    """A task: what begins with some words, from all blocks."""
    new: New = partial(map_array, folder=folder)
    low, high = _cut_of(folder, number)
    branches = (branch_of(levels, low, high) for levels in _branches(folder.parent / "blocks"))
    write_levels(folder / f"{number:05}", merge_all(branches, new))


# Suffixes, and the words before an n-gram


def _link(folder: Path, levels: Levels, n: int, executor: Executor) -> None:
    """Write the suffixes of the n-grams of one order."""
    own, block = folder / str(n), read_part(folder / PLAN, Plan).block
    if not (own / f"{SUFFIX}.npy").exists():
        cuts = list(cut_contexts(levels, n, max(block, CHUNK_NGRAMS)))
        _stage(own, f"linking {n}-grams", link_range, cuts, "contexts", executor)
        _join(own, SUFFIX)


def _suffix(folder: Path, levels: Levels, n: int) -> Array:
    """The suffixes of the n-grams of one order: of two words, the last."""
    return map_file(folder / str(n) / f"{SUFFIX}.npy") if n > 2 else levels.word[levels.level(n)]


def link_range(number: int, folder: Path) -> None:
    """A task: the suffixes of what follows some contexts."""
    job, n = folder.parent, int(folder.name)
    levels = map_levels(job / LEVELS)
    low, high = _cut_of(folder, number)
    first = int(levels.first[n - 2])
    suffix = _suffix(job, levels, n - 1)[low - first : high - first]
    linked = np.empty(int(levels.children[high]) - int(levels.children[low]), np.uint32)
    link(levels.children, levels.word, suffix, low, high, linked)
    write_array(_part(folder, SUFFIX, number), linked)


def _counts(folder: Path, levels: Levels, n: int, executor: Executor) -> Array:
    """The `adjusted_counts` of one order."""
    if n == levels.order:
        return raw_counts(levels, n)
    own, block = folder / str(n), read_part(folder / PLAN, Plan).block
    if not (own / f"{COUNTS}.npy").exists():
        starts = starts_at(levels, n)
        ranges = min(starts // max(block, CHUNK_NGRAMS) + 1, MOST_TALLIES)
        cuts = list(pairwise(np.linspace(0, starts, ranges + 1).astype(np.int64).tolist()))
        _stage(own, f"adjusting {n}-grams", tally_range, cuts, "n-grams", executor)
        _join(own, COUNTS, [raw_counts(levels, n)[starts:]])
    return map_file(own / f"{COUNTS}.npy")


def tally_range(number: int, folder: Path) -> None:
    """A task: how many different words stand before each of some n-grams."""
    job, n = folder.parent, int(folder.name)
    levels = map_levels(job / LEVELS)
    low, high = _cut_of(folder, number)
    counts = np.zeros(high - low, np.uint32)
    tally(_suffix(job, levels, n + 1), int(levels.first[n - 1]), low, high, counts)
    write_array(_part(folder, COUNTS, number), counts)


# Probabilities


def _interpolate_words(folder: Path, levels: Levels, rule: Rule, absent: int | None) -> None:
    """Write p and log p of the words."""
    own, raw = folder / "1", levels.count[levels.level(1)]
    threshold = threshold_of(read_part(folder / PLAN, Plan).prune, 1)
    lower = np.full(1, 1.0 / (len(raw) - 1 - (absent is not None)))
    p, log_prob = np.empty(len(raw)), np.empty(len(raw), np.float32)
    order = order_of_words(raw, threshold, lower)
    interpolate(order, rule, 0, 1, p, log_prob, np.empty(1, np.float32))
    if absent is not None:
        log_prob[absent] = -np.inf
    log_prob[-1] = 0  # `<s>`: see `estimate_tables`
    write_array(own / f"{P}.npy", p)
    write_array(own / f"{LOG_PROB}.npy", log_prob)


def _interpolate(folder: Path, levels: Levels, n: int, rule: Rule, executor: Executor) -> None:
    """Write p and log p of the n-grams of one order, and log gamma of their contexts."""
    own, block = folder / str(n), read_part(folder / PLAN, Plan).block
    if (own / f"{LOG_BACKOFF}.npy").exists():  # the last that is written
        return
    write_part(own / RULE_FILE, (tuple(map(float, rule.discount)), *rule[2:]))
    cuts = list(cut_contexts(levels, n, max(block, CHUNK_NGRAMS)))
    _stage(own, f"interpolating {n}-grams", interpolate_range, cuts, "contexts", executor)
    for name in (P, LOG_PROB, LOG_BACKOFF):
        _join(own, name)


def interpolate_range(number: int, folder: Path) -> None:
    """A task: p and log p of what follows some contexts, and log gamma of each."""
    job, n = folder.parent, int(folder.name)
    levels = map_levels(job / LEVELS)
    low, high = _cut_of(folder, number)
    here, below = levels.level(n), levels.level(n - 1)
    raw = levels.count[here]
    known = read_part(folder / RULE_FILE, tuple[tuple[float, float, float, float], float, float, float, bool])
    counts = map_file(folder / f"{COUNTS}.npy") if (folder / f"{COUNTS}.npy").exists() else raw
    rule = Rule(counts, *known)
    order = Order(
        levels.children,
        _suffix(job, levels, n),
        here.start,
        below.start,
        raw,
        threshold_of(read_part(job / PLAN, Plan).prune, n),
        map_file(job / str(n - 1) / f"{P}.npy"),
    )
    ngrams = int(levels.children[high]) - int(levels.children[low])
    p, log_prob = np.empty(ngrams), np.empty(ngrams, np.float32)
    log_backoff = np.empty(high - low, np.float32)
    interpolate(order, rule, low, high, p, log_prob, log_backoff)
    for name, array in ((P, p), (LOG_PROB, log_prob), (LOG_BACKOFF, log_backoff)):
        write_array(_part(folder, name, number), array)


def _assembled(folder: Path, levels: Levels) -> Tables:
    """The tables of all orders."""
    suffix, log_prob = (levels.new(int(levels.first[-1]), dtype) for dtype in (np.uint32, np.float32))
    log_backoff = levels.new(int(levels.first[-2]), np.float32)
    for n in range(1, levels.order + 1):
        suffix[levels.level(n)] = _suffix(folder, levels, n)
        log_prob[levels.level(n)] = map_file(folder / str(n) / f"{LOG_PROB}.npy")
        if n > 1:
            log_backoff[levels.level(n - 1)] = map_file(folder / str(n) / f"{LOG_BACKOFF}.npy")
    slots = index_of(levels.children, levels.word, levels.new)
    return Tables(levels.first, suffix, log_prob, log_backoff, levels.children, slots)
