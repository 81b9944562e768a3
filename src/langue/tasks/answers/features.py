"""Features of a sentence as the answer to a question: what they share, in which order, and what is new."""

import math
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from langue.base.arrays import Float64Array
from langue.tasks.answers.questions import TYPES, Kinds, Question, begins_with_pronoun
from langue.tasks.retrieval.bm25 import Index, bm25
from langue.tasks.retrieval.terms import STOP_WEIGHT, is_stop, terms_of

PREFIX = 5  # letters by which words of one root are told: politics, political

NAMES = (
    "bm25", "bm25_below_best", "bm25_before", "bm25_behind", "covered", "covered_rarity", "pairs", "grams",
    "run", "prefixes", "log_length", "first", "position", "log_new", "pronoun", "pronoun_bm25_before",
    "focus", "is_best", "asks", "digits",
    *(f"{type}:{kind}" for type in TYPES for kind in Kinds._fields),
)  # fmt: skip
SHARED = NAMES.index(f"{TYPES[0]}:{Kinds._fields[0]}")  # so many are there whatever the type of the question


def features(question: Question, sentences: Sequence[str], index: Index) -> Float64Array:
    """Of the sentences of one passage: `(sentences, len(NAMES))`.

    Args:
        index: of all passages, for how much a term tells.
    """
    asked = read(question.text, question.han)
    rows = [read(sentence, question.han) for sentence in sentences]
    weights = index.weights(asked.terms)
    total = sum(weights.values()) or 1.0
    length = max(sum(len(row.terms) for row in rows) / len(rows), 1.0)
    scores = np.array([bm25(weights, row.counts, len(row.terms), length) for row in rows]) / total
    highest = scores.max()
    rarity = _rarity(weights, [row.counts for row in rows])
    of_type = SHARED + TYPES.index(question.type) * len(Kinds._fields)
    rarest = sum(rarity.values()) or 1.0
    table = np.zeros((len(rows), len(NAMES)))
    for number, row in enumerate(rows):
        before = scores[number - 1] if number else 0.0
        kinds = question.kinds(row.text)
        table[number, :SHARED] = (
            scores[number],
            scores[number] - highest,
            before,
            scores[number + 1] if number + 1 < len(rows) else 0.0,
            _weight(weights, row.counts) / total,
            _weight(rarity, row.counts) / rarest,
            _share(asked.pairs, row.pairs),
            _share(asked.grams, row.grams),
            longest_run(asked.terms, row.terms) / max(len(asked.terms), 1),
            _share(asked.prefixes, row.prefixes),
            math.log1p(len(row.terms)),
            number == 0,
            number / len(rows),
            math.log1p(len(row.telling - weights.keys())),
            row.pronoun,
            row.pronoun * before,
            question.focus in row.counts,
            scores[number] == highest,
            row.text.endswith(("?", "？")),
            kinds.digits,
        )
        table[number, of_type : of_type + len(kinds)] = kinds
    return table


class Read(NamedTuple):
    """A sentence or question, taken apart once for all that it is set beside."""

    text: str
    terms: list[str]
    counts: Counter[str]
    telling: frozenset[str]  # terms that are no stop words
    pairs: frozenset[tuple[str, str]]  # of terms that follow each other
    grams: frozenset[str]  # stretches of three Han characters, or of four others
    prefixes: frozenset[str]
    pronoun: bool  # begins with one


@lru_cache(1 << 14)
def read(text: str, han: bool) -> Read:
    terms, size, lower = terms_of(text), 3 if han else 4, text.lower()
    return Read(
        text,
        terms,
        Counter(terms),
        frozenset(term for term in terms if not is_stop(term)),
        frozenset(pairwise(terms)),
        frozenset(lower[begin : begin + size] for begin in range(len(lower) - size + 1)),
        frozenset(term[:PREFIX] for term in terms if len(term) >= PREFIX and term.isascii()),
        begins_with_pronoun(text),
    )


def _weight(weights: Mapping[str, float], counts: Container[str]) -> float:
    return sum(weight for term, weight in weights.items() if term in counts)


def _share(one: frozenset[Any], other: frozenset[Any]) -> float:
    """How much of one stands in the other."""
    return len(one & other) / max(len(one), 1)


def _rarity(weights: Mapping[str, float], counts: Sequence[Container[str]]) -> dict[str, float]:
    """The terms of the question that the passage has, each with how much it tells its sentences apart."""
    rarity = {}
    for term in weights:
        if holders := sum(term in count for count in counts):
            value = math.log(1 + (len(counts) - holders + 0.5) / (holders + 0.5))
            rarity[term] = value * STOP_WEIGHT if is_stop(term) else value
    return rarity


def longest_run(one: Sequence[str], other: Sequence[str]) -> int:
    """The most terms that stand in both one after another."""
    where: dict[str, list[int]] = {}
    for position, term in enumerate(one):
        where.setdefault(term, []).append(position)
    longest = 0
    before: dict[int, int] = {}  # of each position of `one`, how long the run is that ends there
    for term in other:
        if (positions := where.get(term)) is None:
            before = {}
            continue
        before = {position: before.get(position - 1, 0) + 1 for position in positions}
        longest = max(longest, *before.values())
    return longest
