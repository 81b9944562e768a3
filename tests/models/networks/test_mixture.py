"""Mixtures of models: sums by hand, weights against a search, features against the decoder, and a folder that
stands alone."""

import json
import math
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import langue
from langue.base.config import decode
from langue.base.errors import Damaged
from langue.models.networks.mixture import Mixture, contexts_of, mixed, read_weights
from langue.models.networks.mixture_step import mix
from langue.models.networks.mixture_weights import Weights, between, fit, tune
from langue.models.registry import family
from langue.protocols import Causal, Matching, WithEntropies
from langue.tokens.store import TokenStore


def test_a_mixture_is_the_weighted_sum() -> None:
    logs = np.log([[0.5, 0.1], [0.25, 0.9]])
    assert np.exp(mixed(logs, np.array([[0.2], [0.8]]))) == pytest.approx([0.3, 0.74])
    assert np.exp(mixed(logs, np.array([[0.2, 1.0], [0.8, 0.0]]))) == pytest.approx([0.3, 0.1])
    assert mixed(np.array([[-np.inf], [-np.inf]]), np.array([[0.2], [0.8]])).tolist() == [-math.inf]
    assert np.exp(mixed(np.array([[-np.inf], [0.0]]), np.array([[1.0], [0.0]]))).tolist() == [0]


def entropy(log_probs: np.ndarray) -> np.ndarray:
    p = np.exp(log_probs.astype(float))
    return -np.where(p > 0, p * np.maximum(log_probs, -1e30), 0).sum(-1)


def test_the_compiled_step_says_what_the_formula_says() -> None:
    draw = np.random.default_rng(0)
    logs = np.log(draw.dirichlet(np.full(700, 0.05), size=(3, 5)) + 1e-300).astype(np.float32)
    logs[0, :, 5], logs[:, 1, 7] = -np.inf, -np.inf
    logs[:, 2, 9] = [-90, -100, -np.inf]  # too small for a probability in float32
    table = draw.dirichlet(np.ones(3), size=(4, 5))
    table[2, 1] = [0, 1, 0]
    weights = Weights(table, np.sort(draw.uniform(0, 8, 5)))
    sure, lengths = np.array([True, False, True]), np.array([0, 1, 2, 3, 9])
    mixture = np.empty(logs.shape[1:], np.float32)
    mix(logs, sure, lengths, *weights, mixture)
    entropies = np.mean([entropy(logs[0]), entropy(logs[2])], 0).astype(np.float32)
    np.testing.assert_allclose(mixture, mixed(logs, weights.at(lengths, entropies)[:, :, None]), rtol=1e-6)


def test_weights_are_interpolated_between_entropies_and_constant_beyond() -> None:
    table = np.array([[[1.0, 0.0], [0.5, 0.5]], [[0.2, 0.8], [0.0, 1.0]]])  # lengths, knots, parts
    weights = Weights(table, np.array([1.0, 3.0]))
    at = weights.at(np.array([0, 0, 0, 1, 9]), np.array([0.5, 2.0, 7.0, 1.5, 3.0], np.float32))
    assert at[0] == pytest.approx([1.0, 0.75, 0.5, 0.15, 0.0])
    assert at.sum(0) == pytest.approx(1)
    assert [list(column) for column in between(np.array([2.0]), np.array([1.0, 5.0], np.float32))] == [
        [0, 0],
        [0, 0],
    ]


def test_em_finds_the_best_weights_there_are() -> None:
    draw = np.random.default_rng(1)
    p = draw.random((2, 500)) ** np.array([[1.0], [2.0]])
    table = fit(p, np.zeros(500, np.int64), np.zeros(500), np.full((1, 2), 0.5), np.zeros((1, 2)))
    assert table.sum() == pytest.approx(1)
    weights = np.linspace(0, 1, 2001)
    likelihoods = [np.log(weight * p[0] + (1 - weight) * p[1]).sum() for weight in weights]
    assert table[0, 0] == pytest.approx(weights[int(np.argmax(likelihoods))], abs=5e-3)


