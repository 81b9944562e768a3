"""Texts with several labels or none: learned, measured, told, and read from files of both formats."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import langue
from langue import cli
from langue.base.errors import LangueError
from langue.corpus.labeled import read_label_sets
from langue.tasks.multilabel import decisions, micro_f1, score_sets

FAST = {"seeds": 1, "epochs": 10, "learning_rate": 5e-3, "batch_size": 16, "pooling": "cls"}
WORDS = {"good": "praise", "天下": "china", "king": "court"}


def write(path: Path, count: int, seed: int) -> Path:
    """What is said of a text are the words that stand in it."""
    draw = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        words = [word for word in WORDS if draw.random() < 0.5]
        text = "She saw " + " and ".join([f"number {draw.integers(1000)}", *words]) + "."
        rows.append("\t".join([text, *([WORDS[word] for word in words] or [""])]))
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def tuned(small_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("multilabel")
    tiny = {"layers": 1, "width": 32, "heads": 2, "context": 32, "steps": 5, "batch_tokens": 256}
    langue.train("bert", small_store, folder / "bert", **tiny)
    files = {
        name: write(folder / f"{name}.tsv", 300 - 200 * seed, seed)
        for seed, name in enumerate(("data", "test"))
    }
    result = langue.finetune(folder / "bert", output=folder / "m", task="multilabel", **files, **FAST)
    return folder / "m", files, result


def test_learns_each_label_alone(tuned: Any) -> None:
    folder, files, result = tuned
    assert result.test[0].micro_f1 > 0.9 and result.test[0].exact > 0.7
    model = langue.ClassifierModel.load(folder)
    assert model.multilabel and model.labels == ("china", "court", "praise")
    shares = dict(model.classify("She saw number 5 and good and 天下."))
    assert shares["praise"] > 0.5 < shares["china"] and shares["court"] < 0.5
    assert max(share for _, share in model.classify("She saw number 5.")) < 0.5
    told = langue.evaluate(folder, files["test"], train=files["data"])
    assert told.scores == result.test[0] and told.micro_f1.value == pytest.approx(told.scores.micro_f1)
    assert told.words.value > 0.9 and "ECE" in str(told) and "micro-F1 of words" in str(told)
    assert json.loads(json.dumps(told.to_json()))["baselines"]["words"]["value"] == told.words.value


def test_figures_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import accuracy_score, f1_score

    draw = np.random.default_rng(0)
    said, right = draw.random((2, 50, 4)) < 0.4
    scores = score_sets(said, right)
    assert scores.micro_f1 == pytest.approx(f1_score(right, said, average="micro"))
    assert scores.macro_f1 == pytest.approx(f1_score(right, said, average="macro"))
    assert scores.exact == pytest.approx(accuracy_score(right, said))
    told = micro_f1(said, right)
    assert told.value == pytest.approx(scores.micro_f1) and told.interval[0] < told.value < told.interval[1]
    log_probs, answers = decisions(np.log(np.array([[0.9, 0.2]])), np.array([[True, False]]))
    assert np.exp(log_probs) == pytest.approx(np.array([[0.9, 0.1], [0.2, 0.8]]))
    assert answers.tolist() == [0, 1]


def test_transformers_says_the_same(tuned: Any, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    langue.export_model(tuned[0], tmp_path / "hf")
    pipe = transformers.pipeline("text-classification", str(tmp_path / "hf"), top_k=None)
    theirs = {one["label"]: one["score"] for one in pipe(["She saw number 5 and good."])[0]}
    ours = dict(langue.ClassifierModel.load(tuned[0]).classify("She saw number 5 and good."))
    assert ours == pytest.approx(theirs, abs=1e-4)


def test_verb_tells_all_that_is_likelier_than_not(tuned: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["classify", str(tuned[0]), "She saw number 5 and good and 天下."]) == 0
    printed = capsys.readouterr().out
    assert "praise" in printed and "china" in printed and "court" not in printed


def test_files_of_both_formats(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("a text\tone\ttwo\tone\nbare\t\n", encoding="utf-8")
    (tmp_path / "a.jsonl").write_text(
        '{"text": "a text", "labels": ["one", "two"]}\n{"text": "bare", "labels": []}\n', encoding="utf-8"
    )
    for name in ("a.tsv", "a.jsonl"):
        read = read_label_sets(tmp_path / name)
        assert [(one.text, one.labels) for one in read] == [("a text", ("one", "two")), ("bare", ())]


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("a.tsv", "a text", "line 1: no tab"),
        ("a.jsonl", '{"text": "a"}', "has no labels; write text, labels"),
        ("a.jsonl", '{"text": "a", "labels": "one"}', "labels is no list"),
        ("a.jsonl", '{"text": "a", "labels": [null]}', "neither text nor a number"),
        ("a.tsv", "a text\t", "have no label"),
    ],
)
def test_what_is_wrong_is_named(name: str, line: str, message: str, tuned: Any, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(f"{line}\n" * 40, encoding="utf-8")
    with pytest.raises(LangueError, match=message):
        langue.finetune(tuned[0].parent / "bert", path, tmp_path / "m", task="multilabel", valid=path)
