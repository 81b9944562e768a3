"""`/v1/completions` and `/v1/chat/completions`: what a client of OpenAI's expects, and our figures within."""

import asyncio
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import langue
from langue import CausalModel

TEXT = "The king is dead, and the queen. 皇上"


@pytest.fixture(params=["trigram", "gpt2"])
def model(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def complete(server: Any, **body: Any) -> Any:
    reply = server.ask("/v1/completions", body)
    assert reply.status == 200, reply.content
    return reply.json


def test_an_echo_has_the_figures_of_score(server: Any, served_models: dict[str, Path], model: str) -> None:
    score = CausalModel.load(served_models[model]).score(TEXT)
    choice = complete(server, model=model, prompt=TEXT, max_tokens=0, echo=True, logprobs=3)["choices"][0]
    told = choice["logprobs"]
    assert choice["text"] == score.text and "".join(told["tokens"]).startswith("The king")
    assert told["token_logprobs"][0] is None and told["top_logprobs"][0] is None
    bits = -np.array([told["first_token_logprob"], *told["token_logprobs"][1:]]) / math.log(2)
    assert np.allclose(bits, score.bits[:-1], atol=1e-4)  # the end of the text was not asked for
    offsets = [len(score.text.encode()[:begin].decode(errors="ignore")) for begin, _ in score.spans[:-1]]
    assert told["text_offset"] == offsets
    for token, log_prob, top in list(
        zip(told["tokens"], told["token_logprobs"], told["top_logprobs"], strict=True)
    )[1:]:
        assert len(top) == 3
        assert top.get(token, log_prob) == log_prob  # a client asks whether it is the likeliest by equality


def test_an_eos_that_begins_a_prompt_changes_no_figure(server: Any, model: str) -> None:
    info = server.ask(f"/tokenizer_info?model={model}").json
    ids = server.ask("/tokenize", {"model": model, "prompt": TEXT}).json["tokens"]
    plain = complete(server, model=model, prompt=ids, max_tokens=0, echo=True, logprobs=1)["choices"][0][
        "logprobs"
    ]
    begun = complete(
        server, model=model, prompt=[info["eos_token_id"], *ids], max_tokens=0, echo=True, logprobs=1
    )["choices"][0]["logprobs"]
    assert begun["tokens"][0] == "<eos>" and begun["token_logprobs"][0] is None
    assert begun["token_logprobs"][1:] == [plain["first_token_logprob"], *plain["token_logprobs"][1:]]
    # An end within is one: what follows it is a document of its own.
    two = complete(
        server, model=model, prompt=[*ids, info["eos_token_id"], *ids], max_tokens=0, echo=True, logprobs=1
    )["choices"][0]["logprobs"]
    assert np.allclose(two["token_logprobs"][len(ids) + 1 :], begun["token_logprobs"][1:], atol=1e-5)


def test_a_text_its_ids_and_python_write_the_same(
    server: Any, served_models: dict[str, Path], model: str
) -> None:
    ids = server.ask("/tokenize", {"model": model, "prompt": TEXT}).json["tokens"]
    asked = {"model": model, "max_tokens": 20, "seed": 7, "temperature": 0.9, "top_p": 0.9}
    text = complete(server, prompt=TEXT, **asked)["choices"][0]
    assert complete(server, prompt=ids, **asked)["choices"][0]["text"] == text["text"]
    assert complete(server, prompt=[ids, ids], **asked)["choices"][1]["text"] == text["text"]
    own = CausalModel.load(served_models[model]).generate(
        TEXT, max_tokens=20, seed=7, temperature=0.9, top_p=0.9
    )
    assert text["text"] == own.text


def test_a_stream_is_the_same_text_and_the_same_figures(server: Any, model: str) -> None:
    asked = {
        "model": model,
        "prompt": [TEXT, "A"],
        "max_tokens": 24,
        "seed": 3,
        "n": 2,
        "logprobs": 2,
        "echo": True,
    }
    asked["stop"] = ["e", "的"]
    whole = complete(server, **asked)
    reply = server.ask("/v1/completions", asked | {"stream": True, "stream_options": {"include_usage": True}})
    assert reply.headers["content-type"].startswith("text/event-stream")
    *pieces, usage = reply.events
    assert usage["choices"] == [] and usage["usage"] == whole["usage"]
    for choice in whole["choices"]:
        own = [piece["choices"][0] for piece in pieces if piece["choices"][0]["index"] == choice["index"]]
        assert "".join(piece["text"] for piece in own) == choice["text"]
        assert [piece["finish_reason"] for piece in own if piece["finish_reason"]] == [
            choice["finish_reason"]
        ]
        for name in ("tokens", "token_logprobs", "text_offset", "token_ids"):
            assert [one for piece in own for one in piece["logprobs"][name]] == choice["logprobs"][name]
        assert not choice["text"].removeprefix(TEXT).endswith("e")


def test_seeds(server: Any, model: str) -> None:
    def texts(**asked: Any) -> list[str]:
        answer = complete(server, model=model, prompt="The", max_tokens=12, n=3, **asked)
        return [choice["text"] for choice in answer["choices"]]

    assert texts(seed=5) == texts(seed=5) and len(set(texts(seed=5))) > 1
    assert texts(seed=5) != texts(seed=6)
    assert texts() != texts()  # none is one that nobody knows
    assert (
        texts(seed=5)[0]
        == complete(server, model=model, prompt="The", max_tokens=12, seed=5)["choices"][0]["text"]
    )


def test_the_best_of_many_is_the_likeliest_by_the_token(server: Any, model: str) -> None:
    asked = {"model": model, "prompt": "The", "max_tokens": 6, "seed": 1, "logprobs": 0}
    every = complete(server, n=5, **asked)["choices"]
    best = complete(server, n=1, best_of=5, **asked)["choices"]

    def mean(choice: Any) -> float:
        return float(np.mean(choice["logprobs"]["token_logprobs"]))

    assert best[0]["text"] == max(every, key=mean)["text"] and len(best) == 1


def test_biases_of_ids(server: Any, model: str) -> None:
    token = server.ask("/tokenize", {"model": model, "prompt": "e"}).json["tokens"][-1]
    asked = {"model": model, "prompt": "The", "max_tokens": 5, "temperature": 0, "logprobs": 1}
    assert complete(server, logit_bias={str(token): 100}, **asked)["choices"][0]["text"] == "e" * 5
    likeliest = complete(server, **asked)["choices"][0]["logprobs"]["token_ids"][0]
    other = complete(server, logit_bias={str(likeliest): -100}, **asked)["choices"][0]["logprobs"]
    assert other["token_ids"][0] != likeliest
    assert likeliest in other["top_ids"][0]  # figures are the model's, whatever bends them
    refused = server.ask("/v1/completions", {"model": model, "prompt": "a", "logit_bias": {"999999": 1}})
    assert refused.status == 400 and "no token id" in refused.error


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"max_tokens": True}, "Expected `int | null`, got `bool`"),
        ({"seed": 1.5}, "seed"),
        ({"temperature": -1}, "temperature"),
        ({"top_p": "1"}, "top_p"),
        ({"prompt": []}, "empty list"),
        ({"prompt": [[]]}, "neither a text"),
        ({"prompt": ["a", 1]}, "neither a text"),
        ({"prompt": [[1], "a"]}, "neither a text"),
        ({"prompt": [10**6]}, "is no token id"),
        ({"prompt": [-1]}, "prompt"),
        ({"prompt": [True]}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"n": 0}, "n"),
        ({"n": 10**9}, "n"),
        ({"n": 3, "best_of": 2}, "best_of"),
        ({"best_of": 2, "stream": True}, "best_of"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"stop": [""]}, "stop"),
        ({"stop": ["a"] * 10_000}, "stop"),
        ({"logprobs": 10**6}, "logprobs"),
        ({"max_tokens": 10**9}, "at most"),
        ({"presence_penalty": 2.5}, "presence_penalty"),
        ({"frequency_penalty": "1"}, "frequency_penalty"),
        ({"stop": [5]}, "stop"),
        ({"min_tokens": 10**18}, "min_tokens: Expected"),
        ({"logit_bias": {"a": 1}}, "logit_bias: Expected"),
        ({"stop_token_ids": [10**6]}, "is no token id"),
        ({"allowed_token_ids": [10**6]}, "is no token id"),
        ({"allowed_token_ids": []}, "allowed_token_ids"),
        ({"response_format": {"type": "xml"}}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "json_schema"),
        ({"structured_outputs": {"grammar": "a"}}, "grammar"),
        ({"structured_outputs": {"choice": []}}, "choice"),
        ({"structured_outputs": {"json": "{"}}, "is no schema"),
        ({"structured_outputs": {"json": "[" * 100_000}}, "is no schema"),
        ({"structured_outputs": {"json": '"\\ud800"'}}, "is no schema"),
        ({"json_schema": {"type": 7}}, "json_schema"),
        ({"regex": "a", "json_schema": {}}, "one of regex and json_schema"),
        ({"regex": "a", "response_format": {"type": "json_object"}}, "one of regex and response_format"),
        ({"suffix": "x"}, "suffix"),
        ({"unheard_of": 1}, "unheard_of"),
        ({"prompt": ["a"] * 10_000}, "10,000 prompts"),
        ({"prompt": ["a"] * 200, "n": 100}, "20,000 texts"),
        ({"prompt": "a\ud800"}, "no JSON"),
        ({"regex": "("}, "regex"),
        ({"model": "../../etc/passwd"}, "no model of that name"),
        ({"model": "bert"}, "continues no text"),
        ({"model": "crf"}, "it can: tag"),
    ],
)
def test_what_is_wrong_is_named(server: Any, asked: dict[str, Any], said: str) -> None:
    reply = server.ask("/v1/completions", {"model": "trigram", "prompt": "a"} | asked)
    assert reply.status == (404 if "passwd" in str(asked) else 400)
    assert said in reply.error


