"""Models of a server: loaded on demand, put out again, and one that is broken fails alone."""

import asyncio
import logging
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

import langue
from langue.base.errors import LangueError
from langue.server import models as served
from langue.server.app import create_app
from langue.server.errors import Refused, report
from langue.server.limits import Settings
from langue.server.models import Models


def states(address: Any) -> dict[str, str]:
    return {card["id"]: card["state"] for card in address.ask("/v1/models").json["data"]}


def test_memory_is_kept(serve: Callable[..., Any], served_models: dict[str, Path]) -> None:
    sizes = Models(served_models, Settings()).all
    two = max(sizes["gpt2"].bytes + sizes["crf"].bytes, sizes["trigram"].bytes + sizes["crf"].bytes)
    three = {name: served_models[name] for name in ("trigram", "gpt2", "crf")}
    with serve(three, memory=two) as address:
        assert set(states(address).values()) == {"cold"}
        for _ in range(2):
            assert (
                address.ask("/v1/completions", {"model": "gpt2", "prompt": "a", "max_tokens": 2}).status
                == 200
            )
            assert address.ask("/v1/tag", {"model": "crf", "text": "the king"}).status == 200
            assert states(address) == {"trigram": "cold", "gpt2": "ready", "crf": "ready"}
            assert address.ask("/v1/completions", {"model": "trigram", "prompt": "a"}).status == 200
            assert states(address)["gpt2"] == "cold"  # the longest unused
        written = [
            line for line in address.ask("/metrics").content.decode().splitlines() if "generated" in line
        ]
        assert 'langue_generated_tokens_total{model="gpt2"} 4.0' in written  # by both that were loaded
    with pytest.raises(LangueError, match="alone needs"):
        create_app(three, Settings(memory=1))


def test_a_broken_model_fails_alone(
    serve: Callable[..., Any],
    served_models: dict[str, Path],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    shutil.copytree(served_models["gpt2"], tmp_path / "cut")
    shutil.copytree(served_models["gpt2"], tmp_path / "odd")
    (tmp_path / "odd" / "model.json").write_text("{}")
    (tmp_path / "cut" / "weights.safetensors").write_bytes(b"cut")
    broken = {"cut": tmp_path / "cut", "odd": tmp_path / "odd", "none": tmp_path / "none"}
    with serve({"trigram": served_models["trigram"], **broken}) as address:
        assert states(address) == {"trigram": "cold", "cut": "cold", "odd": "broken", "none": "broken"}
        for name in broken:
            reply = address.ask("/v1/completions", {"model": name, "prompt": "a"})
            assert reply.status == 503 and "cannot be loaded" in reply.error
        assert "langue train FAMILY STORE -o" in caplog.text  # which its owner reads, and can type
        assert "langue train" not in reply.error and str(tmp_path) not in reply.error
        assert states(address)["cut"] == "broken"
        assert address.ask("/v1/completions", {"model": "trigram", "prompt": "a"}).status == 200
        assert address.ask("/health").status == 200
    with pytest.raises(LangueError, match=r"model\.json"):
        create_app({name: broken[name] for name in ("odd", "none")})


def test_an_error_within_a_model_ends_what_it_wrote(
    serve: Callable[..., Any],
    served_models: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from langue.models.counts.ngram.model import NGramDecoder

    asked = {"model": "trigram", "prompt": "a secret of mine", "max_tokens": 3}
    with serve({"trigram": served_models["trigram"]}) as address:
        assert address.ask("/v1/completions", asked).status == 200
        with monkeypatch.context() as patch, caplog.at_level(logging.DEBUG):

            def fail(*arguments: object) -> None:
                raise RuntimeError(asked["prompt"])

            for name in ("draw", "distributions"):
                patch.setattr(NGramDecoder, name, fail)
            for long in ({}, {"max_tokens": 4000}):  # in the event loop, and on the thread of the model
                reply = address.ask("/v1/completions", asked | long)
                assert reply.status == 500 and "secret" not in reply.error
            *_, last = address.ask("/v1/completions", asked | {"stream": True}).events
            assert last["error"]["type"] == "server_error"
            assert address.ask("/v1/next", {"context": "a secret of mine"}).status == 500
        assert "RuntimeError" in caplog.text and "secret" not in caplog.text
        assert address.ask("/v1/completions", asked).status == 200


def test_what_a_user_wrote_is_not_logged(
    serve: Callable[..., Any], served_models: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), serve(served_models) as address:
        address.ask("/v1/completions", {"model": "trigram", "prompt": "a secret of mine", "max_tokens": 3})
        address.ask("/v1/completions", {"model": "trigram", "prompt": "a secret of mine", "top_p": 9})
        address.ask("/a%20secret%20of%20mine?secret=secret")
        address.ask("/v1/score", {"model": "gpt2", "text": "a secret of mine"})
        assert "secret" not in address.ask("/metrics").content.decode()
    assert "secret" not in caplog.text


def test_a_report_has_nothing_of_a_message(caplog: pytest.LogCaptureFixture) -> None:
    report(Refused(400, "seen by the client"))
    assert not caplog.records
    report(ValueError("a text of a user's"))
    assert "ValueError" in caplog.text and "a text" not in caplog.text


def test_models_are_found_by_name_and_by_what_they_can(served_models: dict[str, Path]) -> None:
    models = Models(served_models, Settings())
    assert models.find(None, "fill").name == "bert"
    with pytest.raises(Refused, match="can: tag"):
        models.find("crf", "score")
    with pytest.raises(LangueError, match="no model"):
        Models({}, Settings())
    assert asyncio.run(_faces(models)) == [langue.CausalModel, "TaggerModel"]


def test_an_encoder_without_a_head_embeds_alone(
    served_models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = served.describe(served_models["bert"])
    headless = msgspec.structs.replace(known, config=known.config | {"no_mlm_head": True})
    monkeypatch.setattr(served, "describe", lambda path: headless)
    held = Models({"bert": served_models["bert"]}, Settings())
    with pytest.raises(Refused, match="fills no gaps"):
        held.find("bert", "fill")
    assert held.find(None, "embed").name == "bert"


async def _faces(models: Models) -> list[Any]:
    async with models.held("trigram", "score") as one, models.held("crf", "tag") as other:
        told = [type(one.face), type(other.face).__name__]
    await models.close()
    assert all(one.state == "cold" for one in models.all.values())
    return told


def test_work_that_nobody_waits_for_ends_at_its_next_part(served_models: dict[str, Path]) -> None:
    begun, ended = threading.Event(), threading.Event()

    def endless(face: Any, go_on: Any) -> None:
        begun.set()
        try:
            while True:
                go_on()
                time.sleep(0.001)
        finally:
            ended.set()

    async def leave() -> Any:
        models = Models({"trigram": served_models["trigram"]}, Settings())
        async with models.held("trigram", "score") as held:
            task = asyncio.create_task(held.call_while_wanted(endless))
            await asyncio.to_thread(begun.wait, 60)
            task.cancel()
            await asyncio.to_thread(ended.wait, 60)
            told = await held.call_on(range(100), lambda face, some: [10 * item for item in some])
        await models.close()
        return told

    assert asyncio.run(leave()) == [10 * item for item in range(100)]
