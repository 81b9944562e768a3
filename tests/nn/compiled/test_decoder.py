"""The compiled step against torch: of every shape, in batches, prompts, beyond the window, in int8."""

import numpy as np
import pytest
import torch
from tests.nn.compiled.decoders import check_drawn_as_chosen, check_rows_alone_and_together

from langue.models.networks import gpt2
from langue.models.networks.config import GPT2Config
from langue.nn.compiled.decoder import CompiledDecoder
from langue.nn.windowed_decoder import WindowedDecoder
from langue.protocols import Vocabulary

V = 90
SHAPE = {"layers": 2, "width": 60, "heads": 3, "context": 24}
QWEN3 = {
    "position": "rotary", "norm": "rms", "activation": "swiglu", "qk_norm": True, "bias": False,
    "norm_eps": 1e-6, "d_ff": 52,
}  # fmt: skip
OPTIONS = {
    "gpt2": {},
    "rotary": {"position": "rotary", "rope_theta": 500.0},
    "rms-relu2": {"norm": "rms", "activation": "relu2"},
    "swiglu-untied": {"activation": "swiglu", "tied": False},
    "no-bias": {"bias": False, "norm_eps": 0.1},
    "grouped": {"key_value_heads": 1, "qk_norm": True},
    "qwen3": QWEN3,
}


def model_of(**settings):
    """A model with weights that make its distributions narrow."""
    model = gpt2.build(GPT2Config(**(SHAPE | settings)), Vocabulary(V, 0), seed=1).eval()
    draw = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            spread = 0.2 if parameter.ndim == 1 else 0.15
            parameter += torch.randn(parameter.shape, generator=draw) * spread
    return model


def plain(model, prompts):
    return WindowedDecoder(model, prompts)


def prompts_of(*lengths):
    draw = np.random.default_rng(3)
    return [draw.integers(1, V, size=length) for length in lengths]


@pytest.mark.parametrize("options", OPTIONS)
def test_every_shape_says_what_torch_says_beyond_the_window_too(options):
    model = model_of(**OPTIONS[options])
    prompts = prompts_of(0, 1, 7, 23, 24, 60)
    fast, slow = model.decoder(prompts), plain(model, prompts)
    assert isinstance(fast, CompiledDecoder)
    assert slow.log_probs().max() > np.log(10 / V)  # far from uniform
    for _ in range(30):
        np.testing.assert_allclose(fast.log_probs(), slow.log_probs(), atol=1e-4)
        ids = slow.log_probs().argmax(1)[:, None]
        fast.extend(ids)
        slow.extend(ids)


@pytest.mark.parametrize("quantize", [None, "int8"])
@pytest.mark.parametrize("options", ["gpt2", "qwen3"])
def test_a_row_has_the_same_bits_alone_in_a_batch_and_read_at_once(options, quantize):
    model = model_of(**OPTIONS[options])
    model.quantize = quantize
    prompts = prompts_of(3, 0, 22, 9, 24, 5, 40, 13)
    check_rows_alone_and_together(model, prompts, steps=8)


@pytest.mark.parametrize("quantize", [None, "int8"])
@pytest.mark.parametrize("options", ["gpt2", "qwen3"])
def test_tokens_drawn_in_one_call_are_those_chosen_one_by_one(options, quantize):
    model = model_of(**OPTIONS[options])
    model.quantize = quantize
    check_drawn_as_chosen(model, prompts_of(0, 1, 2, 9, 12, 3))
    check_drawn_as_chosen(model, prompts_of(3, 20, 70), calls=9)  # windows move on


def test_rows_come_and_go_and_take_back_what_they_read():
    model = model_of(**QWEN3)
    prompts = prompts_of(3, 30, 8)
    decoder = model.decoder(prompts)
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
    np.testing.assert_allclose(expected, plain(model, [[*text, 4] for text in texts]).log_probs(), atol=1e-4)


@pytest.mark.parametrize("options", ["gpt2", "qwen3"])
def test_int8_is_near_to_float32(options):
    model = model_of(**OPTIONS[options])
    prompts = prompts_of(10, 20, 30)
    whole = model.decoder(prompts).log_probs()
    model.quantize = "int8"
    coarse = model.decoder(prompts).log_probs()
    assert 1e-4 < np.abs(np.exp(coarse) - np.exp(whole)).max() < 0.1
    np.testing.assert_allclose(np.exp(coarse).sum(1), 1, atol=1e-5)


def test_changed_weights_are_laid_out_anew():
    model = model_of()
    before = model.decoder(prompts_of(5)).log_probs()
    with torch.no_grad():
        model.h[0].mlp.c_fc.weight *= 1.5
    after = model.decoder(prompts_of(5)).log_probs()
    assert not np.allclose(before, after)
    np.testing.assert_allclose(after, plain(model, prompts_of(5)).log_probs(), atol=1e-4)


def test_other_types_and_training_take_torch():
    model = model_of()
    assert isinstance(model.train().decoder(prompts_of(2)), WindowedDecoder)
    assert isinstance(model.eval().half().decoder(prompts_of(2)), WindowedDecoder)


def test_what_was_returned_stays():
    decoder = model_of().decoder(prompts_of(4, 5))
    before = decoder.log_probs()
    kept = before.copy()
    decoder.extend(np.array([[1], [2]]))
    np.testing.assert_array_equal(before, kept)


def test_what_ends_leaves_its_room_to_others_and_nothing_is_copied(monkeypatch):
    model = model_of()
    one, two, three, four = prompts_of(3, 9, 5, 7)
    decoder = model.decoder([one, two, three])
    monkeypatch.setattr(decoder.cache, "copy", lambda leave, enter: pytest.fail("a row is copied"))
    decoder.select([1, 2])
    decoder.add([four])
    assert sorted(decoder.cache.slots) == [0, 1, 2]
    decoder.select([2, 0])
    decoder.extend(np.array([[4], [5]]))
    expected = model.decoder([np.append(four, 4), np.append(two, 5)]).log_probs()
    np.testing.assert_array_equal(decoder.log_probs(), expected)
