"""The format of SQuAD, and its figures, against cases that the official scripts decide alike."""

import json
from pathlib import Path
from typing import Any

import pytest

import langue
from langue.base.errors import LangueError
from langue.tasks.answers.squad import exact_match, f1, predictions_json, read_squad


def squad(**more: Any) -> dict[str, Any]:
    question = {
        "id": "1",
        "question": "Who wrote Emma?",
        "answers": [{"text": "Jane Austen", "answer_start": 0}],
    }
    impossible = {"id": "2", "question": "Who sank the Bismarck?", "answers": [], "is_impossible": True}
    context = "Jane Austen wrote Emma. It appeared in 1815."
    return {"data": [{"paragraphs": [{"context": context, "qas": [question | more, impossible]}]}]}


def write(folder: Path, table: Any) -> Path:
    path = folder / "questions.json"
    path.write_text(json.dumps(table), encoding="utf-8")
    return path


def test_exact_match_and_f1_of_squad() -> None:
    assert exact_match("The Cat!", ["a cat"]) == 1
    assert exact_match("cats", ["a cat", "dog"]) == 0
    assert f1("the cat sat", ["a cat"]) == pytest.approx(2 / 3)
    assert f1("dog", ["cat", "a dog"]) == 1
    assert (exact_match("", []), f1("", []), exact_match("x", []), f1("x", [])) == (1, 1, 0, 0)
    assert f1("the", ["the"]) == 1  # nothing is left of either


def test_exact_match_and_f1_of_cmrc() -> None:
    assert exact_match("《红楼梦》", ["红楼梦。"], chinese=True) == 1
    assert f1("作者是曹雪芹", ["曹雪芹"], chinese=True) == pytest.approx(2 * 3 / 9)
    assert f1("芹雪曹", ["曹雪芹"], chinese=True) == pytest.approx(2 / 6)  # a stretch, not a bag
    assert f1("2016年", ["2016 年"], chinese=True) == 1


def test_questions_are_answered_in_their_paragraph_and_measured(tmp_path: Path) -> None:
    result = langue.answer_squad(write(tmp_path, squad()))
    assert result.sentence.value == 1
    assert result.predictions == {"1": "Jane Austen wrote Emma.", "2": ""}
    assert json.loads(predictions_json(result.predictions)) == result.predictions
    assert result.f1.value == pytest.approx((2 * 2 / 6 + 1) / 2)
    assert result.no_answer.f1 == 1
    assert "no answer" in str(result) and result.to_json()["counted_as"] == "squad"
    elsewhere = langue.answer_squad(tmp_path / "questions.json", ["Nothing of Emma.", "Jane Austen wrote."])
    assert elsewhere.sentence.value == 1


def test_an_answer_is_taken_where_it_stands(tmp_path: Path) -> None:
    moved = squad(answers=[{"text": "1815", "answer_start": -1}, {"text": "absent", "answer_start": 3}])
    (paragraph,) = read_squad(write(tmp_path, moved))
    assert [gold.begin for gold in paragraph.questions[0].answers] == [39, -1]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([], "has no list `data`"),
        ({"data": []}, "asks no question"),
        ({"data": [3]}, r"data\[0\] has no list `paragraphs`"),
        ({"data": [{"paragraphs": [{"context": 3}]}]}, r"paragraphs\[0\] has no text `context`"),
        ({"data": [{"paragraphs": [{"context": "x", "qas": 3}]}]}, "qas is no list"),
        (squad(question=3), r"qas\[0\] has no `id` and `question`"),
        (squad(answers=3), "answers is no list"),
        (squad(answers=[{"text": "x"}]), "no `text` and whole number `answer_start`"),
    ],
)
def test_a_file_of_another_format_is_refused(table: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(LangueError, match=message):
        read_squad(write(tmp_path, table))


def test_no_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(LangueError, match=r"a\.json"):
        read_squad(tmp_path / "a.json")
    with pytest.raises(LangueError, match="no file but a folder"):
        read_squad(tmp_path)
