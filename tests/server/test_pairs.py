"""Models of pairs: a prompt is a source, and what is written its target, as Python writes it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.server.conftest import Address, running

import langue

ASKED: dict[str, Any] = {"max_tokens": 6, "seed": 4, "temperature": 0.9}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    lines = [json.dumps({"source": a, "target": b}) + "\n" for a, b in [("one", "eins"), ("two", "zwei")]]
    (folder / "pairs.jsonl").write_text("".join(lines * 20))
    held = [folder / "pairs.jsonl"]
    langue.prepare(held[0], folder / "store", documents="pairs", kind="chars", valid=held, test=held)
    tiny = {"layers": 1, "width": 16, "heads": 2, "context": 16, "steps": 2, "batch_tokens": 128}
    langue.train("bert2bert", folder / "store", folder / "model", **tiny)
    return folder / "model"


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[Address]:
    with running({"pairs": folder}) as address:
        yield address


def test_a_prompt_is_a_source(address: Address, folder: Path) -> None:
    model = langue.Seq2SeqModel.load(folder)
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


def test_a_source_can_be_gone_on_with(address: Address, folder: Path) -> None:
    own = langue.Seq2SeqModel.load(folder).generate("on", top_p=1.0, **ASKED)
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
