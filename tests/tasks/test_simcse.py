"""Contrastive tuning without labels: vectors spread and rank, against the paper's formula."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import langue
from langue import cli
from langue.base.errors import LangueError
from langue.models.folder import load
from langue.tasks.simcse import TEMPERATURE, View, loss
from langue.tokens.masked import add_special_tokens

FAST = {"epochs": 4, "learning_rate": 2e-3, "batch_size": 16}
SUBJECTS = ("The king", "A queen", "My dog", "天下大势", "黛玉", "Her friend")
ENDS = ("saw a film.", "went home.", "笑道：好。", "was cold in April.", "分久必合。", "wrote a letter.")


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lines") / "lines.txt"
    every = [f"{one} {end} {number}" for number in range(6) for one in SUBJECTS for end in ENDS]
    path.write_text("\n".join(every), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def tuned(encoder: Path, lines: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("tuned") / "simcse"
    return folder, langue.finetune(encoder, lines, folder, task="simcse", **FAST)


def cosines(model: Any, texts: list[str]) -> Any:
    vectors = model.embed(texts).astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors @ vectors.T


def test_texts_move_apart_and_those_alike_stay_near(tuned: Any, encoder: Path) -> None:
    folder, result = tuned
    before, after = langue.load(encoder), langue.load(folder)
    assert after.family == "bert" and isinstance(after, langue.MaskedModel)
    texts = [f"{one} {end}" for one in SUBJECTS for end in ENDS]
    pairs = np.triu_indices(len(texts), 1)
    assert cosines(after, texts)[pairs].mean() < cosines(before, texts)[pairs].mean() - 0.1
    table = cosines(after, ["The king saw a film.", "The king saw a film. 3", "黛玉 分久必合。"])
    near, far = table[0, 1:]
    assert near > far
    assert 1 / 22 < result.valid[0].probability <= 1  # of so many held-out texts, by chance one
    assert "probability" in str(result)


def test_the_loss_is_that_of_the_paper(encoder: Path) -> None:
    """Without dropout both readings are one vector."""
    folder: Any = load(encoder)
    model = folder.model.eval()
    ids = [add_special_tokens(folder.tokenizer.encode(text), model.specials) for text in ENDS]
    with torch.no_grad():
        ours = float(loss(model, [View(one, "mean") for one in ids]))
    vectors = np.stack([states.mean(0) for states in model.hidden(ids)]).astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    logits = vectors @ vectors.T / TEMPERATURE
    expected = (np.logaddexp.reduce(logits, axis=1) - np.diag(logits)).sum()
    assert ours == pytest.approx(expected, abs=1e-3)


def test_the_same_seed_gives_the_same_vectors(encoder: Path, lines: Path, tuned: Any, tmp_path: Path) -> None:
    langue.finetune(encoder, lines, tmp_path / "again", task="simcse", **FAST)
    one, two = (langue.load(path).embed(["The king"]) for path in (tuned[0], tmp_path / "again"))
    assert np.array_equal(one, two)


def test_verbs_and_bad_input(tuned: Any, encoder: Path, lines: Path, tmp_path: Path) -> None:
    folder = str(tuned[0])
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("The king went.\tThe king went home.\t5\nMy dog\t黛玉笑道。\t0\n", encoding="utf-8")
    assert cli.run(["evaluate", folder, str(pairs), "--similarity"]) == 0
    assert cli.run(["similar", "The king", str(lines), "--model", folder]) == 0
    with pytest.raises(LangueError, match="has no head that predicts"):  # of another encoder than this now is
        langue.MaskedModel.load(folder).fill("The [MASK] went.")
    (tmp_path / "one.txt").write_text("a text alone", encoding="utf-8")
    with pytest.raises(LangueError, match="has fewer than two texts"):
        langue.finetune(encoder, tmp_path / "one.txt", tmp_path / "m", task="simcse")
    with pytest.raises(LangueError, match="set dropout above 0"):
        langue.finetune(encoder, lines, tmp_path / "m", task="simcse", dropout=0.0)
