"""`/v1/answer` and `/v1/similar` say what Python says, of texts that are given and of the corpus."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.server.conftest import Address, running

import langue
from langue.base.errors import LangueError
from langue.server import limits
from langue.server.app import create_app
from langue.server.limits import Settings

MODELS = Path(__file__).parents[1] / "compat" / "data" / "models"
TEXTS = [
    "Emma is a novel by Jane Austen. It was published in 1815.\n\nNothing else stands here.",
    "话说天下大势，分久必合。吴大郎住在清河县。",
]


@pytest.fixture(scope="module")
def address(small_store: Path) -> Iterator[Address]:
    models = {name: MODELS / name for name in ("ngram", "bert")}
    with running(models, corpus=small_store) as address:
        yield address


@pytest.fixture(scope="module")
def alone() -> Iterator[Address]:
    with running({"ngram": MODELS / "ngram"}) as address:
        yield address


@pytest.mark.parametrize("question", ["Who wrote the novel Emma?", "吴大郎住在哪里？", "zyx?"])
def test_answer(address: Address, question: str) -> None:
    told = address.ask("/v1/answer", {"question": question, "texts": TEXTS, "k": 2}).json
    own = langue.answer(question, TEXTS, k=2).to_json()
    assert told.pop("object") == "answer"
    assert told == own
    for one in told["candidates"]:
        text = TEXTS[int(one["source"].removeprefix("text "))]
        assert text[one["begin"] : one["end"]] == one["text"] and one["text"] in one["passage"]
    sure = {"question": question, "texts": TEXTS[0], "threshold": 1.0}
    assert address.ask("/v1/answer", sure).json["answer"] is None


def test_the_corpus_is_what_is_looked_in(address: Address, small_store: Path) -> None:
    assert address.ask("/v1/models").json["corpus"] == small_store.name
    held = langue.Passages.read(small_store)
    told = address.ask("/v1/answer", {"question": "Who is the king?"}).json
    own = langue.answer("Who is the king?", held).to_json()
    assert told["answer"] == own["answer"]
    (one,), (other,) = told["candidates"], own["candidates"]
    assert one["source"].startswith(f"{small_store.name}: ")  # and not where it lies
    assert (one["begin"], one["text"]) == (other["begin"], other["text"])
    for model in (None, MODELS / "bert"):
        asked = {"query": "the king", "k": 3} | ({"model": "bert"} if model else {})
        near = address.ask("/v1/similar", asked).json
        assert near["by"] == ("bert" if model else "BM25")
        expected = langue.similar("the king", held, model=model, k=3).to_json()
        assert [one["text"] for one in near["passages"]] == [one["text"] for one in expected["passages"]]
        assert [one["score"] for one in near["passages"]] == pytest.approx(
            [one["score"] for one in expected["passages"]], abs=1e-5
        )
    assert address.ask("/v1/similar", asked).json == near  # of the vectors that are kept


def test_a_model_of_spans_answers(small_store: Path, tmp_path: Path) -> None:
    tiny = {"layers": 1, "width": 16, "heads": 2, "context": 48, "steps": 1, "batch_tokens": 256}
    langue.train("bert", small_store, tmp_path / "bert", **tiny)
    asked = {"id": "0", "question": "Who?", "answers": [{"text": "king", "answer_start": 4}]}
    paragraphs = [{"context": "The king left.", "qas": [asked | {"id": str(k)}]} for k in range(8)]
    squad = tmp_path / "squad.json"
    squad.write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))
    langue.finetune(
        tmp_path / "bert", squad, tmp_path / "span", task="span", valid=squad, test=squad, seeds=1, epochs=1
    )
    with running({"span": tmp_path / "span"}) as address:
        assert address.ask("/v1/models").json["data"][0]["capabilities"][0] == "answer"
        body = {"question": "Who left?", "texts": TEXTS[0], "k": 2, "threshold": 0.0}
        told = address.ask("/v1/answer", body | {"model": "span"}).json
        own = langue.answer("Who left?", TEXTS[0], model=tmp_path / "span", k=2, threshold=0.0).to_json()
        assert {name: told[name] for name in own} == own


@pytest.mark.parametrize("whiten", [False, True])
def test_similar_among_texts(address: Address, whiten: bool) -> None:
    texts = ["the king is dead", "a queen lives", "皇上驾到", "the king was old"]
    asked = {"query": "a king", "texts": texts, "model": "bert", "whiten": whiten, "k": 2}
    told = address.ask("/v1/similar", asked).json
    own = langue.similar("a king", texts, model=MODELS / "bert", whiten=whiten, k=2).to_json()
    assert [one["source"] for one in told["passages"]] == [one["source"] for one in own["passages"]]


@pytest.mark.parametrize(
    ("route", "body", "said"),
    [
        ("answer", {"question": "Who?", "texts": []}, "texts"),
        ("answer", {"question": "Who?", "texts": "  \n"}, "holds no text"),
        ("answer", {"question": "Who?", "texts": "a", "model": "ngram"}, "answers no questions"),
        ("answer", {"question": "Who?", "texts": "a", "threshold": 2}, "threshold"),
        ("answer", {"question": "?" * (limits.QUERY + 1), "texts": "a"}, "question"),
        ("answer", {"question": "Who?", "texts": "a" * (limits.SCORED_BYTES + 1)}, "131,073 bytes"),
        ("similar", {"query": "a", "texts": "a", "model": "ngram"}, "makes no vectors of texts"),
        ("similar", {"query": "a", "texts": "a", "whiten": True}, "vectors are of a model"),
        ("similar", {"query": "a", "texts": "a", "k": True}, "Expected `int`"),
    ],
)
def test_what_is_wrong_is_named(address: Address, route: str, body: dict[str, Any], said: str) -> None:
    reply = address.ask(f"/v1/{route}", body)
    assert reply.status == 400 and said in reply.error


def test_without_a_corpus_texts_are_asked_for(alone: Address) -> None:
    for body in ({"question": "Who?"}, {"query": "king"}):
        reply = alone.ask("/v1/answer" if "question" in body else "/v1/similar", body)
        assert reply.status == 400 and "without a corpus" in reply.error
    assert alone.ask("/v1/models").json["corpus"] is None
    with pytest.raises(LangueError, match="is not a token store"):
        create_app([MODELS / "ngram"], Settings(corpus=MODELS))
