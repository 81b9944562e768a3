"""The compiled step of recurrent networks against torch: every cell, batches, prompts, int8, scoring."""

import numpy as np
import pytest
import torch
from tests.nn.compiled.decoders import check_drawn_as_chosen, check_rows_alone_and_together

from langue.models.networks import charcnn, rnn
from langue.models.networks.config import CharCNNConfig, RNNConfig
from langue.nn.compiled.recurrent import CompiledStates
from langue.nn.stateful import StatefulDecoder
from langue.protocols import Vocabulary

V = 90
CELLS = {
    "elman": {"cell": "elman", "layers": 1},
    "gru": {"cell": "gru", "layers": 2},
    "lstm": {"cell": "lstm", "layers": 3, "tied": True, "weight_drop": 0.5, "dropout": 0.3},
    "charcnn": {},
}


def model_of(name, spread=0.15):
    """A model with weights that make its distributions narrow."""
    if name == "charcnn":
        vocabulary = Vocabulary(V, 0, [bytes([33 + id % 50] * (id % 7)) for id in range(V)])
        model = charcnn.build(CharCNNConfig(layers=2, width=40), vocabulary, seed=1)
    else:
        model = rnn.build(RNNConfig(width=60, **CELLS[name]), Vocabulary(V, 0), seed=1)
    draw = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += torch.randn(parameter.shape, generator=draw) * spread
        model.head.bias += torch.randn(V, generator=draw)  # far from uniform
    return model.eval()


def prompts_of(*lengths):
    draw = np.random.default_rng(3)
    return [draw.integers(1, V, size=length) for length in lengths]


@pytest.mark.parametrize("name", CELLS)
def test_every_cell_says_what_torch_says(name):
    model = model_of(name)
    prompts = prompts_of(0, 1, 7, 23, 24, 70)
    fast, slow = model.decoder(prompts), StatefulDecoder(model, prompts, 0)
    assert isinstance(fast, CompiledStates)
    for _ in range(20):
        np.testing.assert_allclose(fast.log_probs(), slow.log_probs(), atol=1e-4)
        ids = slow.log_probs().argmax(1)[:, None]
        fast.extend(ids)
        slow.extend(ids)


@pytest.mark.parametrize("quantize", [None, "int8"])
@pytest.mark.parametrize("name", ["gru", "lstm"])
def test_a_row_has_the_same_bits_alone_in_a_batch_and_read_at_once(name, quantize):
    model = model_of(name)
    model.quantize = quantize
    prompts = prompts_of(3, 0, 60, 9, 24)
    check_rows_alone_and_together(model, prompts, steps=6)


@pytest.mark.parametrize("quantize", [None, "int8"])
@pytest.mark.parametrize("name", CELLS)
def test_tokens_drawn_in_one_call_are_those_chosen_one_by_one(name, quantize):
    model = model_of(name)
    model.quantize = quantize
    check_drawn_as_chosen(model, prompts_of(0, 1, 2, 9, 30, 3))
    check_drawn_as_chosen(model, prompts_of(*range(60)), calls=2)  # more rows than are read at once


def test_rows_come_and_go_and_take_back_what_they_read():
    model = model_of("lstm")
    prompts = prompts_of(3, 30, 8)
    decoder = model.decoder(prompts, depth=9)
    decoder.select([2, 0, 2, 1])
    decoder.extend([np.array([5, 6]), np.array([7]), np.array([8, 9, 10]), np.array([], np.int64)])
    decoder.truncate([1, 2, 3, 9])
    decoder.add(prompts_of(12))
    decoder.extend(np.full((5, 1), 4))
    texts = [
        [*prompts[2], 5], prompts[0][:-1], prompts[2], prompts[1][:-9], prompts_of(12)[0],
    ]  # fmt: skip
    expected = model.decoder([np.array([*text, 4]) for text in texts]).log_probs()
    np.testing.assert_array_equal(decoder.log_probs(), expected)


@pytest.mark.parametrize("name", ["elman", "lstm"])
def test_int8_is_near_to_float32_and_scores_what_it_says(name):
    model = model_of(name, spread=0.05)
    prompts = prompts_of(10, 20, 30)
    whole, scored = model.decoder(prompts).log_probs(), model.log_probs(prompts)
    model.quantize = "int8"
    coarse = model.decoder(prompts).log_probs()
    assert 1e-5 < np.abs(np.exp(coarse) - np.exp(whole)).max() < 0.05
    texts = [*prompts, np.array([], np.int64), *prompts_of(*range(1, 20))]
    in_int8 = model.log_probs(texts)
    for scores, float32 in zip(in_int8, scored, strict=False):
        np.testing.assert_allclose(scores, float32, atol=0.2)
    for text, scores in zip(texts, in_int8, strict=True):
        said = model.decoder([text[:0]]).extend([text], every=True)[0]
        said = np.concatenate([model.decoder([text[:0]]).log_probs(), said])[:-1]
        np.testing.assert_allclose(scores, said[np.arange(len(text)), text], atol=1e-5)


def test_words_made_of_spellings_are_scored_by_the_step_as_torch_scores_them(monkeypatch):
    model = model_of("charcnn")
    texts = prompts_of(1, 40, 0, 300, 25, 120)
    fast = model.log_probs(texts)
    written = model.decoder([texts[1][:-1]]).log_probs()[0, texts[1][-1]]
    np.testing.assert_allclose(fast[1][-1], written, atol=1e-5)
    monkeypatch.setattr(model, "compiled", lambda: None)
    slow = model.log_probs(texts)
    for one, other in zip(fast, slow, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)
    assert abs(np.concatenate(fast).mean() - np.concatenate(slow).mean()) < 1e-6  # nats a token


def test_other_types_and_training_take_torch():
    model = model_of("gru")
    assert isinstance(model.train().decoder(prompts_of(2)), StatefulDecoder)
    assert isinstance(model.eval().half().decoder(prompts_of(2)), StatefulDecoder)