@pytest.mark.parametrize(
    "asked", [{"presence_penalty": 0, "frequency_penalty": 0.0, "logit_bias": {}, "stop": [], "suffix": None},
              {"temperature": None, "n": None, "max_tokens": None, "seed": None, "logprobs": None},
              {"logprobs": 50, "top_k": 10**6, "min_p": 1.0}, {"prompt": ""}, {"max_tokens": 0}],
)  # fmt: skip
def test_what_asks_nothing_is_taken(server: Any, asked: dict[str, Any]) -> None:
    assert len(complete(server, **({"model": "trigram", "prompt": "a"} | asked))["choices"]) == 1


# What the interfaces of OpenAI and vLLM have, and models here do not: a request that asks for it is told so.
FOREIGN = (
    "audio", "cache_salt", "continuous_usage_stats", "function_call", "functions", "guided_grammar",
    "include_stop_str_in_output", "kv_transfer_params", "length_penalty", "logits_processors", "metadata",
    "mm_processor_kwargs", "modalities", "parallel_tool_calls", "prediction", "priority",
    "prompt_logprobs", "reasoning_effort", "request_id", "return_token_ids", "service_tier",
    "skip_special_tokens", "spaces_between_special_tokens", "store", "tool_choice", "tools",
    "truncate_prompt_tokens", "use_beam_search", "verbosity", "web_search_options",
)  # fmt: skip


