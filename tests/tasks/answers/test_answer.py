"""Answers by sentences: right where it is plain, silent where there is none, and told where they stand."""

import json
from pathlib import Path

import numpy as np
import pytest

import langue
from langue.base.errors import LangueError
from langue.tasks.answers.features import NAMES, features, longest_run
from langue.tasks.answers.questions import Question
from langue.tasks.answers.ranker import ranker
from langue.tasks.retrieval.passages import Passages, given_texts

ENGLISH = (
    "Jane Austen wrote Emma in Chawton. It was published in December 1815. The book was dedicated to the "
    "Prince Regent, who admired her novels. About 1,250 copies were sold because readers liked it."
)
CHINESE = (
    "《西游记》的作者是吴承恩。他出生于江苏淮安。这部小说共一百回，写成于16世纪。全书因为想象丰富而流传。"
)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Who wrote Emma?", "Jane Austen"),
        ("When was it published?", "December 1815"),
        ("How many copies were sold?", "1,250"),
        ("《西游记》的作者是谁？", "吴承恩"),
        ("吴承恩出生于哪里？", "淮安"),
        ("这部小说共有多少回？", "一百回"),
    ],
)
def test_the_sentence_that_answers(question: str, answer: str) -> None:
    result = langue.answer(question, [ENGLISH, CHINESE])
    one = result.candidates[0]
    assert answer in one.text
    text = (ENGLISH, CHINESE)[int(one.source.split()[-1])]
    assert text[one.begin : one.end] == one.text == text.encode()[one.begin_byte : one.end_byte].decode()
    assert one.text in one.passage


def test_no_answer_is_an_answer() -> None:
    held = Passages.of(given_texts([ENGLISH, CHINESE]))
    result = langue.answer("Which animals live in the Antarctic ocean?", held)
    assert not result.answered and result.text == ""
    assert str(result).startswith("no answer")
    assert result.to_json()["answer"] is None
    nothing = langue.answer("xyzzy qwerty", held)
    assert nothing.candidates == [] and nothing.answerable == 0
    assert langue.answer("Which animals live in the Antarctic ocean?", held, threshold=0.0).answered
    assert not langue.answer("Who wrote Emma?", held, threshold=1.0).answered


def test_scores_fall_from_the_probability_of_the_first() -> None:
    result = langue.answer("Who wrote Emma?", [ENGLISH, CHINESE, "Emma was read by many."], k=50)
    scores = [one.score for one in result.candidates]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] > 0 and scores[0] <= 1
    assert result.answerable == scores[0]
    assert len(langue.answer("Who wrote Emma?", ENGLISH, k=2).candidates) == 2


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(LangueError, match="holds no text"):
        langue.answer("Who?", "")
    with pytest.raises(langue.InvalidSetting, match=r"read a file with langue\.Passages\.read"):
        langue.answer("Who?", Path("x"))
    with pytest.raises(langue.InvalidSetting, match="threshold is to be a number from 0 to 1"):
        langue.answer("Who?", "I.", threshold=2.0)
    with pytest.raises(langue.InvalidSetting, match="k is to be a whole number"):
        langue.answer("Who?", "I.", k=0)


def test_every_feature_has_a_weight_and_a_value() -> None:
    for han in (False, True):
        by = ranker(han=han)
        assert len(by.sentence) == len(NAMES) and np.isfinite(by.sentence).all()
        assert 0 < by.threshold < 1
    held = Passages.of(given_texts([ENGLISH]))
    table = features(Question("Who wrote Emma?"), [ENGLISH[:34], ENGLISH[35:]], held.index)
    assert table.shape == (2, len(NAMES)) and np.isfinite(table).all()
    assert table[0, NAMES.index("is_best")] == 1 and table[0, NAMES.index("who:name")] == 1
    assert table[:, NAMES.index("when:date")].sum() == 0  # of another type


def test_the_longest_run_is_that_of_brute_force() -> None:
    draw = np.random.default_rng(0)
    for _ in range(50):
        one, other = ("".join(draw.choice(list("abc"), 8)) for _ in range(2))
        runs = (one[i:j] for i in range(8) for j in range(i, 9))
        assert longest_run(one, other) == max(len(run) for run in runs if run in other)


SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"


@pytest.mark.skipif(not (SHARED / "cmrc2018").is_dir(), reason="needs ../shared/data/cmrc2018")
def test_better_than_bm25_on_questions_that_it_was_not_tuned_on(tmp_path: Path) -> None:
    table = json.loads((SHARED / "cmrc2018" / "dev.json").read_text("utf-8"))
    table["data"] = table["data"][::12]
    (tmp_path / "dev.json").write_text(json.dumps(table), encoding="utf-8")
    result = langue.answer_squad(tmp_path / "dev.json")
    assert result.questions > 200
    assert result.sentence.value >= 0.74  # BM25 66 %, the whole file 79.5 %
