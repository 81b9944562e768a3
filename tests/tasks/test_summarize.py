"""Summaries: every method, every length, joined in both languages, with offsets and reasons."""

import logging

import pytest

import langue
from langue.base.errors import InvalidSetting
from langue.tasks.summarize import METHODS

NEWS = """Flood in Bern

The river Aare flooded the old town of Bern on Monday. Hundreds of people left their houses in the old town.
The flood came after three days of rain, and the river rose by two meters.

Bread was delivered by boat. "We saw nothing like it," said the mayor of Bern. The river falls since Tuesday.
"""
CHINESE = (
    "北京今天下大雨，许多道路被淹。市民很早就回家了。大雨使地铁停运，道路上的车很少。专家说：“明天还有雨。”"
)


@pytest.mark.parametrize("method", [method for method in METHODS if method != "ranker"])
@pytest.mark.parametrize("text", [NEWS, CHINESE])
def test_every_method_takes_sentences_as_they_stand(method: str, text: str) -> None:
    summary = langue.summarize(text, method=method, sentences=2, explain=True)  # type: ignore[arg-type]
    assert len(summary.sentences) == 2
    assert [text[one.begin : one.end] for one in summary.sentences] == [one.text for one in summary.sentences]
    assert summary.sentences[0].begin < summary.sentences[1].begin
    assert {one.rank for one in summary.sentences} == {1, 2}
    assert all(one.reasons for one in summary.sentences)
    assert summary.total == (6 if text == NEWS else 4)
    assert summary.text == (" " if text == NEWS else "").join(one.text for one in summary.sentences)


def test_lead_takes_the_first() -> None:
    summary = langue.summarize(NEWS, method="lead", sentences=1)
    assert summary.text == "The river Aare flooded the old town of Bern on Monday."


def test_lexrank_takes_what_others_say_too() -> None:
    text = "It rained. Paris is old. The king of Spain saw Paris. Spain is large. The king is ill. So what."
    assert langue.summarize(text, sentences=1).sentences[0].number == 3


def test_lengths() -> None:
    assert len(langue.summarize(NEWS).sentences) == 3
    assert len(langue.summarize(NEWS, ratio=0.5).sentences) == 3
    assert len(langue.summarize(NEWS, ratio=0.01).sentences) == 1
    assert len(langue.summarize(NEWS, sentences=100).sentences) == 6
    for characters in (60, 120, 200, 1000):
        assert 0 < len(langue.summarize(NEWS, characters=characters).text) <= characters
        assert 0 < len(langue.summarize(CHINESE, characters=characters).text) <= characters
    for words in (12, 25):
        assert 0 < len(langue.summarize(NEWS, words=words).text.split()) <= words
    assert langue.summarize(NEWS, words=5).text == "Bread was delivered by boat."


def test_where_nothing_fits_the_summary_is_empty_and_that_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert langue.summarize(NEWS, characters=5).text == ""
    assert "no sentence is so short" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sentences": 0}, "sentences"),
        ({"ratio": 0}, "ratio"),
        ({"ratio": 1.5}, "ratio"),
        ({"ratio": True}, "ratio"),
        ({"sentences": 2, "words": 5}, "sentences and words"),
        ({"method": "lsa"}, "lexrank"),
        ({"method": "ranker"}, "langue.train"),
        ({"unit": "word"}, "sentence"),
    ],
)
def test_wrong_arguments(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidSetting, match=message):
        langue.summarize(NEWS, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", " \n\n", "...", "One", "\x00\x1f"])
def test_odd_texts_have_short_summaries(text: str) -> None:
    assert len(langue.summarize(text, explain=True).text) <= len(text)


def test_the_same_words_are_said_once() -> None:
    text = "The king saw Paris. The king saw Paris. He ate. The king saw Paris. The king of Paris ate."
    summary = langue.summarize(text, sentences=3)
    assert summary.text == "The king saw Paris. He ate. The king of Paris ate."
    assert len(langue.summarize(text, sentences=5).sentences) == 3


def test_clauses_and_lines_are_joined_as_such() -> None:
    assert (
        langue.summarize(CHINESE, method="lead", unit="clause", sentences=2).text
        == "北京今天下大雨，许多道路被淹。"
    )
    assert langue.summarize("#1#: Hi.\n#2#: Ho.", method="lead", unit="line").text == "#1#: Hi.\n#2#: Ho."