def test_em_between_two_knots_finds_the_best_of_a_grid() -> None:
    draw = np.random.default_rng(2)
    entropies = draw.random(800)  # the first part is to be trusted where it is small
    p = np.stack([draw.random(800) ** (4 * entropies), draw.random(800)])
    rows, share = np.zeros(800, np.int64), entropies
    table = fit(p, rows, share, np.full((2, 2), 0.5), np.zeros((2, 2)))
    grid = np.linspace(0, 1, 101)

    def likelihood(low: float, high: float) -> float:
        weight = (1 - share) * low + share * high
        return float(np.log(weight * p[0] + (1 - weight) * p[1]).sum())

    best = max(likelihood(low, high) for low in grid for high in grid)
    assert likelihood(table[0, 0], table[1, 0]) == pytest.approx(best, abs=0.05)
    assert table[0, 0] > table[1, 0] + 0.1


def test_rare_contexts_are_drawn_towards_the_rest_and_impossible_tokens_left_out() -> None:
    logs = np.log(np.tile([[0.9], [0.1]], 5000))
    logs = np.concatenate([logs, [[math.log(0.1)], [math.log(0.9)]], np.full((2, 3), -np.inf)], 1)
    lengths = np.r_[np.zeros(5000, np.int64), 1, 2, 2, 2]
    weights = tune(logs, lengths, np.zeros(5004, np.float32), 3)
    assert weights.table.shape == (4, 1, 2)
    assert weights.table.sum(-1) == pytest.approx(1)
    assert weights.table[:, 0, 0].min() > 0.9  # one token of another mind among 5,000


def parts_of(small_models: dict[str, Path], names: tuple[str, ...]) -> list[Causal]:
    models: list[Any] = [langue.load(small_models[name]).folder.model for name in names]
    return models


def test_matches_are_those_of_the_decoder(small_models: dict[str, Path], small_store: Path) -> None:
    model: Any = langue.load(small_models["trigram"]).folder.model
    assert isinstance(model, Matching)
    assert not isinstance(model, WithEntropies)
    for ids in list(TokenStore(small_store).split("test").documents())[:3]:
        _, (matches,) = model.log_probs_and_matches([ids])
        decoder: Any = model.decoder([ids[:0]])
        for index, id in enumerate(ids):
            assert matches[index] == decoder.match_lengths()[0]
            assert matches[index] == model.decoder([ids[:index]]).match_lengths()[0]
            decoder.extend(np.array([id])[:, None])


NETWORKS: dict[str, dict[str, Any]] = {
    "gpt2": {"layers": 1, "heads": 2, "context": 16},
    "rnn": {"layers": 1, "width": 16},
    "nplm": {"width": 16, "hidden": 16},
    "transformer": {"layers": 1, "width": 32, "heads": 2, "context": 16},
}


@pytest.mark.parametrize("name", NETWORKS)
def test_entropies_are_those_of_the_decoder(name: str, small_store: Path) -> None:
    store = TokenStore(small_store)
    kind: Any = family(name)
    model = kind.build(decode(kind.config, NETWORKS[name], "model"), kind.vocabulary(store), 0).eval()
    assert isinstance(model, WithEntropies)
    texts = [ids[:40] for ids in list(store.split("test").documents())[:3]]
    log_probs, entropies = model.log_probs_and_entropies(texts)
    for one, other in zip(log_probs, model.log_probs(texts), strict=True):
        assert one == pytest.approx(other, abs=1e-5)
    for ids, row in zip(texts, entropies, strict=True):
        decoder: Any = model.decoder([ids[:0]])
        for index, id in enumerate(ids):
            assert row[index] == pytest.approx(entropy(decoder.log_probs())[0], abs=1e-3)
            decoder.extend(np.array([id])[:, None])
    assert model.log_probs_and_entropies([]) == ([], [])


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
    report = langue.evaluate(model, small_store, check=True)
    assert report.passed, str(report)
    valid = langue.evaluate(model, small_store, split="valid").bits_per_byte
    alone = [langue.evaluate(small_models[name], small_store, split="valid") for name in ("trigram", "gpt2")]
    assert valid is not None
    assert valid <= min(part.bits_per_byte or 0 for part in alone) + 1e-4
    document = next(TokenStore(small_store).split("test").documents())
    logs, lengths, entropies = contexts_of(parts_of(small_models, ("trigram", "gpt2")), [document])
    assert lengths.max() == 2
    expected = mixed(logs, weights.at(lengths, entropies))
    assert model.folder.model.log_probs([document])[0] == pytest.approx(expected, abs=1e-5)
    assert model.generate("the", max_tokens=3, seed=1).tokens


