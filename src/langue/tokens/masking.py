"""Hiding tokens for a masked language model (Devlin et al. 2019, section 3.1).

A share of the ordinary tokens of a batch is to be predicted. They are chosen in units: tokens, whole
words, or runs of words. Of the chosen, 80 % are read as `[MASK]`, 10 % as a random token, and 10 % as
they are. What is chosen is a pure function of the tokens and of the random stream that is given.
"""

from typing import Literal

import numpy as np

from langue.base.arrays import BoolArray, Float64Array, Ids, Int64Array

Masking = Literal["token", "whole-word", "n-gram", "span"]

NONE = -1  # the target of a place where nothing is predicted
MASKED, RANDOM = 0.8, 0.1  # the rest is read as it is


def _lengths() -> dict[str, Float64Array]:
    """By masking, the probability of 1, 2, … words."""
    n = np.arange(1, 11)
    n_gram = 1 / n[:3]  # Lan et al. 2020, equation 1
    span = 0.2 * 0.8 ** (n - 1)  # Joshi et al. 2020, section 3.1: geometric, at most 10
    return {name: shares / shares.sum() for name, shares in {"n-gram": n_gram, "span": span}.items()}


LENGTHS = _lengths()


def mask(
    ids: Int64Array,
    ordinary: BoolArray,
    words: BoolArray,
    *,
    masking: Masking,
    mlm_probability: float,
    mask_id: int,
    alphabet: Ids,
    draw: np.random.Generator,
    replace_probs: tuple[float, float] = (MASKED, RANDOM),
) -> tuple[Int64Array, Int64Array]:
    """Masked inputs and targets.

    Args:
        ids: `(rows, time)`.
        ordinary: tokens that may be chosen: never a special one.
        words: tokens that begin a word; used by every masking but "token".
        masking: a unit never reaches over a special token or the edge of a row.
        mlm_probability: of the ordinary tokens, which are chosen.
        alphabet: what random replacements are drawn from, `(ids,)`.
        replace_probs: shares of the chosen that are read as `[MASK]` and as a random token.

    Returns:
        Inputs and targets, `(rows, time)` each; the target is `NONE` where nothing is predicted.
    """
    units = _units(ordinary, words, masking, draw)  # (rows * time,) number of the unit, NONE for none
    chosen = _choose_units(units, mlm_probability, draw)
    flat = ids.ravel()
    targets = np.where(chosen, flat, NONE)
    # A span is replaced as a whole (Joshi et al. 2020, section 3.1), other units token by token.
    uniform = draw.random(flat.size)[units] if masking == "span" else draw.random(flat.size)
    random_ids = alphabet[draw.integers(len(alphabet), size=flat.size)].astype(np.int64)
    masked, random = replace_probs
    replaced = np.select(
        [uniform < masked, uniform < masked + random], [np.full_like(flat, mask_id), random_ids], flat
    )
    return np.where(chosen, replaced, flat).reshape(ids.shape), targets.reshape(ids.shape)


def _units(ordinary: BoolArray, words: BoolArray, masking: Masking, draw: np.random.Generator) -> Int64Array:
    flat = ordinary.ravel()
    after_none = np.ones_like(ordinary)  # what follows a special token or the edge of a row
    after_none[:, 1:] = ~ordinary[:, :-1]
    begins = flat if masking == "token" else flat & (words | after_none).ravel()
    if masking in LENGTHS:
        begins = _join_spans(begins, (ordinary & after_none).ravel(), LENGTHS[masking], draw)
    return np.where(flat, np.cumsum(begins) - 1, NONE)


def _join_spans(
    begins: BoolArray, barriers: BoolArray, lengths: Float64Array, draw: np.random.Generator
) -> BoolArray:
    """Beginnings of runs of words: each run takes as many as is drawn, and stops at a barrier."""
    starts = np.flatnonzero(begins)
    drawn = draw.choice(np.arange(1, len(lengths) + 1), size=len(starts), p=lengths).tolist()
    joined = np.zeros_like(begins)
    left = 0
    for start, barrier, length in zip(starts.tolist(), barriers[starts].tolist(), drawn, strict=True):
        if barrier or not left:
            joined[start] = True
            left = length
        left -= 1
    return joined


def _choose_units(units: Int64Array, mlm_probability: float, draw: np.random.Generator) -> BoolArray:
    """Whole units in random order, until the share is reached; at least one if there is any."""
    sizes = np.bincount(units[units != NONE])
    order = draw.permutation(len(sizes))
    total = np.cumsum(sizes[order])
    goal = round(mlm_probability * int(sizes.sum()))
    count = int(np.searchsorted(total, goal, side="right"))
    # The unit that would pass the goal is taken so often that the expectation is the goal.
    if count < len(sizes):
        passed = goal - (int(total[count - 1]) if count else 0)
        count += bool(draw.random() * sizes[order[count]] < passed)
    taken = np.zeros(len(sizes) + 1, np.bool_)  # the last stands for NONE
    taken[order[: max(count, 1)]] = True
    taken[-1] = False
    return taken[units]
