"""Why a token is as likely as it is: figures are those of the score, what families say adds up to them."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import langue
from langue import cli
from langue.base.errors import InvalidSetting
from langue.nn import attention
from langue.protocols import Explainable, Searchable

TEXT = "the king was "


@pytest.fixture(scope="module")
def models(
    small_models: dict[str, Path], small_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("explained")
    langue.train("infinigram", small_store, folder / "infinigram", alpha=0.01)
    langue.train("markov", small_store, folder / "markov", order=2)
    langue.train("hmm", small_store, folder / "hmm", states=5, iterations=2)
    tiny = {"layers": 2, "width": 32, "heads": 2, "context": 16, "steps": 5, "batch_tokens": 256}
    langue.train("gpt2", small_store, folder / "rope", position="rotary", **tiny)
    parts = [str(small_models["trigram"]), str(small_models["gpt2"])]
    langue.train("mixture", small_store, folder / "mixture", models=parts)
    made = {name: folder / name for name in ("infinigram", "markov", "hmm", "rope", "mixture")}
    return {**small_models, **made}


NAMES = ("trigram", "unigram", "gpt2", "infinigram", "markov", "hmm", "rope", "mixture")


@pytest.mark.parametrize("name", NAMES)
def test_it_is_the_token_of_the_score(models: dict[str, Path], name: str) -> None:
    model = langue.CausalModel.load(models[name])
    score = model.score(TEXT)
    for index in (0, 2, -1):
        explained = model.explain(TEXT, index, k=3)
        assert explained.bits == pytest.approx(float(score.bits[index]), abs=2e-3)
        assert explained.index == index % len(score.bits)
        assert explained.rank >= 1 and 0 <= explained.entropy <= math.log2(model.tokenizer.vocab_size)
        best = model.next_tokens(TEXT, k=3) if index == -1 else []
        assert [token for token, _ in explained.top] == [token for token, _ in best] or index != -1
        assert explained.reason is not None
        assert str(explained).startswith(repr(explained.token))


def reason_of(models: dict[str, Path], name: str, index: int = -2) -> tuple[float, dict[str, Any]]:
    explained = langue.CausalModel.load(models[name]).explain(TEXT, index)
    assert explained.reason is not None
    return explained.probability, explained.reason


def test_markov_counts_make_the_probability(models: dict[str, Path]) -> None:
    p, reason = reason_of(models, "markov")
    (step,) = reason["orders"]
    model: Any = langue.load(models["markov"]).folder.model
    alpha, V = model.config.alpha, model.vocabulary.size
    assert p == pytest.approx((step["count"] + alpha) / (step["total"] + alpha * V), rel=1e-4)


def test_passages_are_of_the_training_text_and_their_counts_make_the_probability(
    models: dict[str, Path],
) -> None:
    model = langue.InfiniGramModel.load(models["infinigram"])
    p, reason = reason_of(models, "infinigram")
    mass = reason["total"] + 0.01 * model.tokenizer.vocab_size
    assert p == pytest.approx((reason["count"] + 0.01) / mass, rel=1e-4)
    assert isinstance(model.folder.model, Searchable)
    documents = list(model.folder.model.documents())
    assert reason["passages"]
    for passage in reason["passages"]:
        ids = documents[passage["document"]][passage["offset"] :]
        assert model.tokenizer.decode(ids).startswith(passage["match"])
        whole = model.tokenizer.decode(documents[passage["document"]])
        assert passage["before"] + passage["match"] in whole


def test_states_add_up(models: dict[str, Path]) -> None:
    p, reason = reason_of(models, "hmm")
    states = reason["states"]
    assert sum(state["prior"] * state["emission"] for state in states) == pytest.approx(p, rel=1e-4)
    assert sum(state["posterior"] for state in states) == pytest.approx(1)
    for state in states:
        expected = state["prior"] * state["emission"] / p
        assert state["posterior"] == pytest.approx(expected, abs=1e-6)


def test_parts_add_up(models: dict[str, Path]) -> None:
    p, reason = reason_of(models, "mixture")
    assert sum(part["weight"] * part["probability"] for part in reason["parts"]) == pytest.approx(p, rel=1e-4)
    assert [part["reason"]["kind"] for part in reason["parts"]] == ["ngram", "attention"]


@pytest.mark.parametrize("name", ["gpt2", "rope"])
def test_attention_is_that_of_the_pass(
    models: dict[str, Path], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model: Any = langue.load(models[name]).folder.model
    ids = np.arange(40, 70, dtype=np.uint32)  # longer than the window of one of them
    weights = model.explain(ids, 5).weights
    start = model.window_start(len(ids))
    seen = []

    def look(q: torch.Tensor, k: torch.Tensor, *rest: Any) -> torch.Tensor:
        scores = (q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1]))[0, :, -1]
        seen.append(scores.softmax(-1))
        return attend(q, k, *rest)

    attend = attention.attend
    monkeypatch.setattr(attention, "attend", look)
    read = torch.from_numpy(np.r_[model.vocabulary.eos, ids.astype(np.int64)][start:])[None]
    with torch.inference_mode():
        model(read, torch.arange(read.shape[1]), "causal")
    assert weights.shape[-1] == read.shape[1]
    assert weights == pytest.approx(torch.stack(seen).numpy(), abs=1e-5)


def test_what_is_not_there_is_refused(models: dict[str, Path]) -> None:
    model = langue.CausalModel.load(models["gpt2"])
    with pytest.raises(InvalidSetting, match="its end included; there is none at 99"):
        model.explain("king", 99)
    with pytest.raises(InvalidSetting, match="there is no layer 7"):
        model.explain("king", layer=7)
    assert not isinstance(object(), Explainable)


def test_on_the_command_line(models: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["explain", str(models["trigram"]), "第一回 the king"]) == 0
    assert "order 1 (no context): p " in capsys.readouterr().out
    assert cli.run(["explain", str(models["infinigram"]), "the king", "--json", "--token", "0"]) == 0
    assert '"passages"' in capsys.readouterr().out
    assert cli.run(["explain", str(models["trigram"]), "", "--token", "-1"]) == 0
    capsys.readouterr()
    assert cli.run(["explain", str(models["trigram"]), ""]) == 2
    assert "the text has 1 tokens" in capsys.readouterr().err
