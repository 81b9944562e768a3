"""Weights of bfloat16 and float16 on a processor: every network answers, much as in float32."""

from pathlib import Path

import numpy as np
import pytest
import torch

import langue
from langue.nn.fast.compiled_step import CompiledForm

MODELS = Path(__file__).parents[1] / "compat" / "data" / "models"
LINE = "The fox sees the dog."
RECURRENT, ATTENDING = ["rnn", "rnn-elman", "rnn-gru"], ["gpt2", "transformer", "transformer-parts"]
CAUSAL = [*RECURRENT, *ATTENDING, "neural-hmm", "nplm"]
ENCODERS = ["albert", "bert", "bert-disentangled", "pair"]


@pytest.fixture(params=["bfloat16", "float16"])
def dtype(request):
    return request.param


@pytest.fixture
def by_torch(monkeypatch):
    """Without compiled steps, which take bfloat16 alone, and tens of seconds to compile."""
    monkeypatch.setattr(CompiledForm, "compiled", lambda self: None)


@pytest.mark.parametrize("name", CAUSAL)
def test_a_causal_network_scores_and_writes(name, dtype, by_torch):
    exact, rounded = langue.load(MODELS / name), langue.load(MODELS / name, dtype=dtype)
    assert {part.dtype for part in rounded.folder.model.parameters()} == {getattr(torch, dtype)}
    bits = exact.score(LINE).total_bits
    assert rounded.score(LINE).total_bits == pytest.approx(bits, rel=0.02)
    assert rounded.score(LINE).total_bits != bits
    assert rounded.generate("The ", max_tokens=4, seed=1).tokens
    assert abs(sum(p for _, p in rounded.next_tokens("The ", k=10_000)) - 1) < 0.02


@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoder_embeds_and_fills(name, dtype):
    exact, rounded = langue.load(MODELS / name), langue.load(MODELS / name, dtype=dtype)
    one, other = exact.embed([LINE])[0], rounded.embed([LINE])[0]
    assert one @ other / np.linalg.norm(one) / np.linalg.norm(other) > 0.99
    assert rounded.fill("The [MASK] sees.")


@pytest.mark.parametrize("name", ["classifier", "classifier-pair"])
def test_a_classifier_classifies(name, dtype):
    exact, rounded = langue.load(MODELS / name), langue.load(MODELS / name, dtype=dtype)
    texts = [LINE] * rounded.texts
    one, other = exact.classify(*texts), rounded.classify(*texts)
    assert dict(other) == pytest.approx(dict(one), abs=0.05)


@pytest.mark.parametrize("name", ["encoder-tagger", "encoder-tagger-softmax", "rnn-tagger-softmax"])
def test_a_tagger_tags(name, dtype):
    assert len(langue.load(MODELS / name, dtype=dtype).tag(["The", "fox", "sees"])) == 3


def test_the_compiled_step_reads_bfloat16_and_scores_as_it_writes():
    rounded = langue.load(MODELS / "gpt2", dtype="bfloat16")
    network = rounded.folder.model
    assert network.compiled() is not None and network.scored_by_step()
    exact = langue.load(MODELS / "gpt2")
    assert not exact.folder.model.scored_by_step()
    with torch.no_grad():
        for part in exact.folder.model.parameters():
            part.copy_(part.bfloat16())  # the same weights, read in float32
    assert rounded.score(LINE).total_bits == pytest.approx(exact.score(LINE).total_bits, rel=1e-5)
    wrote = [one.generate("The ", max_tokens=8, temperature=0).text for one in (exact, rounded)]
    assert wrote[0] == wrote[1]


def test_loading_a_neural_hmm_makes_no_table_of_all_states(monkeypatch):
    """Python 3.11 evaluates the properties of a protocol to tell whether a model has them."""
    from langue.models.states.hmm.clustered import ClusteredHMM

    monkeypatch.setattr(ClusteredHMM, "to_hmm", lambda self: pytest.fail("made"))
    assert isinstance(langue.load(MODELS / "neural-hmm"), langue.HMMModel)