@pytest.mark.parametrize("route", ["completions", "chat/completions"])
def test_what_others_have_is_refused_by_name(server: Any, route: str) -> None:
    asked = {"prompt": "a"} if route == "completions" else {"messages": [{"role": "user", "content": "a"}]}
    for name in FOREIGN:
        reply = server.ask(f"/v1/{route}", {"model": "trigram", name: 1} | asked)
        assert reply.status == 400 and f"`{name}`" in reply.error


def test_penalties(server: Any, served_models: dict[str, Path], model: str) -> None:
    asked = {"model": model, "prompt": "The king", "max_tokens": 20, "temperature": 0}
    plain = complete(server, logprobs=0, **asked)["choices"][0]["logprobs"]["token_ids"]
    for penalties in ({"frequency_penalty": 2.0}, {"presence_penalty": -2.0, "frequency_penalty": 0.5}):
        told = complete(server, logprobs=0, **asked, **penalties)["choices"][0]
        ids = told["logprobs"]["token_ids"]
        loaded = CausalModel.load(served_models[model])
        own = loaded.generate("The king", max_tokens=20, temperature=0.0, **penalties)
        assert told["text"] == own.text
        # By hand: what was written counts, what was asked does not.
        context = loaded.tokenizer.encode("The king").tolist()
        spellings = loaded.tokenizer.spellings()
        whole = [id for id, spelling in enumerate(spellings) if spelling.decode(errors="replace").isascii()]
        held = 0
        for at, id in enumerate(ids):
            row = loaded.folder.model.next_log_probs([np.array([*context, *ids[:at]], np.uint32)])[0].copy()
            for other in set(ids[:at]):
                row[other] -= penalties.get("presence_penalty", 0.0)
                row[other] -= penalties["frequency_penalty"] * ids[:at].count(other)
            if id in whole:  # those that break a character off may not stand
                assert row[id] == pytest.approx(row[whole].max(), abs=1e-4)
                held += 1
        assert held or model == "gpt2"  # which may write nothing but other scripts
        assert len(set(ids)) >= len(set(plain)) or "presence_penalty" in penalties


