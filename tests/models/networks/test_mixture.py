"""Mixtures of models: sums by hand, weights against a search, and a folder that stands alone."""

import math
import shutil
from pathlib import Path

import numpy as np
import pytest

import langue
from langue.models.networks.mixture import Mixture, mixed, tuned
from langue.tokens.store import TokenStore


def test_a_mixture_is_the_weighted_sum() -> None:
    logs = np.log([[0.5, 0.1], [0.25, 0.9]])
    assert np.exp(mixed(logs, np.array([0.2, 0.8]))) == pytest.approx([0.3, 0.74])
    assert mixed(np.array([[-np.inf], [-np.inf]]), np.array([0.2, 0.8])).tolist() == [-math.inf]
    assert np.exp(mixed(np.array([[-np.inf], [0.0]]), np.array([1.0, 0.0]))).tolist() == [0]


def test_tuned_weights_are_the_best_there_are() -> None:
    draw = np.random.default_rng(1)
    logs = np.log(draw.random((2, 500)) ** np.array([[1.0], [2.0]]))
    found = tuned(logs)
    assert found.sum() == pytest.approx(1)
    shares = np.linspace(0, 1, 2001)
    likelihoods = [mixed(logs, np.array([share, 1 - share])).sum(dtype=float) for share in shares]
    assert found[0] == pytest.approx(shares[int(np.argmax(likelihoods))], abs=2e-3)
    assert tuned(np.array([[0.0, -np.inf], [-np.inf, -np.inf]])) == pytest.approx([1, 0], abs=1e-3)


def test_models_of_two_families_are_better_together(
    small_models: dict[str, Path], small_store: Path, tmp_path: Path
) -> None:
    for name in ("trigram", "gpt2"):
        shutil.copytree(small_models[name], tmp_path / name)
    parts = [str(tmp_path / name) for name in ("trigram", "gpt2")]
    langue.train("mixture", small_store, tmp_path / "mixture", models=parts)
    for part in parts:
        shutil.rmtree(part)  # the folder stands alone
    model = langue.load(tmp_path / "mixture")
    assert isinstance(model.folder.model, Mixture)
    weights = model.folder.model.weights
    found = langue.evaluate(model, small_store, check=True)
    assert found.passed, str(found)
    valid = langue.evaluate(model, small_store, split="valid").bits_per_byte
    alone = [langue.evaluate(small_models[name], small_store, split="valid") for name in ("trigram", "gpt2")]
    assert valid is not None
    assert valid <= min(part.bits_per_byte or 0 for part in alone) + 1e-4
    document = next(TokenStore(small_store).split("test").documents())
    single = [langue.load(small_models[name]).folder.model for name in ("trigram", "gpt2")]
    expected = mixed(np.stack([part.log_probs([document])[0] for part in single]), weights)
    assert model.folder.model.log_probs([document])[0] == pytest.approx(expected, abs=1e-5)
    assert model.generate("the", max_tokens=3, seed=1).tokens


def test_what_cannot_be_mixed(small_models: dict[str, Path], small_store: Path, tmp_path: Path) -> None:
    with pytest.raises(langue.LangueError, match="two models"):
        langue.train("mixture", small_store, tmp_path / "x", models=[str(small_models["trigram"])])
    (tmp_path / "text").write_text("a b c\n" * 9)
    other = langue.train("ngram", tmp_path / "text", tmp_path / "other")
    with pytest.raises(langue.LangueError, match="another tokenizer"):
        langue.train("mixture", small_store, tmp_path / "x", models=[str(other.path), str(other.path)])
