"""What the page asks: why a token is as likely as it is, and what of a text was copied."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.server.conftest import Address, running

import langue

MODELS = Path(__file__).parents[1] / "compat" / "data" / "models"
SERVED = ("ngram", "gpt2", "infinigram", "bert")


@pytest.fixture(scope="module")
def address() -> Iterator[Address]:
    with running({name: MODELS / name for name in SERVED}) as address:
        yield address


@pytest.mark.parametrize(
    ("model", "kind"), [("ngram", "ngram"), ("gpt2", "attention"), ("infinigram", "match")]
)
def test_it_is_what_python_says(address: Address, model: str, kind: str) -> None:
    reply = address.ask("/v1/why", {"model": model, "text": "the king", "index": 1, "k": 3})
    assert reply.status == 200, reply.content
    told = reply.json
    explained = langue.CausalModel.load(MODELS / model).explain("the king", 1, k=3).to_json()
    assert told["reason"]["kind"] == kind
    assert {name: told[name] for name in explained} == explained
    ids = address.ask("/tokenize", {"model": model, "prompt": "the king"}).json["tokens"]
    assert address.ask("/v1/why", {"model": model, "ids": ids, "index": 1, "k": 3}).json == told


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"model": "ngram"}, "give text or ids"),
        ({"model": "ngram", "text": "a", "ids": [1]}, "give text or ids"),
        ({"model": "ngram", "text": "a", "index": 40}, "there is none at 40"),
        ({"model": "ngram", "ids": [4_000_000]}, "a token id is not one of 0"),
        ({"model": "gpt2", "text": "a", "layer": 99}, "there is no layer 99"),
        ({"model": "bert", "text": "a"}, "gives no token a probability from left to right"),
        ({"model": "ngram", "text": "a", "index": True}, "Expected `int`"),
    ],
)
def test_what_it_cannot_tell_is_refused(address: Address, body: dict[str, object], message: str) -> None:
    reply = address.ask("/v1/why", body)
    assert reply.status == 400
    assert message in reply.error


def test_copied_text_is_where_it_stands(address: Address, small_store: Path) -> None:
    model = langue.InfiniGramModel.load(MODELS / "infinigram")
    whole = model.tokenizer.decode(next(ids for ids in model.folder.model.documents() if len(ids) > 40))
    text = "Ünlike anything. " + whole[:60] + " 没有"
    told = address.ask("/v1/copied", {"text": text}).json
    assert told["source"] == "infinigram"
    (span,) = told["spans"]
    assert whole[:60].encode() in text.encode()[span["begin"] : span["end"]]
    assert told["copied"] == span["end"] - span["begin"]
    with running({"ngram": MODELS / "ngram"}) as other:
        assert "no training text to compare with" in other.ask("/v1/copied", {"text": text}).error
    with running({"ngram": MODELS / "ngram"}, corpus=small_store) as other:
        told = other.ask("/v1/copied", {"text": "nothing of the kind at all, 没有"}).json
        assert (told["source"], told["copied"], told["spans"]) == (small_store.name, 0, [])
