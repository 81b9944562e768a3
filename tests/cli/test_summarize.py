"""`langue summarize` as a user types it."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from langue import cli

TEXT = (
    "The king of Spain visited Paris. Fine weather it was. Paris saw the king of Spain. He left. It rained.\n"
)


@pytest.fixture
def langue(capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*arguments: str | Path, code: int = 0) -> str:
        capsys.readouterr()
        assert cli.run([str(argument) for argument in arguments]) == code
        out, err = capsys.readouterr()
        return err if code else out

    return run


def test_files_standard_input_and_explanations(
    langue: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = tmp_path / "a.txt", tmp_path / "b.txt"
    a.write_text(TEXT)
    b.write_text("天气很好。国王访问巴黎。巴黎看见国王。", "utf-8")
    summary = langue("summarize", a, "--method", "centroid", "--sentences", "2")
    assert summary == "The king of Spain visited Paris. Paris saw the king of Spain.\n"
    both = langue("summarize", a, b, "--method", "lead", "--sentences", "1")
    assert both.count("──") == 4 and "天气很好。" in both
    explained = langue("summarize", a, "--method", "lead", "--sentences", "1", "--explain")
    assert "sentence 1 of 5, characters 0–32; rank 1" in explained
    assert "spain" in langue("summarize", a, "--method", "centroid", "--explain")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
    assert langue("summarize", "-", "--method", "centroid", "--sentences", "2") == summary
    table = json.loads(langue("summarize", a, "--json"))
    assert table["document"] == str(a) and table["total"] == 5 and len(table["sentences"]) == 3


def test_it_says_by_what(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "langue")
    (tmp_path / "a.txt").write_text("天气很好。国王访问巴黎。巴黎看见国王。", "utf-8")
    assert cli.run(["summarize", str(tmp_path / "a.txt")]) == 0
    assert "summarized by lexrank, which needs no model" in caplog.text


def test_an_empty_summary_is_told_of(langue: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    blank, full = tmp_path / "blank.txt", tmp_path / "full.txt"
    blank.write_text(" \n\n", "utf-8")
    full.write_text("天气很好。", "utf-8")
    assert "天气很好。" in langue("summarize", blank, full)
    assert f"{blank} holds no text: its summary is empty" in caplog.text
    assert f"{full} holds no text" not in caplog.text


def test_an_empty_file_is_told_of_once(
    langue: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    empty, full = tmp_path / "empty.txt", tmp_path / "full.txt"
    empty.write_bytes(b"")
    full.write_text("天气很好。", "utf-8")
    assert cli.run(["summarize", str(empty)]) == 2
    assert f"{empty} is empty; name a file" in capsys.readouterr().err and "is empty" not in caplog.text
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    assert cli.run(["summarize", "-"]) == 2
    assert "standard input is empty" in capsys.readouterr().err
    assert "天气很好。" in langue("summarize", empty, full)
    assert caplog.text.count(f"{empty} is empty") == 1


def test_records_keep_their_fields(langue: Any, tmp_path: Path) -> None:
    news = tmp_path / "news.jsonl"
    news.write_text("".join(json.dumps({"id": k, "body": TEXT, "head": "Rain"}) + "\n" for k in range(2)))
    rows = [json.loads(row) for row in langue("summarize", news, "--text-field", "body").splitlines()]
    assert [row["id"] for row in rows] == [0, 1]
    assert rows[0].keys() == {"id", "body", "head", "summary"}
    (row, _) = langue(
        "summarize", news, "--text-field", "body", "--title-field", "head", "--explain"
    ).splitlines()
    assert json.loads(row)["sentences"][0]["reasons"]


def test_a_summary_that_records_have_is_told_to_be_replaced(
    langue: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    news = tmp_path / "news.jsonl"
    news.write_text("".join(json.dumps({"text": TEXT, "summary": "Rain."}) + "\n" for _ in range(2)))
    langue("summarize", news)
    assert caplog.text.count("records have the field summary") == 1


def test_from_pairs_to_a_summary(langue: Any, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text(
        "".join(json.dumps({"text": f"Day {k}. {TEXT}", "summary": "He left."}) + "\n" for k in range(9))
    )
    model = tmp_path / "model"
    assert "ranker, " in langue("train", "ranker", pairs, "-o", model)
    (tmp_path / "a.txt").write_text(TEXT)
    assert langue("summarize", tmp_path / "a.txt", "--model", model, "--sentences", "1") == "He left.\n"
    assert "cue words" in langue("summarize", tmp_path / "a.txt", "--model", model, "--explain")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("summarize", "required"),
        ("summarize nowhere.txt", "nowhere.txt"),
        ("summarize {a} --method lsa", "lexrank"),
        ("summarize {a} --method ranker", "train ranker PAIRS"),
        ("summarize {a} --ratio 0", "--ratio 0"),
        ("summarize {a} --sentences 0", "sentences"),
        ("summarize {a} --sentences 1 --words 5", "--sentences and --words"),
        ("summarize {a} --model nowhere", "nowhere is not a model folder"),
        ("summarize {a} --text-field body", "body"),
        ("summarize {empty}", "is empty"),
        ("summarize open.csv", "open.csv, line 3"),
        ("summarize {binary}", "binary"),
        ("train ranker {a} -o new", "line 1"),
        ("train ranker nowhere.jsonl -o new", "nowhere.jsonl"),
    ],
)
def test_bad_input_is_told(
    langue: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, content in {"a": TEXT.encode(), "empty": b"", "binary": b"\x89PNG\0\0"}.items():
        (tmp_path / "open.csv").write_text('text,id\n"It rained,1\nThe sun shone,2\n')
        (tmp_path / f"{name}.txt").write_bytes(content)
    told = langue(*line.format(a="a.txt", empty="empty.txt", binary="binary.txt").split(), code=2)
    assert message in told and told.count("\n") == 1
    assert not (tmp_path / "new").exists()
