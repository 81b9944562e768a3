"""Counts that learn while a text is scored, beside the formulas word for word; and what is told of them."""

import math
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

import langue
from langue.base.errors import Unsupported
from langue.evaluation.adaptive import ORDER, PRIOR, AdaptiveCounts
from langue.evaluation.evaluate import Evaluation

V, EOS = 7, 0


class Plain:
    """The same by dictionaries."""

    def __init__(self) -> None:
        self.counts: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
        self.weights = np.tile(PRIOR, (ORDER + 1, 1))

    def known(self, history: tuple[int, ...]) -> list[tuple[int, ...]]:
        """The histories that were seen to go on, the shortest first."""
        suffixes = [history[len(history) - n :] for n in range(min(len(history), ORDER - 1) + 1)]
        return [suffix for suffix in suffixes if suffix in self.counts]

    def p(self, history: tuple[int, ...], token: int) -> float:
        p = 1 / V
        for suffix in self.known(history):
            after = self.counts[suffix]
            p = (after[token] + len(after) * p) / (after.total() + len(after))
        return p

    def read(self, ids: np.ndarray, log_p: np.ndarray) -> list[float]:
        history, mixed = (EOS,), []
        for token, model in zip(ids.tolist(), np.exp(log_p), strict=True):
            assert math.isclose(sum(self.p(history, w) for w in range(V)), 1, abs_tol=1e-12)
            weights = self.weights[len(self.known(history))]
            terms = weights * (model, self.p(history, token))
            mixed.append(math.log(terms.sum() / weights.sum()))
            weights += terms / terms.sum()
            for n in range(min(len(history), ORDER - 1) + 1):
                self.counts[history[len(history) - n :]][token] += 1
            history = (*history, token)
        return mixed


def test_it_scores_as_the_formulas_do_and_sums_to_one() -> None:
    draw = np.random.default_rng(0)
    documents = [np.r_[draw.integers(1, V, draw.integers(0, 60)), EOS].astype(np.uint32) for _ in range(40)]
    documents[3] = np.tile(documents[3], 30)  # what repeats itself, and grows the tables
    log_probs = [np.log(draw.uniform(0.05, 1, len(ids))).astype(np.float32) for ids in documents]
    plain, counts = Plain(), AdaptiveCounts(V, EOS)
    for ids, log_p, mixed in zip(documents, log_probs, counts.mix(documents, log_probs), strict=True):
        np.testing.assert_allclose(mixed, plain.read(ids, log_p), atol=2e-6)


def test_what_a_model_holds_impossible_is_left_to_the_counts() -> None:
    ids = [np.array([1, 2, EOS], np.uint32)]
    (mixed,) = AdaptiveCounts(V, EOS).mix(ids, [np.array([-np.inf, -1, -1], np.float32)])
    assert np.isfinite(mixed).all()


def test_it_is_told_beside_the_figure_of_the_model(
    small_models: dict[str, Path], small_store: Path, tmp_path: Path
) -> None:
    plain = langue.evaluate(small_models["trigram"], small_store)
    adaptive = langue.evaluate(small_models["trigram"], small_store, adaptive=True)
    again = langue.evaluate(small_models["trigram"], small_store, adaptive=True)
    assert (
        isinstance(plain, Evaluation) and isinstance(adaptive, Evaluation) and isinstance(again, Evaluation)
    )
    assert adaptive.bits_per_byte == plain.bits_per_byte
    assert adaptive.adaptive_bits_per_byte is not None and plain.bits_per_byte is not None
    assert adaptive.adaptive_bits_per_byte < plain.bits_per_byte
    assert again.adaptive_bits_per_byte == adaptive.adaptive_bits_per_byte
    assert "adaptive" in str(adaptive) and "adaptive" not in str(plain)
    assert "adaptive_bits_per_byte" in adaptive.to_json() and "adaptive_bits_per_byte" not in plain.to_json()


def test_what_gives_texts_no_probability_is_refused(small_store: Path) -> None:
    data = Path(__file__).parents[1] / "compat" / "data"
    with pytest.raises(Unsupported, match="no probability"):
        langue.evaluate(data / "models" / "crf", data / "texts" / "names.conll", adaptive=True)
