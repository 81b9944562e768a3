"""Terms: the words of a sentence as counts compare them, and how rare each is in other texts.

Stems of English words; runs of Han characters cut into words. A `Background` knows in how many documents each
term occurs: of that a term has a weight (idf) and a surprise.
"""

import gzip
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np

from langue.base.arrays import Float64Array
from langue.base.scripts import HAN
from langue.tokens.stem import stem
from langue.tokens.words import segment

_WORD = re.compile(rf"([{HAN}]+)|[^\W_{HAN}]+(?:['’][^\W\d_{HAN}]+)?")
TABLES = ("english", "chinese")


def terms_of(text: str) -> list[str]:
    """The terms of a text in their order; punctuation marks are none."""
    terms: list[str] = []
    for match in _WORD.finditer(text):
        if match[1]:
            terms += segment(match[1])
        else:
            terms.append(stem(match[0].lower()))
    return terms


class Background(NamedTuple):
    """In how many documents of a language each term occurs."""

    documents: float
    frequencies: Mapping[str, float]

    @classmethod
    def of(cls, documents: Iterable[Iterable[str]]) -> "Background":
        """Count the terms of documents."""
        counts, number = Counter[str](), 0
        for terms in documents:
            counts.update(set(terms))
            number += 1
        return cls(number, dict(sorted(counts.items())))

    def idf(self, terms: Sequence[str]) -> Float64Array:
        """Inverse document frequency in nats, at least 0: `(terms,)`."""
        known = np.array([self.frequencies.get(term, 0.0) for term in terms], np.float64)
        return np.maximum(np.log((self.documents + 1.0) / (known + 0.5)), 0.0)


@cache
def own_background() -> Background:
    """That of English and of Chinese which comes with langue (`data/LICENSE.md` says from what).

    Chinese frequencies are scaled to the number of English documents, so that one table serves both.
    """
    documents, frequencies = 0.0, dict[str, float]()
    for name in TABLES:
        packed = (files(__package__) / "data" / f"{name}.tsv.gz").read_bytes()
        first, *rows = gzip.decompress(packed).decode().splitlines()
        number = float(first)
        documents = documents or number
        for row in rows:
            term, _, count = row.partition("\t")
            frequencies[term] = float(count) * documents / number
    return Background(documents, frequencies)
