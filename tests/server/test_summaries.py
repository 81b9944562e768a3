"""`/v1/summarize` says what Python says, with and without a trained ranker."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.server.conftest import Address, running

import langue

MODELS = Path(__file__).parents[1] / "compat" / "data" / "models"
TEXT = (
    "The council met on Monday. It rained. The council voted for the new bridge over the river. "
    "The bridge will cost two million. Nobody spoke. 皇上驾到。天下大势，分久必合。"
)


@pytest.fixture(scope="module")
def address() -> Iterator[Address]:
    with running({"ngram": MODELS / "ngram"}) as address:
        yield address


def test_summarize(address: Address) -> None:
    for asked in ({}, {"sentences": 2, "explain": True}, {"method": "textrank", "ratio": 0.5}, {"words": 12},
                  {"unit": "clause", "characters": 40, "method": "lead"}):  # fmt: skip
        told = address.ask("/v1/summarize", {"text": TEXT} | asked).json
        own = langue.summarize(TEXT, **asked).to_json()  # type: ignore[arg-type]
        assert (told.pop("object"), told.pop("model")) == ("summary", None)
        assert (told.pop("copied"), told.pop("cut")) == (None, False)
        if not asked.get("explain"):
            assert [one.pop("reasons") for one in told["sentences"]] == [[]] * len(told["sentences"])
        assert told == own
    empty = address.ask("/v1/summarize", {"text": ""}).json
    assert (empty["summary"], empty["sentences"]) == ("", [])


def grew(city: str) -> str:
    return f"We show how {city} grew."


def test_a_ranker(tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text(
        "".join(
            json.dumps({"text": f"Rain falls in {city}. {grew(city)}", "summary": grew(city)}) + "\n"
            for city in ["Rome", "Paris", "Oslo", "Bern"] * 6
        )
    )
    langue.train("ranker", pairs, tmp_path / "ranker", minimum_count=1)
    text = f"Rain falls in Baku. {grew('Baku')}"
    with running({"ngram": MODELS / "ngram", "ranker": tmp_path / "ranker"}) as address:
        own = langue.summarize(text, model=tmp_path / "ranker", sentences=1)
        for asked in ({"model": "ranker"}, {"method": "ranker"}):
            told = address.ask("/v1/summarize", {"text": text, "sentences": 1} | asked).json
            assert (told["summary"], told["model"], told["method"]) == (own.text, "ranker", "ranker")
        reply = address.ask("/v1/summarize", {"text": text, "model": "ranker", "method": "lead"})
        assert reply.status == 400 and "uses no model" in reply.error
        assert address.ask("/v1/summarize", {"text": text}).json["method"] == "lexrank"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"text": "a", "sentences": 1, "words": 3}, "choose one of"),
        ({"text": "a", "sentences": 0}, "sentences"),
        ({"text": "a", "ratio": 0}, "ratio"),
        ({"text": "a", "method": "best"}, "method: choose one of abstractive, centroid, lead, lexrank,"),
        ({"text": "a", "method": "ranker"}, "no model of this server can rank"),
        ({"text": "a", "model": "ngram"}, "makes no summaries"),
        ({"text": "a", "method": "abstractive"}, "no model of this server can abstract"),
        ({"text": "a" * 200_000}, "at most 131,072"),
    ],
)
def test_what_is_wrong_is_named(address: Address, body: dict[str, Any], said: str) -> None:
    reply = address.ask("/v1/summarize", body)
    assert reply.status == 400 and said in reply.error