def test_ids_that_end_and_ids_that_may_stand(server: Any, model: str) -> None:
    asked = {"model": model, "prompt": "The", "max_tokens": 12, "seed": 3, "logprobs": 0}
    whole = complete(server, **asked)["choices"][0]["logprobs"]
    end = whole["token_ids"][4]
    for stream in (False, True):
        if stream:
            events = server.ask("/v1/completions", asked | {"stop_token_ids": [end], "stream": True}).events
            ids = [id for one in events for id in one["choices"][0]["logprobs"]["token_ids"]]
            reason = events[-1]["choices"][0]["finish_reason"]
        else:
            cut = complete(server, stop_token_ids=[end], **asked)["choices"][0]
            ids, reason = cut["logprobs"]["token_ids"], cut["finish_reason"]
        first = whole["token_ids"].index(end)
        assert (ids, reason) == (whole["token_ids"][: first + 1], "stop")
    tokens = server.ask("/tokenize", {"model": model, "prompt": "e a"}).json["tokens"]
    kept = complete(server, allowed_token_ids=tokens, **asked)["choices"][0]["logprobs"]["token_ids"]
    assert len(kept) == 12 and set(kept) <= set(tokens)
    eos = server.ask(f"/tokenizer_info?model={model}").json["eos_token_id"]
    bent = {str(eos): 100}
    assert complete(server, logit_bias=bent, **asked)["choices"][0]["text"] == ""
    assert len(complete(server, ignore_eos=True, **asked)["choices"][0]["logprobs"]["tokens"]) == 12
    least = complete(server, logit_bias=bent, min_tokens=5, **asked)["choices"][0]["logprobs"]["token_ids"]
    assert eos not in least[:5] and least[-1] == eos  # later where the sixth token is a part of a character
    assert "e" not in complete(server, bad_words=["e"], **asked)["choices"][0]["text"]


@pytest.mark.parametrize(
    "form",
    [
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "n", "schema": {"enum": [7, 8]}},
            }
        },
        {"structured_outputs": {"json": {"enum": [7, 8]}}},
        {"structured_outputs": {"regex": "[78]"}},
        {"structured_outputs": {"choice": ["7", "8"]}},
    ],
)
def test_forms_by_other_names(server: Any, form: dict[str, Any]) -> None:
    pytest.importorskip("llguidance")
    assert complete(server, model="gpt2", prompt="In ", **form)["choices"][0]["text"] in ("7", "8")
    chat = {"model": "gpt2", "messages": [{"role": "user", "content": [{"type": "text", "text": "One?"}]}]}
    told = server.ask("/v1/chat/completions", chat | form).json
    assert told["choices"][0]["message"]["content"] in ("7", "8")


