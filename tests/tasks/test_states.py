"""The picture of what an HMM has learned."""

import io
import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import langue
from langue import cli
from langue.tasks.states import in_the_long_run, picture


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
    assert cli.run(["states", str(model), ""]) == 2


def test_the_states_behind_each_line_of_a_file(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ["the king", "第一回 the queen"]
    (tmp_path / "lines.txt").write_text("\n".join(lines))
    alone = [langue.HMMModel.load(model).states_of(line) for line in lines]
    for given in (str(tmp_path / "lines.txt"), "-"):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("\n".join(lines).encode())))
        assert cli.run(["states", str(model), given, "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == alone
    assert cli.run(["states", str(model), str(tmp_path / "lines.txt")]) == 0
    assert "\n\n" in capsys.readouterr().out
    assert cli.run(["states", str(model), "no-such.txt"]) == 2
    assert "no file no-such.txt" in capsys.readouterr().err


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


def test_shares_where_a_document_is_a_sentence() -> None:
    """State 2 says "." and ends documents, each half of the time; behind an end its row is prior only."""
    start = np.array([1.0, 0, 0])
    transition = np.array([[0, 1.0, 0], [0, 0, 1.0], [0, 0, 1.0]])  # absorbing, if nothing ended
    follow, share = in_the_long_run(start, transition, np.array([0, 0, 0.5]))
    assert share == pytest.approx([0.25, 0.25, 0.5], abs=1e-6)
    assert follow == pytest.approx(np.array([[0, 1, 0], [0, 0, 1], [0.5, 0, 0.5]]))


def test_shares_and_transitions_of_the_second_order() -> None:
    """A chain 0 → 1 → 2 → end; what is never two before, and state 3 that is never there, say nothing."""
    K = 4
    transition = np.full((K + 1, K, K), 1 / K)
    transition[K, 0] = np.eye(K)[1]
    transition[0, 1] = np.eye(K)[2]
    follow, share = in_the_long_run(np.eye(K)[0], transition, np.array([0, 0, 1.0, 0]))
    assert share == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0], abs=1e-6)
    assert follow[:3] == pytest.approx(np.eye(K)[[1, 2, 0]])
    assert follow[3].sum() == pytest.approx(1)


@pytest.mark.parametrize("order", [1, 2])
def test_shares_are_those_of_the_training_text(order: int, tmp_path: Path) -> None:
    text = tmp_path / "t.txt"
    names = [[f"{kind}{n}" for n in range(5)] for kind in ("king", "verb", "fate")]
    lines = [f"the {' '.join(words)}" for words in product(*names)]
    text.write_text("\n".join(lines) + "\n")
    langue.prepare(text, tmp_path / "store", documents="line", kind="words")
    held = langue.train("hmm", tmp_path / "store", tmp_path / "m", states=8, order=order, iterations=20)
    told = {state.number: state.share for state in picture(held.folder, held.tokenizer, top=1).states}
    eos = held.folder.model.vocabulary.eos
    paths = held.folder.model.to_hmm().states([[*held.tokenizer.encode(line), eos] for line in lines])
    counted = sum(path.posteriors.sum(0) for path in paths)
    assert [told[k] for k in range(8)] == pytest.approx(counted / counted.sum(), abs=0.05)
