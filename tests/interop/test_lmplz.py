"""The figures of KenLM's own `lmplz` and `query`, kept in a file that says how they were had: a text of odd
blanks, of what normalization changes, and of names of special tokens is counted and asked as they do it."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

import langue
from langue.interop import kenlm

FIGURES = json.loads((Path(__file__).parent / "data" / "lmplz.json").read_text())


@pytest.fixture(scope="module", params=FIGURES["runs"], ids=lambda run: " ".join(run["options"]))
def run(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], Path]:
    """What was printed of one model, and a folder with ours, the same as ARPA, and that imported."""
    folder = tmp_path_factory.mktemp("lmplz")
    for name in ("train", "test"):
        (folder / name).write_bytes("".join(f"{line}\n" for line in FIGURES[name]).encode())
    order, *prune = [int(part) for part in request.param["options"] if part.isdigit()]
    settings: dict[str, Any] = {"prune": prune} if prune else {}
    langue.train("ngram", folder / "train", folder / "model", order=order, **settings)
    langue.export_model(folder / "model", folder / "model.arpa")
    langue.import_model(folder / "model.arpa", folder / "imported")
    return request.param, folder


def test_as_many_ngrams_are_kept(run: tuple[dict[str, Any], Path]) -> None:
    printed, folder = run
    head = (folder / "model.arpa").read_bytes().split(b"\\1-grams:")[0].split()
    assert [int(word.split(b"=")[1]) for word in head if b"=" in word] == printed["ngrams"]


@pytest.mark.parametrize("name", ["model", "model.arpa", "imported"])
def test_every_word_has_the_probability_that_query_prints(
    run: tuple[dict[str, Any], Path], name: str
) -> None:
    printed, folder = run
    ours = kenlm.Model(folder / name)
    for line, expected in zip(FIGURES["test"], printed["sentences"], strict=True):
        words = list(ours.full_scores(line))
        assert [list(word[1:]) for word in words] == [[length, bool(oov)] for _, length, oov in expected], (
            line
        )
        assert [word[0] for word in words] == pytest.approx([word[0] for word in expected], abs=2e-5), line
    queried = langue.query(folder / name, folder / "test")
    assert queried.tokens == printed["summary"]["Tokens"]
    assert queried.oovs == printed["summary"]["OOVs"]
    assert queried.perplexity == pytest.approx(printed["summary"]["Perplexity including OOVs"], rel=1e-5)
    assert queried.known_perplexity == pytest.approx(
        printed["summary"]["Perplexity excluding OOVs"], rel=1e-5
    )


@pytest.mark.parametrize("name", ["model", "imported"])
def test_scores_of_lines_add_up_to_it(run: tuple[dict[str, Any], Path], name: str) -> None:
    printed, folder = run
    scores = langue.CausalModel.load(folder / name).score_all(FIGURES["test"])
    expected = [sum(word[0] for word in sentence) for sentence in printed["sentences"]]
    assert [-score.total_bits * math.log10(2) for score in scores] == pytest.approx(expected, abs=1e-4)


def test_both_spellings_of_the_unknown_word_in_a_file_of_lmplz(tmp_path: Path) -> None:
    """lmplz counts a word <UNK> beside <unk>; both are read as one, the later holds. A text that has the word
    is counted so."""
    printed = FIGURES["capital"]
    (tmp_path / "capital.arpa").write_text(printed["arpa"])
    langue.import_model(tmp_path / "capital.arpa", tmp_path / "imported")
    lines = [line.replace("<Unk>", "<UNK>") for line in FIGURES["train"]]
    (tmp_path / "text").write_bytes("".join(f"{line}\n" for line in lines).encode())
    langue.train("ngram", tmp_path / "text", tmp_path / "trained", order=3)
    totals = [sum(word[0] for word in sentence) for sentence in printed["sentences"]]
    for name in ("trained", "imported"):
        scores = langue.CausalModel.load(tmp_path / name).score_all(FIGURES["test"])
        assert [-score.total_bits * math.log10(2) for score in scores] == pytest.approx(totals, abs=1e-4)
    for name in ("capital.arpa", "imported", "trained"):
        ours = kenlm.Model(tmp_path / name)
        for line, expected in zip(FIGURES["test"], printed["sentences"], strict=True):
            assert [list(word) for word in ours.full_scores(line)] == [
                [pytest.approx(log10, abs=2e-5), length, bool(oov)] for log10, length, oov in expected
            ]