def test_a_regular_expression(server: Any) -> None:
    pytest.importorskip("llguidance")
    answer = complete(server, model="gpt2", prompt="In ", regex="[0-9]{4}", max_tokens=20)["choices"][0]
    assert len(answer["text"]) == 4 and answer["text"].isdigit() and answer["finish_reason"] == "stop"


def test_a_chat(server: Any, served_models: dict[str, Path], model: str) -> None:
    asked = {
        "model": model,
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who?"}],
        "max_tokens": 12,
        "seed": 1,
        "logprobs": True,
        "top_logprobs": 2,
    }
    whole = server.ask("/v1/chat/completions", asked).json
    message = whole["choices"][0]["message"]
    own = langue.load(served_models[model]).generate(
        "System: Be brief.\nUser: Who?\nAssistant:", max_tokens=12, seed=1, temperature=1.0, top_p=1.0,
        stop=["\nSystem:", "\nUser:", "\nAssistant:"],
    )  # fmt: skip
    assert message == {"role": "assistant", "content": own.text}
    first = whole["choices"][0]["logprobs"]["content"][0]
    assert bytes(first["bytes"]).decode(errors="ignore") in first["token"] or first["token"].startswith(
        "bytes:"
    )
    assert len(first["top_logprobs"]) == 2
    events = server.ask("/v1/chat/completions", asked | {"stream": True}).events
    deltas = [event["choices"][0]["delta"] for event in events]
    assert deltas[0]["role"] == "assistant"
    assert "".join(delta.get("content", "") for delta in deltas) == message["content"]
    for message in (
        {"role": "tool", "content": "x"},
        {"role": "user", "content": [{"type": "x", "text": ""}]},
    ):
        bad = server.ask("/v1/chat/completions", asked | {"messages": [message]})
        assert bad.status == 400 and "messages[0]" in bad.error


def test_every_token_is_counted_however_it_is_written(server: Any, model: str) -> None:
    def counted() -> float:
        lines = server.ask("/metrics").content.decode().splitlines()
        (line,) = [
            one for one in lines if one.startswith(f'langue_generated_tokens_total{{model="{model}"}}')
        ]
        return float(line.split()[-1])

    complete(server, model=model, prompt="The", max_tokens=1)
    for asked in ({"max_tokens": 5, "n": 3}, {"max_tokens": 60, "stop": ["e"]}, {"max_tokens": 200, "n": 4}):
        before = counted()
        usage = complete(server, model=model, prompt="The", seed=1, **asked)["usage"]
        assert counted() - before == usage["completion_tokens"]


def test_a_client_gets_news_as_quickly_as_it_reads() -> None:
    from langue.server import writing

    order = writing.Order(streams=True, seconds=60)
    assert order.fresh
    for _ in range(writing.UNREAD):
        assert order.keeps_up
        order.tell(order.news())
    assert not order.keeps_up and not order.fresh
    asyncio.run(order.hear())
    assert order.keeps_up and not writing.Order(streams=False, seconds=60).keeps_up


def test_news_come_no_quicker_than_a_screen_and_of_many_streams_more_seldom(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from langue.server import engine

    now = [100.0]
    monkeypatch.setattr(engine, "monotonic", lambda: now[0])
    for streams, frames in ((1, 1), (engine.FULL_RATE, 1), (4 * engine.FULL_RATE, 4)):
        rows = engine._Rows(None, None)  # type: ignore[arg-type]
        assert rows._is_due(streams) and not rows._is_due(streams)
        now[0] += engine.FRAME * (frames - 0.01)
        assert not rows._is_due(streams)
        now[0] += engine.FRAME * 0.02
        assert rows._is_due(streams)
