"""Models of pairs: a prompt is a source, and what is written its target or summary, as Python writes it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.server.conftest import Address, running

import langue

ASKED: dict[str, Any] = {"max_tokens": 6, "seed": 4, "temperature": 0.9}


@pytest.fixture(scope="module")
def address(pair_model: Path) -> Iterator[Address]:
    with running({"pairs": pair_model}) as address:
        yield address


def test_a_prompt_is_a_source(address: Address, pair_model: Path) -> None:
    model = langue.Seq2SeqModel.load(pair_model)
    target = model.generate_target("one", top_p=1.0, **ASKED)
    told = address.ask("/v1/completions", {"prompt": "one"} | ASKED).json
    assert told["choices"][0]["text"] == target.text
    assert told["usage"]["prompt_tokens"] == 4  # its end is one
    ids = address.ask("/tokenize", {"prompt": "one"}).json["tokens"]
    assert len(ids) == 4 and address.ask("/detokenize", {"tokens": ids}).json["prompt"] == "one"
    assert address.ask("/v1/completions", {"prompt": ids} | ASKED).json["choices"] == told["choices"]
    events = address.ask("/v1/completions", {"prompt": "one", "stream": True} | ASKED).events
    assert "".join(one["choices"][0]["text"] for one in events) == target.text
    messages = [{"role": "system", "content": "Translate."}, {"role": "user", "content": "one"}]
    chat = address.ask("/v1/chat/completions", {"messages": messages} | ASKED).json
    assert chat["choices"][0]["message"]["content"] == target.text


def test_a_source_can_be_gone_on_with(address: Address, pair_model: Path) -> None:
    own = langue.Seq2SeqModel.load(pair_model).generate("on", top_p=1.0, **ASKED)
    told = address.ask("/v1/completions", {"prompt": "on", "add_special_tokens": False} | ASKED).json
    assert told["choices"][0]["text"] == own.text
    plain = address.ask("/tokenize", {"prompt": "one", "add_special_tokens": False}).json
    assert plain["count"] == 3


def test_why_says_where_it_looks_in_the_source(address: Address) -> None:
    ids = address.ask("/tokenize", {"prompt": "one"}).json["tokens"]
    reason = address.ask("/v1/why", {"ids": [*ids, ids[0]], "index": 4}).json["reason"]
    assert reason["kind"] == "cross-attention"
    assert len(reason["source"]["tokens"]) == 5  # the beginning, the source, its end
    assert sum(reason["source"]["mean"]) == pytest.approx(1, abs=1e-3)


def test_a_summary_is_written(address: Address, pair_model: Path) -> None:
    written = {"max_tokens": 6, "num_beams": 2, "no_repeat_ngram_size": 2}
    for text in ("one", "two " * 30, ""):
        own = langue.summarize(text, model=pair_model, **written).to_json()  # type: ignore[arg-type]
        for asked in ({"model": "pairs"}, {"method": "abstractive"}):
            told = address.ask("/v1/summarize", {"text": text} | written | asked).json
            assert (told.pop("object"), told.pop("model")) == ("summary", "pairs")
            assert told == own
        assert own["cut"] == (len(text) > 100)  # it reads 15 characters and their end
    few = address.ask("/v1/summarize", {"text": "one", "model": "pairs", "characters": 2}).json
    assert len(few["summary"]) <= 2
    card = address.ask("/v1/models/pairs").json
    assert {"complete", "summarize", "abstract"} <= set(card["capabilities"])


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"model": "pairs", "sentences": 2}, "sentences: a summary that is written has none"),
        ({"model": "pairs", "explain": True}, "explain"),
        ({"model": "pairs", "title": "a"}, "title"),
        ({"model": "pairs", "method": "lexrank"}, "lexrank uses no model"),
        ({"model": "pairs", "method": "ranker"}, "ranks no sentences"),
        ({"method": "ranker"}, "no model of this server can rank"),
        ({"num_beams": 2}, "num_beams: a summary of sentences has none"),
        ({"method": "abstractive", "num_beams": 10**6}, "num_beams"),
        ({"method": "abstractive", "num_beams": True}, "num_beams"),
        ({"method": "abstractive", "max_tokens": 10**9}, "at most"),
        ({"method": "abstractive", "length_penalty": 1000}, "length_penalty"),
    ],
)
def test_what_is_wrong_with_a_summary_is_named(address: Address, asked: dict[str, Any], said: str) -> None:
    reply = address.ask("/v1/summarize", {"text": "one"} | asked)
    assert reply.status == 400 and said in reply.error
