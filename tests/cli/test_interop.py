"""`import`, `export`, `find`, `copied` and `evaluate --format kenlm`, as a user types them."""

import json
from pathlib import Path

import pytest

from langue.cli import run


@pytest.fixture
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "text"
    path.write_text("我 爱 语言 模型\nthe cat sat\nthe cat ran\n" * 5, encoding="utf-8")
    return path


def test_from_text_to_arpa_and_back(text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "ngram", "text", "-o", "model", "--set", "order=3"]) == 0
    assert run(["export", "model", "-o", "model.arpa.gz"]) == 0
    assert run(["import", "model.arpa.gz", "-o", "again"]) == 0
    capsys.readouterr()
    printed = []
    for model in ("model", "again", "model.arpa.gz"):
        assert run(["evaluate", model, "text", "--format", "kenlm"]) == 0
        printed.append([line.split("\t") for line in capsys.readouterr().out.splitlines()])
    for lines in printed:
        names = ["Perplexity including OOVs:", "Perplexity excluding OOVs:", "OOVs:", "Tokens:"]
        assert [name for name, _ in lines] == names
        assert float(lines[0][1]) == pytest.approx(float(printed[0][0][1]), rel=1e-5)
    assert run(["evaluate", "again", "text", "--format", "kenlm", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tokens"] == 65


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["import", "text", "-o", "x"], "not an ARPA file"),
        (["import", "absent", "-o", "x"], "cannot read absent"),
        (["export", "text", "-o", "x"], "not a model folder"),
        (["export", "model", "-o", "text"], "already exists"),
        (["evaluate", "model", "empty", "--format", "kenlm"], "empty"),
        (["evaluate", "model", "text", "--format", "else"], "unknown format"),
        (["find", "model", "the"], "keeps no training text"),
        (["train", "ngram", "empty", "-o", "x"], "holds no words"),
        (["train", "ngram", "text", "-o", "x", "--memory", "9"], "give at least --memory 13"),
        (["train", "markov", "text", "-o", "x", "--memory", "9"], "memory"),
        (["train", "ngram", "text", "-o", "x", "--set", "prune=[1, 0]"], "must not fall"),
        (["train", "ngram", "text", "-o", "x", "--set", "order=9"], "<= 8"),
    ],
)
def test_what_a_user_can_get_wrong(
    text: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    (text.parent / "empty").touch()
    assert run(["train", "ngram", "text", "-o", "model"]) == 0
    assert run(arguments) == 2
    assert message in capsys.readouterr().err
    assert not (text.parent / "x").exists()


def test_find_and_copied(small_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = str(tmp_path / "model")
    assert run(["train", "infinigram", str(small_store), "-o", model]) == 0
    capsys.readouterr()
    assert run(["find", model, "the", "--limit", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["count"] > 2 == len(found["occurrences"])
    (tmp_path / "generated").write_text("zxq jvkw " + found["occurrences"][0]["before"] * 2)
    assert run(["copied", model, str(tmp_path / "generated"), "--min-bytes", "3"]) == 0
    assert "stand in the train split" in capsys.readouterr().out
