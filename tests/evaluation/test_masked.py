"""Measuring encoders: fixed masks, pseudo-log-likelihood by brute force, and what a broken model fails."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import langue
from langue.base.arrays import Floats, Ids
from langue.evaluation.checks import check_masked
from langue.evaluation.pseudo import pseudo_log_probs
from langue.protocols import Vocabulary
from langue.tokens.boundaries import Boundaries
from langue.tokens.masked_batch import Specials
from langue.tokens.store import TOKENIZER
from langue.tokens.tokenizer import Tokenizer

SMALL = {
    "size": "tiny",
    "layers": 1,
    "width": 32,
    "heads": 2,
    "context": 32,
    "steps": 20,
    "batch_tokens": 256,
}


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures on fewer tokens and pairs, in less time."""
    monkeypatch.setattr("langue.evaluation.masked.PSEUDO_TOKENS", 300)
    monkeypatch.setattr("langue.evaluation.masked.PAIRS", 60)


@pytest.fixture(scope="session")
def encoder(small_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("encoder") / "bert"
    return langue.train("bert", small_store, folder, **SMALL, learning_rate=3e-3)


def test_an_encoder_is_measured_on_hidden_tokens(encoder: Any, small_store: Path) -> None:
    found = langue.evaluate(encoder, small_store, check=True)
    facts = found.to_json()
    assert facts["bits_per_byte"] is None
    assert found.passed
    assert len(found.checks) == 3
    low, high = facts["masked_accuracy"]["interval"]
    assert 0 <= low <= facts["masked_accuracy"]["value"] <= high < 1
    assert facts["hidden_tokens"] / facts["tokens"] == pytest.approx(0.15, abs=0.02)
    # Better than guessing by chance among the tokens of the vocabulary.
    assert facts["masked_bits_per_token"]["value"] < math.log2(600)
    assert facts["pair_accuracy"]["value"] > 0.3
    assert 0 <= facts["pair_f1"] <= 1
    assert "no" in str(found).split("bits per byte")[1]
    assert langue.evaluate(encoder, small_store).to_json() | {"seconds": 0, "checks": 0} == facts | {
        "seconds": 0,
        "checks": 0,
    }


def test_a_text_file_is_measured_like_a_store(encoder: Any, tmp_path: Path) -> None:
    path = tmp_path / "test.txt"
    path.write_text("The king is dead. Long live the king.\n天下大势，分久必合。\n", encoding="utf-8")
    data = {"documents": "file", "duplicates": "keep"}
    file = encoder.path / "tokenizer.json"
    langue.prepare(
        path, tmp_path / "store", valid=[path], test=[path], **data, **{"tokenizer.file": str(file)}
    )
    one, other = (langue.evaluate(encoder, on).to_json() for on in (path, tmp_path / "store"))
    assert one["masked_bits_per_byte"] == other["masked_bits_per_byte"]
    assert one["masked_accuracy"]["interval"] is None  # one document


def test_pseudo_scores_are_those_of_one_hidden_token_after_another(encoder: Any) -> None:
    text = "The misunderstanding of 天下大势 is long."
    ids = encoder.tokenizer.encode(text).astype(np.int64)
    encoder = langue.load(encoder.path)
    model = encoder.folder.model
    torch.manual_seed(0)
    with torch.no_grad():  # what a model says after a few steps hardly depends on what it reads
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    begins = Boundaries(encoder.tokenizer).words(ids)
    expected = []
    for place in range(len(ids)):
        read = np.r_[model.specials.cls, ids, model.specials.sep]
        end = place + 1
        while end < len(ids) and not begins[end]:
            end += 1  # the rest of the word is hidden too
        read[place + 1 : end + 1] = model.specials.mask
        expected.append(
            -model.masked_log_probs([read], [np.array([place + 1])])[0][0, ids[place]] / math.log(2)
        )
    assert not begins.all()
    found = encoder.pseudo_score(text)
    np.testing.assert_allclose(found.bits, expected, atol=1e-4)
    assert found.per_byte == pytest.approx(sum(expected) / len(text.encode()), rel=1e-4)
    assert encoder.pseudo_score("").per_byte is None
    alone = pseudo_log_probs(model, None, [ids])[0]  # without the correction, the rest gives it away
    assert not np.allclose(alone, -np.array(expected) * math.log(2), atol=1e-3)


def test_a_text_longer_than_the_window_is_scored_in_pieces(encoder: Any) -> None:
    text = "Long live the king, and the queen. " * 20
    found = encoder.pseudo_score(text)
    assert len(found.bits) == len(encoder.tokenizer.encode(text)) > 3 * 32
    assert np.isfinite(found.bits).all()


def test_saved_and_loaded_says_the_same(encoder: Any) -> None:
    again = langue.load(encoder.path)
    assert again.fill("The [MASK] is").to_json() == encoder.fill("The [MASK] is").to_json()
    assert np.array_equal(again.embed(["天下"]), encoder.embed(["天下"]))


class Broken:
    """A `Masked` model that lets a batch matter, or does not sum to one."""

    vocabulary = Vocabulary(20, 0)
    specials = Specials(20, 21, 22)
    window = 16
    sentence_pairs = "none"

    def __init__(self, fault: str) -> None:
        self.fault = fault

    def masked_log_probs(
        self, sequences: Sequence[Ids], places: Sequence[Ids], types: Any = None
    ) -> list[Floats]:
        share = 1 / 23 * (1.1 if self.fault == "sum" else 1.0)
        seen = 0.01 * len(sequences) if self.fault == "batch" else 0.0
        return [np.full((len(some), 23), np.log(share) + seen) for some in places]

    def hidden(self, sequences: Sequence[Ids], types: Any = None) -> list[Floats]:
        seen = float(len(sequences)) if self.fault == "padding" else 0.0
        return [np.full((len(ids), 2), seen) for ids in sequences]


@pytest.mark.parametrize("fault", ["sum", "batch", "padding"])
def test_self_tests_catch_a_broken_encoder(fault: str) -> None:
    model: Any = Broken(fault)
    assert not all(found.passed for found in check_masked(model, [np.arange(1, 9), np.arange(3, 5)]))
    sound: Any = Broken("none")
    assert all(found.passed for found in check_masked(sound, [np.arange(1, 9), np.arange(3, 5)]))


def test_loading_finds_the_tokenizer(encoder: Any) -> None:
    assert Tokenizer.load(encoder.path / TOKENIZER).fingerprint == encoder.tokenizer.fingerprint
