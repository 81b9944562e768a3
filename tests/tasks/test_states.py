"""The picture of what an HMM has learned."""

import json
from pathlib import Path

import numpy as np
import pytest

import langue
from langue import cli
from langue.tasks.states import picture


@pytest.fixture(scope="module")
def model(small_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "hmm"
    langue.train("hmm", small_store, path, states=8, iterations=5)
    return path


def test_every_state_is_there_with_its_words(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = langue.load(model)
    found = picture(held.folder, held.tokenizer, top=3)
    assert sorted(state.number for state in found.states) == list(range(8))
    assert sum(state.share for state in found.states) == pytest.approx(1)
    assert all(len(state.words) == 3 for state in found.states)
    assert np.allclose(found.transition.sum(1), 1)
    assert cli.run(["states", str(model), "--top", "3"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + 8 + 2 + 8
    assert cli.run(["states", str(model), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 8


def test_the_states_behind_a_text(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["states", str(model), "the king 第一回", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert "".join(row["token"] for row in rows).startswith("the")
    assert all(0 <= row["state"] < 8 and 0 <= row["posterior"] <= 1.000001 for row in rows)
    assert cli.run(["states", str(model), ""]) == 0


def test_other_families_have_no_states(
    small_models: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["states", str(small_models["trigram"])]) == 2
    assert "has no hidden states" in capsys.readouterr().err


def test_it_generates_and_passes_the_self_tests(model: Path, small_store: Path) -> None:
    held = langue.load(model)
    assert langue.evaluate(held, small_store, check=True).passed
    assert held.generate("the", max_tokens=5, seed=1).tokens == 5
    assert "8 states" in held.summary()
