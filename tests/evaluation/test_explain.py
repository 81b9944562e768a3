"""Why a token is as likely as it is: figures are those of the score, what families say adds up to them."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.compat.test_compat import DATA, copied

import langue
from langue import cli
from langue.base.errors import InvalidSetting
from langue.models.registry import MODULES
from langue.nn import attention, encoder_decoder, stateful
from langue.protocols import Causal, Explainable, Searchable

TEXT = "the king was "
MODELS = DATA / "models"
# What an earlier version wrote has its names.
pytestmark = pytest.mark.filterwarnings("ignore::langue.base.deprecated.RenamedWarning")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Those of an earlier version, of every family; packed ones unpacked."""
    folder = tmp_path_factory.mktemp("explained")
    return {
        one.name: copied(f"models/{one.name}", folder) if list(one.glob("*.gz")) else one
        for one in MODELS.iterdir()
    }


NAMES = (
    "ngram", "ngram-add-k", "gpt2", "gpt2-later", "infinigram", "markov", "hmm", "mixture", "class-ngram",
    "loglinear", "nplm", "rnn", "rnn-gru", "rnn-elman", "charcnn", "transformer", "transformer-parts",
    "bert2bert", "neural-hmm",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_it_is_the_token_of_the_score(models: dict[str, Path], name: str) -> None:
    model = langue.CausalModel.load(models[name])
    score = model.score(TEXT)
    for index in (0, 2, -1):
        explained = model.explain(TEXT, index, k=3)
        assert explained.bits == pytest.approx(float(score.bits[index]), abs=2e-3)
        assert explained.index == index % len(score.bits)
        assert explained.rank >= 1 and 0 <= explained.entropy <= math.log2(model.tokenizer.vocab_size) + 1e-4
        best = model.next_tokens(TEXT, k=3) if index == -1 else []
        assert [token for token, _ in explained.top] == [token for token, _ in best] or index != -1
        assert explained.reason is not None
        assert str(explained).startswith(repr(explained.token))


def test_every_family_of_language_models_can_say_why(models: dict[str, Path]) -> None:
    seen = set()
    for name, path in models.items():
        loaded = langue.load(path).folder
        seen.add(loaded.description.family)
        assert isinstance(loaded.model, Explainable) == isinstance(loaded.model, Causal), name
    assert seen >= set(MODULES) - {"ranker", "span"}  # which are no language models


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
    mass = reason["total"] + reason["alpha"] * model.tokenizer.vocab_size
    assert p == pytest.approx((reason["count"] + reason["alpha"]) / mass, rel=1e-4)
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
    assert [part["reason"]["kind"] for part in reason["parts"]] == ["ngram", "classes"]


def test_classes_and_shares_make_the_probability(models: dict[str, Path]) -> None:
    model = langue.CausalModel.load(models["class-ngram"])
    contexts = 0
    for index in range(len(model.score(TEXT).tokens)):
        explained = model.explain(TEXT, index)
        reason = explained.reason
        assert reason is not None
        longest = reason["ngrams"]["orders"][-1]
        assert explained.probability == pytest.approx(longest["probability"] * reason["share"], rel=1e-4)
        assert reason["class"] == reason["words"][0]["token"] + "~"
        named = [one["class"] for one in reason["classes"]]
        assert [one for one in longest["context"] if one != "<s>"] == named
        contexts += bool(named)
        shares = {word["token"]: word["probability"] for word in reason["words"]}
        assert shares.get(explained.token, reason["share"]) == pytest.approx(reason["share"])
    assert contexts


def test_weights_of_features_make_the_probability(models: dict[str, Path]) -> None:
    for index in (0, 3, -2):
        p, reason = reason_of(models, "loglinear", index)
        weights = [feature["weight"] or 0.0 for feature in reason["features"]]
        assert math.log(p) == pytest.approx(reason["bias"] + sum(weights) - reason["log_z"], abs=1e-4)
        assert [(len(one["tokens"]), one["back"]) for one in reason["features"]] == [(1, 1), (2, 1), (1, 2)]
    tokens = langue.CausalModel.load(models["loglinear"]).score(TEXT).tokens
    assert reason["features"][1]["tokens"] == tokens[-4:-2]  # before the last token of the text
    assert reason["features"][2]["tokens"] == [tokens[-4]]


@pytest.mark.parametrize("name", ["nplm", "rnn", "rnn-gru", "charcnn"])
def test_saliency_is_how_the_score_moves_as_a_vector_grows(
    models: dict[str, Path], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model: Any = langue.load(models[name]).folder.model
    monkeypatch.setattr(model, "compiled", lambda: None)  # torch's path, which has the vectors to grow
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():  # those it has do hardly anything
            parameter.copy_(torch.randn(parameter.shape, generator=draw) / 2)
    ids = np.array([40, 41, 7, 50, 41, 12], np.uint32)
    told = model.explain(ids[:-1], int(ids[-1]))
    assert told.ids.tolist() == [0, *ids[:-1].tolist()][-len(told.ids) :]

    def log_prob(place: int, size: float) -> float:
        def grow(module: Any, inputs: Any, x: torch.Tensor) -> torch.Tensor:
            return torch.cat(
                [x[..., :place, :], size * x[..., place : place + 1, :], x[..., place + 1 :, :]], -2
            )

        with model.embedding.register_forward_hook(grow):
            return float(model.log_probs([ids])[0][-1])

    most = float(np.abs(told.saliency).max())
    assert most > 5e-3  # what is held below is not nothing
    for place, salient in enumerate(told.saliency):
        moved = (log_prob(place, 1.05) - log_prob(place, 0.95)) / 0.1
        assert salient == pytest.approx(moved, abs=0.03 * most)


def test_what_is_far_back_stands_in_the_state(
    models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model: Any = langue.load(models["rnn"]).folder.model
    ids = np.arange(30, 60, dtype=np.uint32)
    whole = model.explain(ids, 7)
    monkeypatch.setattr(stateful, "SALIENT", 4)
    last = model.explain(ids, 7)
    assert last.ids.tolist() == ids[-4:].tolist()
    assert last.saliency == pytest.approx(whole.saliency[-4:], abs=1e-6)


@pytest.mark.parametrize("name", ["gpt2", "gpt2-later"])
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


@pytest.mark.parametrize("name", ["transformer", "transformer-parts", "bert2bert"])
def test_attention_to_a_source_is_that_of_the_pass(
    models: dict[str, Path], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model: Any = langue.load(models[name]).folder.model
    end = sorted(model.source_ends)[:1]
    ids = np.array([40, 41, 42, *end, 50, 51], np.uint32)
    told = model.explain(ids, 5)
    if end:
        assert told.source.ids.tolist()[1:4] == [40, 41, 42]
        assert told.target.ids.tolist() == [*end, 50, 51]
    seen = []

    def look(q: torch.Tensor, k: torch.Tensor, *rest: Any) -> torch.Tensor:
        seen.append((q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1]))[0, :, -1].softmax(-1).numpy())
        return attend(q, k, *rest)

    attend = attention.attend
    for module in (attention, encoder_decoder):
        monkeypatch.setattr(module, "attend", look)
    encoder_decoder.PartsDecoder(model, [ids]).log_probs()
    layers = len(model.decoding)
    assert told.target.weights == pytest.approx(np.stack(seen[-2 * layers :: 2]), abs=1e-5)
    assert told.source.weights == pytest.approx(np.stack(seen[-2 * layers + 1 :: 2]), abs=1e-5)


def test_what_is_not_there_is_refused(models: dict[str, Path]) -> None:
    model = langue.CausalModel.load(models["gpt2"])
    with pytest.raises(InvalidSetting, match="its end included; there is none at 99"):
        model.explain("king", 99)
    with pytest.raises(InvalidSetting, match="there is no layer 7"):
        model.explain("king", layer=7)
    assert not isinstance(object(), Explainable)


@pytest.mark.parametrize(
    ("name", "said"),
    [("class-ngram", "of it: "), ("loglinear", "; log Z "), ("rnn", "it hangs on: "),
     ("bert2bert", "source: layer ")],
)  # fmt: skip
def test_lines_of_each_kind(
    models: dict[str, Path], capsys: pytest.CaptureFixture[str], name: str, said: str
) -> None:
    assert cli.run(["explain", str(models[name]), "the king"]) == 0
    assert said in capsys.readouterr().out


def test_on_the_command_line(models: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["explain", str(models["ngram"]), "第一回 the king"]) == 0
    assert "order 1 (no context): p " in capsys.readouterr().out
    assert cli.run(["explain", str(models["infinigram"]), "the king", "--json", "--token", "0"]) == 0
    assert '"passages"' in capsys.readouterr().out
    assert cli.run(["explain", str(models["ngram"]), "", "--token", "-1"]) == 0
    capsys.readouterr()
    assert cli.run(["explain", str(models["ngram"]), ""]) == 2
    assert "the text has 1 token, " in capsys.readouterr().err
