"""Probing: the states that a probe reads are those of the layers, and it reads off them what is there."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import langue
from langue import cli
from langue.base.errors import LangueError
from langue.corpus.labeled import Example
from langue.models.folder import load
from langue.tasks.classification import Reader
from langue.tasks.probing import layer_states

GOOD, BAD = ("good", "great", "天下"), ("bad", "awful", "宝玉")


def write(path: Path, count: int, seed: int) -> Path:
    draw = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        kind = int(draw.integers(2))
        rows.append(f"The king saw a {(BAD, GOOD)[kind][draw.integers(3)]} film.\t{('no', 'yes')[kind]}\n")
    path.write_text("".join(rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module", params=["bert", "albert"])
def encoder(
    request: pytest.FixtureRequest, small_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("encoder") / request.param
    tiny = {"layers": 2, "width": 32, "heads": 2, "context": 32, "steps": 5, "batch_tokens": 256}
    langue.train(request.param, small_store, folder, **tiny)
    return folder


def test_states_are_those_of_the_layers(encoder: Path) -> None:
    folder: Any = load(encoder)
    texts = ["The king saw a good film.", "天下大势", "x"]
    read = Reader(folder.model, folder.tokenizer, folder.normalization).read(
        [Example((text,), "", "") for text in texts]
    )
    states = layer_states(folder.model, read)
    assert [layer.shape for layer in states] == [(3, 32)] * 3  # embeddings and two layers
    np.testing.assert_allclose(states[-1], langue.load(encoder).embed(texts), atol=1e-4)
    assert not np.allclose(states[0], states[1]) and not np.allclose(states[1], states[2])


def test_a_probe_reads_what_a_word_says(encoder: Path, tmp_path: Path) -> None:
    train, test = write(tmp_path / "train.tsv", 200, 0), write(tmp_path / "test.tsv", 80, 1)
    before = (encoder / "weights.safetensors").read_bytes()
    told = langue.MaskedModel.load(encoder).probe(train, test)
    assert len(told.layers) == len(told.random) == 3
    assert all(one.value > 0.9 for one in told.layers)  # six words stand apart in any space
    assert told.baselines["majority"].value < 0.7 < told.baselines["words"].value
    assert (encoder / "weights.safetensors").read_bytes() == before
    assert "embeddings" in str(told) and "layer 2" in str(told)
    assert told.to_json()["layers"][0].keys() >= {"value"}


def test_verb(encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train, test = write(tmp_path / "train.tsv", 60, 0), write(tmp_path / "test.tsv", 20, 1)
    assert cli.run(["evaluate", str(encoder), str(test), "--probe", str(train)]) == 0
    assert "linear probe on 20 examples" in capsys.readouterr().out
    (tmp_path / "other.tsv").write_text("A text.\tmaybe\n", encoding="utf-8")
    with pytest.raises(LangueError, match="the label maybe is not in the training file"):
        langue.MaskedModel.load(encoder).probe(train, tmp_path / "other.tsv")
