"""How alike two texts are: by the words they share, in runs and in their order, and by what one alone has;
and how one is edited into the other.

Each measure is told as the tenth that it falls into, so that a linear model need not find it linear. The
measures are those that Wan et al. 2006 and others tell paraphrases by.

`edited`: two logistic regressions, on words and pairs of words weighted as by naive Bayes, and on these, how
alike the texts are and the edits, averaged, so that long texts say no more than short ones; their votes are
added. `likeness`: beside them one on how alike the texts are alone. What each vote is worth is learned from a
fifth of the examples that they have not seen (stacking, Wolpert 1992); then they learn from all.
"""

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import chain

import numpy as np

from langue.base.arrays import Float64Array, Int64Array
from langue.base.seeds import derive
from langue.tasks.baselines.logistic import PENALTY, Predict, Texts, added, learn, learn_grams, log_probs
from langue.tasks.baselines.ngrams import Matrix, bigrams, units

LONGEST = 200  # words of a text that are compared: their order takes time that grows with the square
MOST = 6  # of what is counted; more is the same
AVERAGED_PENALTY = 1e-3  # rows that sum to one have weights that are larger by their length
APART = 5  # of so many examples one shows what a vote is worth
ENOUGH = 200  # examples that do; of fewer, all votes are worth the same


def edited(texts: Texts, labels: Int64Array, classes: int) -> Predict:
    return added([part(texts, labels, classes) for part in (_weighted, _averaged)])


def likeness(texts: Texts, labels: Int64Array, classes: int) -> Predict:
    parts = [part(texts, labels, classes) for part in (_weighted, _averaged, _alike)]
    seen = np.array([derive(0, "votes", pair[0]) % APART > 0 for pair in texts], np.bool_)
    if (~seen).sum() < ENOUGH or len(set(labels[seen].tolist())) < classes:
        return added(parts)
    some, apart = ([texts[row] for row in np.flatnonzero(rows).tolist()] for rows in (seen, ~seen))
    first = [part(some, labels[seen], classes) for part in (_weighted, _averaged, _alike)]
    worth = learn(Matrix.dense(_votes(first, apart)), labels[~seen], classes, penalty=PENALTY)
    return lambda texts: log_probs(Matrix.dense(_votes(parts, texts)), worth)


def _weighted(texts: Texts, labels: Int64Array, classes: int) -> Predict:
    return learn_grams(texts, labels, classes, bigrams, penalty=PENALTY, weighted=True)


def _averaged(texts: Texts, labels: Int64Array, classes: int) -> Predict:
    return learn_grams(texts, labels, classes, _all, penalty=AVERAGED_PENALTY, averaged=True)


def _alike(texts: Texts, labels: Int64Array, classes: int) -> Predict:
    return learn_grams(texts, labels, classes, alike, penalty=PENALTY)


def _all(texts: Sequence[str]) -> Iterator[str]:
    return chain(bigrams(texts), alike(texts), edits(texts))


def _votes(parts: Sequence[Predict], texts: Texts) -> Float64Array:
    """Those of all parts, side by side: `(texts, parts x labels)`."""
    return np.concatenate([predict(texts) for predict in parts], 1)


def alike(texts: Sequence[str]) -> Iterator[str]:
    """How alike two texts are."""
    first, second = (units(text)[:LONGEST] for text in texts)
    short, long = sorted([max(len(first), 1), max(len(second), 1)])
    yield _tenth("length", short / long)
    common = _common_subsequence(first, second)
    yield _tenth("in order", common / long)
    yield _tenth("in order, of the shorter", common / short)
    for size in (1, 2, 3):
        one, other = (
            {tuple(words[begin : begin + size]) for begin in range(len(words) - size + 1)}
            for words in (first, second)
        )
        shared = len(one & other)
        yield _tenth(f"runs of {size}", shared / max(len(one | other), 1))
        yield _tenth(f"runs of {size}, of the shorter", shared / max(min(len(one), len(other)), 1))
        yield f"only {size}: {min(len(one - other), MOST)} {min(len(other - one), MOST)}"
    yield f"begin alike: {_begin_alike(first, second)}"
    yield f"end alike: {_begin_alike(first[::-1], second[::-1])}"
    numbers, others = ({word for word in words if any(map(str.isdigit, word))} for words in (first, second))
    yield f"numbers: {len(numbers) > 0} {len(others) > 0} {numbers == others}"


def edits(texts: Sequence[str]) -> Iterator[str]:
    """What stands in one text where something else, or nothing, stands in the other: that alone, and with the
    word before it, and with the word behind it. Which text is the first makes no difference."""
    first, second = sorted(units(text)[:LONGEST] for text in texts)
    told: dict[str, None] = {}
    codes = SequenceMatcher(None, first, second, autojunk=False).get_opcodes()
    for kind, begin, end, other_begin, other_end in codes:
        if kind == "equal":
            continue
        one, other = sorted((" ".join(first[begin:end]), " ".join(second[other_begin:other_end])))
        before = first[begin - 1] if begin else ""
        behind = first[end] if end < len(first) else ""
        told |= dict.fromkeys((f"~{one}|{other}", f"~{before}[{one}|{other}", f"~{one}|{other}]{behind}"))
    yield from told
    yield f"edits {min(len(codes) - sum(code[0] == 'equal' for code in codes), MOST)}"


def _tenth(name: str, share: float) -> str:
    return f"{name}: {round(10 * share)}"


def _begin_alike(first: Sequence[str], second: Sequence[str]) -> int:
    """How many words both begin with."""
    pairs = enumerate(zip(first, second, strict=False))
    least = min(len(first), len(second))
    return min(next((index for index, (one, other) in pairs if one != other), least), MOST)


def _common_subsequence(first: Sequence[str], second: Sequence[str]) -> int:
    """Words of the longest sequence that both have, with gaps."""
    row = [0] * (len(second) + 1)
    for word in first:
        before = 0
        for column, other in enumerate(second, 1):
            before, row[column] = (
                row[column],
                before + 1 if word == other else max(row[column], row[column - 1]),
            )
    return row[-1]
