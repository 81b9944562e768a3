"""Our own routes give what Python gives."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import langue

TEXT = "The king is dead. 皇上\n"


def test_models_and_what_they_can_do(server: Any) -> None:
    cards = {card["id"]: card for card in server.ask("/v1/models").json["data"]}
    assert set(cards) == {"trigram", "gpt2", "bert", "crf"}
    assert {"complete", "score", "next"} <= set(cards["gpt2"]["capabilities"])
    assert {"fill", "embed", "score"} <= set(cards["bert"]["capabilities"])
    assert cards["crf"]["capabilities"] == ["tag"] and cards["crf"]["vocabulary"] is None
    assert cards["gpt2"]["family"] == "gpt2" and cards["gpt2"]["max_model_len"] == 32
    assert all(card["object"] == "model" and card["state"] in ("cold", "ready") for card in cards.values())


@pytest.mark.parametrize("model", ["trigram", "gpt2"])
def test_score(server: Any, served_models: dict[str, Path], model: str) -> None:
    answer = server.ask("/v1/score", {"model": model, "text": [TEXT, ""], "top": 4}).json
    own = langue.CausalModel.load(served_models[model]).score_all([TEXT, ""])
    for told, score in zip(answer["scores"], own, strict=True):
        assert (told["text"], told["bytes"]) == (score.text, len(score.text.encode()))
        assert told["bits"] == pytest.approx(score.total_bits, rel=1e-6)
        if score.text:
            assert told["bits_per_byte"] == pytest.approx(score.bits_per_byte, rel=1e-6)
        else:
            assert told["bits_per_byte"] is None
        assert [token["bytes"] for token in told["tokens"]] == score.spans.tolist()
        for token, bits in zip(told["tokens"], score.bits, strict=True):
            assert token["bits"] == pytest.approx(float(bits), rel=1e-6)
            probabilities = [one["probability"] for one in token["top"]]
            assert len(probabilities) == 4 and probabilities == sorted(probabilities, reverse=True)
            here = [i for i, one in enumerate(token["top"]) if one["id"] == token["id"]]
            assert (token["rank"] <= 4) == bool(here)
            if here:
                assert -np.log2(probabilities[here[0]]) == pytest.approx(token["bits"], abs=1e-3)


def test_pseudo_score(server: Any, served_models: dict[str, Path]) -> None:
    answer = server.ask("/v1/score", {"model": "bert", "text": TEXT}).json
    own = langue.MaskedModel.load(served_models["bert"]).pseudo_score(TEXT)
    assert answer["pseudo"] and answer["scores"][0]["bits"] == pytest.approx(own.total, rel=1e-5)
    assert server.ask("/v1/score", {"model": "bert", "text": TEXT, "top": 1}).status == 400


def test_next(server: Any, served_models: dict[str, Path]) -> None:
    own = langue.CausalModel.load(served_models["gpt2"]).next_tokens("The ", k=5)
    ids = server.ask("/tokenize", {"model": "gpt2", "prompt": "The "}).json["tokens"]
    for context in ("The ", ids):
        told = server.ask("/v1/next", {"model": "gpt2", "context": context, "k": 5}).json["tokens"]
        assert [one["token"] for one in told] == [token for token, _ in own]
        assert [one["probability"] for one in told] == pytest.approx([p for _, p in own], rel=1e-4)
    assert (
        server.ask("/v1/next", {"model": "gpt2", "context": []}).json
        == server.ask("/v1/next", {"model": "gpt2"}).json
    )


def test_fill_tag_and_embed(server: Any, served_models: dict[str, Path]) -> None:
    masked = langue.MaskedModel.load(served_models["bert"])
    filled = masked.fill("The [MASK] is", k=3)
    told = server.ask("/v1/fill", {"model": "bert", "text": "The [MASK] is", "k": 3}).json
    assert told["text"] == filled.text
    assert [one["token"] for one in told["gaps"][0]] == [token for token, _ in filled.gaps[0].candidates]
    assert "[MASK]" in server.ask("/v1/fill", {"model": "bert", "text": "none"}).error
    tagged = server.ask("/v1/tag", {"model": "crf", "text": ["the king is", "a queen"]}).json["sentences"]
    assert tagged[0] == {
        "tokens": ["the", "king", "is"],
        "tags": ["B-A", "I-A", "O"],
        "entities": [{"text": "the king", "type": "A", "begin": 0, "end": 8}],
    }
    vectors = masked.embed(["The king", "a"])
    floats = server.ask("/v1/embeddings", {"model": "bert", "input": ["The king", "a"]}).json["data"]
    assert np.allclose([one["embedding"] for one in floats], vectors, atol=1e-5)


def test_tokenize_and_back(server: Any) -> None:
    for model in ("trigram", "gpt2", "bert"):
        told = server.ask("/tokenize", {"model": model, "prompt": TEXT, "return_token_strs": True}).json
        assert told["count"] == len(told["tokens"]) == len(told["token_strs"])
        assert server.ask("/detokenize", {"model": model, "tokens": told["tokens"]}).json == {"prompt": TEXT}
    assert server.ask("/detokenize", {"tokens": [10**6]}).status == 400
    assert server.ask("/tokenize", {"model": "crf", "prompt": "a"}).status == 400
    assert server.ask("/tokenizer_info?model=nobody").status == 404


def test_what_a_server_tells_of_itself(server: Any) -> None:
    assert server.ask("/health").json == {"status": "ok"}
    assert server.ask("/version").json == {"version": langue.__version__}
    metrics = server.ask("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    assert 'langue_generated_tokens_total{model="trigram"}' in metrics.content.decode()


def test_a_model_left_out_is_the_first_that_can(server: Any) -> None:
    assert server.ask("/v1/completions", {"prompt": "a", "max_tokens": 1}).json["model"] == "trigram"
    assert server.ask("/v1/fill", {"text": "[MASK]"}).json["model"] == "bert"
    assert "no model of this server can" in server.ask("/v1/classify", {"text": "a"}).error