def test_parts_are_trained_where_none_are_named(
    small_store: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings: Any = {"steps": 6, "batch_tokens": 256}
    with caplog.at_level("INFO", "langue"):
        model = langue.train("mixture", small_store, tmp_path / "mixture", **settings)
    assert "weights after a match" in caplog.text
    assert "ngram" in caplog.text
    assert isinstance(model.folder.model, Mixture)
    assert [part.description.family for part in model.folder.model.parts] == ["ngram", "gpt2"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mixture"]  # no run is left
    langue.train("mixture", small_store, tmp_path / "again", **settings)
    names = ("weights.json", "1/weights.safetensors")
    for name in names:  # the same seed, the same bits
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "mixture" / name).read_bytes()
    before = {name: (tmp_path / "again" / name).read_bytes() for name in names}
    langue.train("mixture", small_store, tmp_path / "again", resume=True, **settings)  # whole: nothing to do
    assert {name: (tmp_path / "again" / name).read_bytes() for name in names} == before
    with pytest.raises(langue.LangueError, match="already exists"):
        langue.train("mixture", small_store, tmp_path / "again", **settings)
    langue.train("mixture", small_store, tmp_path / "again", overwrite=True, **settings)


def test_parts_that_are_trained_take_no_settings_of_training(
    small_models: dict[str, Path], small_store: Path, tmp_path: Path
) -> None:
    models = [str(small_models[name]) for name in ("trigram", "gpt2")]
    with pytest.raises(langue.LangueError, match="trained already"):
        langue.train("mixture", small_store, tmp_path / "x", models=models, steps=3)
    with pytest.raises(langue.LangueError, match="nothing to foretell"):
        langue.estimate("mixture", small_store)


def test_an_interrupted_mixture_goes_on(
    small_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from langue.training import trainer

    settings: Any = {"steps": 6, "batch_tokens": 256}
    langue.train("mixture", small_store, tmp_path / "whole", **settings)
    step, taken = trainer.Trainer.step, []

    def stopped(self: Any, **options: Any) -> Any:
        taken.append(1)
        if len(taken) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, **options)

    monkeypatch.setattr(trainer.Trainer, "step", stopped)
    with pytest.raises(langue.LangueError, match="resume"):
        langue.train("mixture", small_store, tmp_path / "mixture", **settings)
    assert isinstance(langue.load(tmp_path / "mixture").folder.model, Mixture)  # of what there was
    monkeypatch.setattr(trainer.Trainer, "step", step)
    langue.train("mixture", small_store, tmp_path / "mixture", resume=True, **settings)
    for name in ("weights.json", "1/weights.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "mixture" / name).read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mixture", "whole"]


def test_weights_of_the_first_version_are_read_and_damaged_ones_are_not(tmp_path: Path) -> None:
    path = tmp_path / "weights.json"

    def read(contents: Any) -> Weights:
        path.write_text(json.dumps(contents))
        return read_weights(path, 2)

    assert read([0.25, 0.75]).at(np.array([3]), np.array([2.0], np.float32))[:, 0].tolist() == [0.25, 0.75]
    for contents in (
        [0.25, 0.25], [1.0], [[0.5, 0.5]], {"table": [[[0.5, 0.5]]]}, {"table": [], "knots": []},
        {"table": [[[0.5, 0.5]]], "knots": [1.0, 2.0]}, {"table": [[[0.5, 0.5], [1.0]]], "knots": [1.0, 2.0]},
        {"table": [[[1.5, -0.5]]], "knots": [1.0]},
        {"table": [[[0.5, 0.5], [0.5, 0.5]]], "knots": [2.0, 1.0]},
        {"table": [[[0.5, 0.5]]], "knots": ["a"]}, None,
    ):  # fmt: skip
        with pytest.raises(Damaged, match=r"weights\.json is damaged"):
            read(contents)


def test_what_cannot_be_mixed(small_models: dict[str, Path], small_store: Path, tmp_path: Path) -> None:
    with pytest.raises(langue.LangueError, match="two models"):
        langue.train("mixture", small_store, tmp_path / "x", models=[str(small_models["trigram"])])
    (tmp_path / "text").write_text("a b c\n" * 9)
    other = langue.train("ngram", tmp_path / "text", tmp_path / "other")
    with pytest.raises(langue.LangueError, match="another tokenizer"):
        langue.train("mixture", small_store, tmp_path / "x", models=[str(other.path), str(other.path)])
