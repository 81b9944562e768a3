"""Class-based n-grams: the formula by hand, and what they add to a model of words."""

import math
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import langue
from langue.models.counts.class_ngram import ClassNGramConfig, estimate
from langue.models.counts.ngram import NGramConfig
from langue.models.counts.ngram import estimate as estimate_words
from langue.models.networks.mixture import Mixture
from langue.tokens.store import TokenStore

V = 9  # ids 0 (end) to 8; 8 never occurs
CORPUS = [[1, 5, 2, 6, 1, 6], [2, 5, 1, 7], [3, 6, 2, 7, 3, 5], [1, 7]]  # 1 to 3 before 5 to 7


def test_it_is_the_product_of_class_and_share(make_store: Callable[..., TokenStore]) -> None:
    model = estimate(ClassNGramConfig(order=3, classes=3), make_store(CORPUS, vocabulary=V))
    counts = Counter(word for document in CORPUS for word in [*document, 0])
    of = model.classes.of
    assert len({int(of[word]) for word in (1, 2, 3)}) == 1
    assert len({int(of[word]) for word in (5, 6, 7)}) == 1
    assert of[8] == of[4] not in of[[0, 1, 2, 3, 5, 6, 7]]
    text = np.array([1, 5, 3, 7, 0])
    inner = model.inner.log_probs([of[text]])[0]
    shares = [counts[word] / sum(counts[w] for w in range(V) if of[w] == of[word]) for word in text.tolist()]
    assert model.log_probs([text])[0] == pytest.approx(inner + np.log(shares), abs=1e-6)
    assert np.exp(model.next_log_probs([text[:2]])).sum() == pytest.approx(1, abs=1e-5)
    # 3 7 never occurred, but its classes did.
    words = estimate_words(NGramConfig(order=3), make_store(CORPUS, vocabulary=V))
    assert (3, 7) not in {pair for document in CORPUS for pair in pairwise(document)}
    assert model.log_probs([text])[0][3] > words.log_probs([text])[0][3]


def test_mixed_with_words_it_predicts_better_than_either(small_store: Path, tmp_path: Path) -> None:
    langue.train("ngram", small_store, tmp_path / "words", order=3)
    langue.train("class-ngram", small_store, tmp_path / "classes", order=4, classes=40)
    parts = [str(tmp_path / name) for name in ("words", "classes")]
    langue.train("mixture", small_store, tmp_path / "mixture", models=parts)
    mixture = langue.load(tmp_path / "mixture")
    assert isinstance(mixture.folder.model, Mixture)
    assert mixture.folder.model.weights.table.mean((0, 1)).min() > 0.01
    bits = {
        name: langue.evaluate(tmp_path / name, small_store, split="valid", check=True)
        for name in ("words", "classes", "mixture")
    }
    assert all(found.passed for found in bits.values())
    assert (bits["mixture"].bits_per_byte or math.inf) < min(
        bits[name].bits_per_byte or 0 for name in ("words", "classes")
    )
