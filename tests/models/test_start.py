"""Going on from another model: the same answers, longer contexts, other vocabularies."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import langue
from langue.base.errors import LangueError
from langue.models.start import stretched

TINY = {"layers": 1, "width": 32, "heads": 2, "context": 16, "batch_tokens": 256, "pairs": "none"}
STILL = {"steps": 1, "batch_tokens": 256, "learning_rate": 1e-30, "weight_decay": 0.0, "pairs": "none"}


@pytest.fixture(scope="module", params=["bert", "albert"])
def trained(
    request: pytest.FixtureRequest, small_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    folder = tmp_path_factory.mktemp("first") / request.param
    extra = {"embedding": 16} if request.param == "albert" else {}
    langue.train(request.param, small_store, folder, **TINY, **extra, steps=5)
    return request.param, folder, extra


def test_goes_on_with_the_same_weights(trained: Any, small_store: Path, tmp_path: Path) -> None:
    """A step of no length leaves the model what it was; shape and tokenizer are taken over."""
    family, folder, extra = trained
    langue.train(family, small_store, tmp_path / "m", start=str(folder), **STILL, **extra)
    one, other = langue.load(folder), langue.load(tmp_path / "m")
    assert one.fill("The [MASK] is", top=8).to_json() == other.fill("The [MASK] is", top=8).to_json()
    assert other.info()["config"]["width"] == 32
    # Where it started from is no longer needed.
    assert langue.load(tmp_path / "m").embed(["x"]).shape == (1, 32)


def test_positions_are_stretched_to_a_longer_context(trained: Any, small_store: Path, tmp_path: Path) -> None:
    family, folder, extra = trained
    langue.train(family, small_store, tmp_path / "m", start=str(folder), context=31, **STILL, **extra)
    old, new = (
        langue.load(path).loaded.model.embeddings.position.weight for path in (folder, tmp_path / "m")
    )
    assert len(new) == 31
    torch.testing.assert_close(new[::2], old)
    torch.testing.assert_close(new[1::2], (old[1:] + old[:-1]) / 2)
    assert torch.equal(stretched(old, 7), old[:7])


def test_a_larger_vocabulary_keeps_what_it_shares(trained: Any, small_text: Path, tmp_path: Path) -> None:
    family, folder, extra = trained
    langue.prepare(small_text, tmp_path / "s", vocabulary=700, documents="blank-line")
    langue.train(family, tmp_path / "s", tmp_path / "m", start=str(folder), **STILL, **extra)
    old, new = langue.load(folder), langue.load(tmp_path / "m")
    rows = new.loaded.model.embeddings.word.weight
    before = old.loaded.model.embeddings.word.weight
    shared = 0
    spelled = {token: id for id, token in enumerate(old.tokenizer.spellings()) if token}
    for id, token in enumerate(new.tokenizer.spellings()):
        if token in spelled:
            shared += 1
            assert torch.equal(rows[id], before[spelled[token]])
        elif token.decode(errors="ignore").encode() == token and token:
            pieces = old.tokenizer.encode(token.decode()).astype(np.int64)
            torch.testing.assert_close(rows[id], before[torch.from_numpy(pieces)].mean(0))
    assert 500 < shared < 700
    for one, other in zip(new.loaded.model.specials, old.loaded.model.specials, strict=True):
        assert torch.equal(rows[one], before[other])
    assert torch.equal(rows[new.tokenizer.eos], before[old.tokenizer.eos])


def test_what_cannot_be_taken_over_is_told(
    trained: Any, small_store: Path, small_models: dict[str, Path], tmp_path: Path
) -> None:
    family, folder, extra = trained
    for message, settings in (
        ("leave layers, width and heads out", {"start": str(folder), "width": 64}),
        ("starts from its own kind", {"start": str(small_models["gpt2"])}),
        ("is not a model folder", {"start": str(tmp_path)}),
    ):
        with pytest.raises(LangueError, match=message):
            langue.train(family, small_store, tmp_path / "m", **STILL, **extra, **settings, overwrite=True)
        assert not (tmp_path / "m").exists()
