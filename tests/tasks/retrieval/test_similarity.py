"""Rank correlation, and whitening."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from langue.base.errors import LangueError
from langue.tasks.retrieval.similarity import correlation, evaluate_similarity, spearman
from langue.tasks.retrieval.whitening import Whitening


def test_rank_correlation_is_that_of_scipy_with_ties() -> None:
    draw = np.random.default_rng(0)
    one, other = draw.integers(5, size=60).astype(float), draw.normal(size=60)
    assert spearman(one, other + one) == pytest.approx(spearmanr(one, other + one).statistic)
    assert spearman(one, np.ones(60)) == 0
    figure = correlation(one, one)
    assert figure.value == pytest.approx(1) and figure.interval == pytest.approx((1, 1))


def test_whitened_vectors_have_the_identity_as_covariance() -> None:
    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(200, 4)) @ draw.normal(size=(4, 6)) + 5  # of rank four
    whitened = Whitening.of(vectors).apply(vectors)
    assert whitened.shape == (200, 4)
    np.testing.assert_allclose(whitened.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(np.cov(whitened, rowvar=False), np.eye(4), atol=1e-3)
    with pytest.raises(LangueError, match="vectors that differ"):
        Whitening.of(np.ones((5, 3)))
    with pytest.raises(LangueError, match="vectors that differ"):
        Whitening.of(np.ones((1, 3)))


def test_pairs_of_a_file_are_ranked(tmp_path: Path) -> None:
    rows = [
        ("a red cat", "a red cat", 5),
        ("a red cat", "a red dog", 3),
        ("rain", "a dog", 0),
        ("snow", "ice", 0),
    ]
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"{one}\t{other}\t{number}\n" for one, other, number in rows))

    def letters(texts: list[str]) -> np.ndarray:
        return np.array([[text.count(letter) for letter in "adegiorstnw"] for text in texts], float)

    result = evaluate_similarity("letters", letters, path)
    assert result.words.value > 0.9 and result.pairs == 4
    assert "4 pairs" in str(result) and set(result.to_json()["spearman"]) == {"cosine", "whitened", "words"}
    path.write_text("a\tb\tyes\n")
    with pytest.raises(LangueError, match="'yes' is no number"):
        evaluate_similarity("letters", letters, path)
    path.write_text("a\tb\t1\nc\td\t1\n")
    with pytest.raises(LangueError, match="nothing to rank"):
        evaluate_similarity("letters", letters, path)
