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
from langue.tasks.learning_curve import exceeds
from langue.tasks.probing import Features, ProbeData, cosines, layer_states

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


def write_pairs(path: Path, count: int, seed: int) -> Path:
    """Pairs that are alike where they have one word."""
    draw = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        first, other = (GOOD + BAD)[draw.integers(6)], (GOOD + BAD)[draw.integers(6)]
        same = bool(draw.integers(2)) or first == other
        rows.append(f"The king saw {first}.\tThe king saw {first if same else other}.\t{int(same)}\n")
    path.write_text("".join(rows), encoding="utf-8")
    return path


def test_a_probe_of_pairs_reads_how_they_differ(encoder: Path, tmp_path: Path) -> None:
    train, test = write_pairs(tmp_path / "train.tsv", 150, 0), write_pairs(tmp_path / "test.tsv", 60, 1)
    told = langue.MaskedModel.load(encoder).probe(train, test)
    assert told.examples == 60 and told.baselines["majority"].value < 0.8
    assert all(one.value > 0.95 for one in told.layers)  # |u - v| is 0 where they are one text
    single = write(tmp_path / "single.tsv", 20, 0)
    with pytest.raises(LangueError, match=r"2 columns between tabs, not 3"):
        langue.MaskedModel.load(encoder).probe(train, single)


def test_of_few_pairs_one_number_is_not_hidden_by_many() -> None:
    """A block of 300 columns of noise weighs as much as the one that tells the labels, and no more."""
    draw = np.random.default_rng(0)
    labels = draw.integers(2, size=1040)
    table = draw.normal(size=(1040, 301))
    table[:, -1] = labels + draw.normal(size=1040) / 4
    given = ProbeData([], [], labels[:40], labels[40:], 2)
    shares = [
        (Features(table[:40], table[40:], blocks).guesses(given) == given.answers).mean()
        for blocks in ((301,), (300, 1))
    ]
    assert shares[0] < 0.8 and shares[1] > 0.9


def test_cosines() -> None:
    u, v = np.array([[1.0, 0.0], [3.0, 4.0], [0.0, 0.0]]), np.array([[0.0, 2.0], [6.0, 8.0], [1.0, 1.0]])
    np.testing.assert_allclose(cosines(u, v), [[0.0], [1.0], [0.0]])


def test_a_learning_curve(encoder: Path, tmp_path: Path) -> None:
    train, test = write(tmp_path / "train.tsv", 120, 0), write(tmp_path / "test.tsv", 80, 1)
    told = langue.MaskedModel.load(encoder).learning_curve(train, test, [500, 8], draws=4)
    few, all_labels = told.points
    assert (few.labels, all_labels.labels) == (8, 120)  # no more than there are
    assert len(few.pretrained) == len(few.random) == len(few.baselines["words"]) == 4
    assert len({one.accuracy for one in few.pretrained}) > 1  # each draw has labels of its own
    assert len({one.accuracy for one in all_labels.pretrained}) == 1  # there is one draw of all
    mean = [np.mean([one.accuracy for one in point.pretrained]) for point in told.points]
    assert mean[0] < mean[1] and mean[1] > 0.9
    assert not all_labels.worth()  # six words stand apart by random weights, too
    assert "mean ± standard deviation of 4 draws" in str(told) and str(told).count("\n") == 3
    assert told.to_json()["points"][0]["labels"] == 8


def test_a_verdict_needs_more_than_the_spread() -> None:
    assert exceeds([0.8, 0.82], [0.7, 0.72]) and not exceeds([0.8, 0.82], [0.7, 0.9])
    assert exceeds([0.8], [0.7]) and not exceeds([0.7], [0.7])


def test_verb(encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train, test = write(tmp_path / "train.tsv", 60, 0), write(tmp_path / "test.tsv", 20, 1)
    assert cli.run(["evaluate", str(encoder), str(test), "--probe", str(train)]) == 0
    assert "linear probe on 20 examples" in capsys.readouterr().out
    several = ["--probe", str(train), "--labels", "5", "--labels", "30"]
    assert cli.run(["evaluate", str(encoder), str(test), *several]) == 0
    assert "above random" in capsys.readouterr().out
    (tmp_path / "other.tsv").write_text("A text.\tmaybe\n", encoding="utf-8")
    with pytest.raises(LangueError, match="the label maybe is not in the training file"):
        langue.MaskedModel.load(encoder).probe(train, tmp_path / "other.tsv")
