"""`langue answer` and `langue similar` as a user types them."""

import io
import json
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from langue import cli
from langue.cli.answer import read_questions

TEXT = "Jane Austen wrote Emma. It appeared in 1815.\n\n《西游记》的作者是吴承恩。全书一百回。\n"


@pytest.fixture
def langue(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command; what it printed, or of one that fails, what it told."""

    def run(*arguments: str | Path, code: int = 0) -> str:
        capsys.readouterr()
        assert cli.run([str(argument) for argument in arguments]) == code
        printed = capsys.readouterr()
        return printed.err if code else printed.out

    return run


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def give(monkeypatch: pytest.MonkeyPatch, data: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data.encode())))


def test_a_question_to_a_file_and_to_standard_input(
    langue: Any, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Jane Austen wrote Emma." in langue("answer", "Who wrote Emma?", text)
    told = json.loads(langue("answer", "《西游记》的作者是谁？", text, "--json", "--top", "2"))
    assert told["candidates"][0]["text"] == "《西游记》的作者是吴承恩。"
    begin, end = (told["candidates"][0][key] for key in ("begin_byte", "end_byte"))
    assert TEXT.encode()[begin:end].decode() == told["candidates"][0]["text"]
    assert "no answer" in langue("answer", "Who wrote Emma?", text, "--threshold", "1")
    give(monkeypatch, TEXT)
    assert "Jane Austen" in langue("answer", "Who wrote Emma?", "-")


def test_questions_of_a_file_and_of_standard_input(
    langue: Any, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "questions.txt").write_text("Who wrote Emma?\n\n《西游记》的作者是谁？\n", encoding="utf-8")
    printed = langue("answer", tmp_path / "questions.txt", text)
    assert "Who wrote Emma?\nJane Austen wrote Emma." in printed and "吴承恩" in printed
    give(monkeypatch, "Who wrote Emma?\n")
    (told,) = json.loads(langue("answer", "-", text, "--json"))
    assert told["by"] == "BM25 and langue's ranker of English sentences"
    give(monkeypatch, "\n")
    assert "holds no question" in langue("answer", "-", text, code=2)
    assert "only once" in langue("answer", "-", "-", code=2)


def test_it_says_what_answered(text: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "langue")
    assert cli.run(["answer", "《西游记》的作者是谁？", str(text)]) == 0
    assert "answered by BM25 and langue's ranker of Chinese sentences" in caplog.text


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_questions_are_read_as_they_come(tmp_path: Path) -> None:
    pipe, asked = tmp_path / "pipe", threading.Event()
    os.mkfifo(pipe)

    def ask() -> None:
        with pipe.open("w") as file:
            print("Who wrote Emma?", file=file, flush=True)
            assert asked.wait(30)
            print("And when?", file=file)

    with ThreadPoolExecutor(1) as others:
        asking = others.submit(ask)
        questions = read_questions(str(pipe))
        assert next(questions) == "Who wrote Emma?"
        asked.set()
        assert list(questions) == ["And when?"]
        asking.result()


def test_questions_in_the_format_of_squad(langue: Any, text: Path, tmp_path: Path) -> None:
    asked = {
        "id": "q1",
        "question": "Who wrote Emma?",
        "answers": [{"text": "Jane Austen", "answer_start": 0}],
    }
    table = {"data": [{"paragraphs": [{"context": "Jane Austen wrote Emma. It sold.", "qas": [asked]}]}]}
    (tmp_path / "squad.json").write_text(json.dumps(table))
    output = tmp_path / "predictions.json"
    assert "100.00%" in langue("answer", tmp_path / "squad.json", "--predictions", output)
    assert json.loads(output.read_text("utf-8")) == {"q1": "Jane Austen wrote Emma."}
    assert "exists" in langue("answer", tmp_path / "squad.json", "--predictions", output, code=2)
    assert json.loads(langue("answer", tmp_path / "squad.json", text, "--json"))["questions"] == 1


def test_what_is_wrong_is_said(langue: Any, text: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("")
    assert "holds no text" in langue("answer", "Who?", tmp_path / "empty.txt", code=2)
    assert "nothing to look in" in langue("answer", "Who?", code=2)
    assert "no file" in langue("answer", "Who?", tmp_path / "nowhere.txt", code=2)
    assert "no file" in langue("answer", tmp_path / "nowhere.json", text, code=2)
    assert "format of SQuAD" in langue("answer", "Who?", text, "--predictions", tmp_path / "p", code=2)
    assert "out of bounds" in langue("answer", "Who?", text, "--threshold", "2", code=2)


def test_similar_by_words(langue: Any, text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = langue("similar", "a novel of Jane Austen", text, "--passages", "line")
    assert printed.startswith("by BM25") and "wrote Emma" in printed and "吴承恩" not in printed
    assert "nothing near" in langue("similar", "xyzzy", text)
    give(monkeypatch, TEXT)
    told = json.loads(langue("similar", "西游记", "-", "--passages", "line", "--json"))
    assert told["by"] == "BM25" and "吴承恩" in told["passages"][0]["text"]
    assert "a model" in langue("similar", "x", text, "--whiten", code=2)


def test_similar_needs_a_model_that_embeds(langue: Any, small_models: dict[str, Path], text: Path) -> None:
    assert "langue train bert STORE" in langue(
        "similar", "x", text, "--model", small_models["trigram"], code=2
    )
