"""How alike two texts are: by the words they share, in runs and in their order, and by what one alone has.

Each measure is told as the tenth that it falls into, so that a linear model need not find it linear. The
measures are those that Wan et al. 2006 and others tell paraphrases by.
"""

from collections.abc import Iterator, Sequence

from langue.tasks.baselines.ngrams import units

LONGEST = 200  # words of a text that are compared: their order takes time that grows with the square
MOST = 6  # of what is counted; more is the same


def likeness(texts: Sequence[str]) -> Iterator[str]:
    """Features of a pair."""
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
    yield f"begin alike: {_alike(first, second)}"
    yield f"end alike: {_alike(first[::-1], second[::-1])}"
    numbers, others = ({word for word in words if any(map(str.isdigit, word))} for words in (first, second))
    yield f"numbers: {len(numbers) > 0} {len(others) > 0} {numbers == others}"


def _tenth(name: str, share: float) -> str:
    return f"{name}: {round(10 * share)}"


def _alike(first: Sequence[str], second: Sequence[str]) -> int:
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
