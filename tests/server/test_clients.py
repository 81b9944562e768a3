"""Clients that others wrote, as they are: openai, lm_eval, schemathesis."""

import asyncio
import base64
import importlib
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import langue

TEXTS = ["The king is dead. 皇上", "To be, or not to be\nthat is the question"]
ASKED: dict[str, Any] = {"max_tokens": 8, "seed": 1, "temperature": 0.7}


def client(name: str) -> Any:
    """A client, or a skip without; `make serve-proof`, which installs all, asks for it."""
    if os.environ.get("LANGUE_CLIENTS") == "required":
        return importlib.import_module(name)
    return pytest.importorskip(name, reason="make serve-proof installs it")


@pytest.fixture(scope="module")
def openai() -> Any:
    return client("openai")


@pytest.mark.parametrize("model", ["trigram", "gpt2"])
def test_openai(openai: Any, server: Any, served_models: dict[str, Path], model: str) -> None:
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)
    assert model in [one.id for one in client.models.list()]
    assert client.models.retrieve(model).id == model
    whole = client.completions.create(model=model, prompt=TEXTS, n=2, logprobs=2, **ASKED)
    own = langue.CausalModel.load(served_models[model]).generate_all(TEXTS, n=2, top_p=1.0, **ASKED)
    assert [choice.text for choice in whole.choices] == [one.text for some in own for one in some]
    assert whole.usage.completion_tokens == sum(len(c.logprobs.tokens) for c in whole.choices)
    streamed = client.completions.create(model=model, prompt=TEXTS[0], stream=True, **ASKED)
    assert "".join(chunk.choices[0].text for chunk in streamed) == whole.choices[0].text
    messages = [{"role": "user", "content": "Who?"}]
    chat = client.chat.completions.create(
        model=model, messages=messages, logprobs=True, top_logprobs=1, **ASKED
    )
    pieces = client.chat.completions.create(model=model, messages=messages, stream=True, **ASKED)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in pieces)
    assert text == chat.choices[0].message.content
    with pytest.raises(openai.NotFoundError, match="no model of that name"):
        client.completions.create(model="nobody", prompt="a")
    with pytest.raises(openai.BadRequestError, match="top_p"):
        client.completions.create(model=model, prompt="a", top_p=7)
    with pytest.raises(openai.BadRequestError, match="makes no vectors"):
        client.embeddings.create(model=model, input="a")


def test_openai_embeddings(openai: Any, server: Any, served_models: dict[str, Path]) -> None:
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)
    own = langue.MaskedModel.load(served_models["bert"]).embed(TEXTS)
    as_base64 = client.embeddings.create(model="bert", input=TEXTS)  # what this client asks for unasked
    as_floats = client.embeddings.create(model="bert", input=TEXTS, encoding_format="float")
    for told in (as_base64, as_floats):
        assert np.allclose([one.embedding for one in told.data], own, atol=1e-5)
    raw = server.ask("/v1/embeddings", {"model": "bert", "input": TEXTS[0], "encoding_format": "base64"}).json
    assert np.allclose(np.frombuffer(base64.b64decode(raw["data"][0]["embedding"]), "<f4"), own[0], atol=1e-5)


def test_openai_many_at_a_time(openai: Any, server: Any, served_models: dict[str, Path]) -> None:
    """What is written side by side is what each would be alone."""
    own = langue.CausalModel.load(served_models["gpt2"])

    async def ask() -> list[str]:
        client = openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)

        async def one(seed: int) -> str:
            if seed % 2:
                answer = await client.completions.create(model="gpt2", prompt="The", max_tokens=12, seed=seed)
                return str(answer.choices[0].text)
            stream = await client.completions.create(
                model="gpt2", prompt="The", max_tokens=12, seed=seed, stream=True
            )
            return "".join([chunk.choices[0].text async for chunk in stream])

        async with client:
            return await asyncio.gather(*(one(seed) for seed in range(24)))

    expected = [
        own.generate("The", max_tokens=12, seed=s, temperature=1.0, top_p=1.0).text for s in range(24)
    ]
    assert asyncio.run(ask()) == expected


@pytest.mark.parametrize("model", ["trigram", "gpt2"])
def test_lm_eval(serve: Callable[..., Any], served_models: dict[str, Path], model: str) -> None:
    """Log-likelihoods are those of our scores of the same tokens, without the end of the text."""
    completions = client("lm_eval.models.openai_completions")
    from lm_eval.api.instance import Instance

    own = langue.CausalModel.load(served_models[model])
    with serve({model: served_models[model]}) as address:
        evaluated = completions.LocalCompletionsAPI(
            base_url=f"{address.url}/v1/completions",
            model=model,
            tokenizer_backend="remote",
            max_length=4096,
            max_retries=1,
            num_concurrent=1,
        )
        rolling = evaluated.loglikelihood_rolling(
            [Instance("loglikelihood_rolling", {}, (text,), index) for index, text in enumerate(TEXTS)],
            disable_tqdm=True,
        )
        for text, log_likelihood in zip(TEXTS, rolling, strict=True):
            bits = own.score(text).bits[:-1].sum()
            assert -log_likelihood / math.log(2) == pytest.approx(bits, rel=1e-5)
        pairs = [("The king", " is dead"), ("A", "B")]
        asked = [Instance("loglikelihood", {}, pair, index) for index, pair in enumerate(pairs)]
        for (context, continuation), (log_likelihood, greedy) in zip(
            pairs, evaluated.loglikelihood(asked, disable_tqdm=True), strict=True
        ):
            score = own.score(context + continuation)
            after = [span[0] >= len(context) for span in score.spans[:-1]]
            assert -log_likelihood / math.log(2) == pytest.approx(score.bits[:-1][after].sum(), rel=1e-5)
            assert isinstance(greedy, bool)
        (written,) = evaluated.generate_until(
            [Instance("generate_until", {}, ("The", {"until": ["\n"], "max_gen_toks": 8}), 0)],
            disable_tqdm=True,
        )
        assert written == own.generate("The", max_tokens=8, temperature=0, stop=["\n", "<eos>"]).text


def test_the_document_is_true(server: Any) -> None:
    """Schemathesis makes requests of the document and holds answers to it.

    That what a schema allows is taken is not asked: no schema says that a regular expression is one, or that
    an id is of a token, and 23.0 is an integer to JSON Schema.
    """
    schemathesis = client("schemathesis")
    for route, asked in (("tag", {"text": "a"}), ("fill", {"text": "[MASK]"}), ("next", {"model": "gpt2"})):
        assert server.ask(f"/v1/{route}", asked).status == 200  # loaded, however slowly
    document = server.ask("/openapi.json").json
    schema = schemathesis.openapi.from_dict(document)
    from hypothesis import HealthCheck, given, settings
    from schemathesis.specs.openapi.checks import positive_data_acceptance

    checked = set()
    for result in schema.get_all_operations():
        operation = result.ok()

        @settings(
            max_examples=6,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            response = case.call(base_url=server.url)
            case.validate_response(response, excluded_checks=[positive_data_acceptance])

        ask()
        checked.add(operation.path)
    assert checked == set(document["paths"])
