"""The compiled step of encoder–decoders against torch: parts and pairs, post- and pre-layer norm, in int8."""

import numpy as np
import pytest
import torch
from tests.nn.compiled.decoders import check_drawn_as_chosen, check_rows_alone_and_together

from langue.models.networks import bert2bert, transformer
from langue.models.networks.bert2bert import Bert2BertConfig
from langue.models.networks.config import TransformerConfig
from langue.nn.compiled.parts import CompiledParts
from langue.nn.parts_decoder import PartsDecoder
from langue.protocols import Vocabulary
from langue.protocols.drawing import Draws

V, SEP = 90, 89
SHAPE = {"layers": 2, "width": 60, "heads": 3, "context": 20}
FAMILIES = {
    "post": (transformer, TransformerConfig, {}),
    "pre": (transformer, TransformerConfig, {"norm": "pre"}),
    "bert2bert": (bert2bert, Bert2BertConfig, {"d_ff": 100}),
}


def model_of(name, *, pairs=False, **others):
    """A model with weights that make its distributions narrow."""
    family, config, settings = FAMILIES[name]
    vocabulary = Vocabulary(V, 0, [b"", *(bytes([33 + id]) for id in range(1, V))], SEP if pairs else None)
    model = family.build(config(**(SHAPE | settings | others)), vocabulary, seed=1).eval()
    draw = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            spread = 0.2 if name == "bert2bert" else 0.1
            parameter += torch.randn(parameter.shape, generator=draw) * spread
    return model


def prompts_of(*lengths):
    draw = np.random.default_rng(3)
    return [draw.integers(1, SEP, size=length) for length in lengths]


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_says_what_torch_says_from_part_to_part(name, pairs):
    model = model_of(name, pairs=pairs)
    prompts = prompts_of(0, 1, 7, 19, 20, 45)
    if pairs:
        prompts = [*prompts[:3], *(np.r_[prompt[:-3], SEP, prompt[-3:]] for prompt in prompts[3:])]
    fast, slow = model.decoder(prompts), PartsDecoder(model, prompts)
    assert isinstance(fast, CompiledParts)
    assert slow.log_probs().max() > np.log(10 / V)  # far from uniform
    for step in range(70 if pairs else 25):  # beyond the room that there is at first
        np.testing.assert_allclose(fast.log_probs(), slow.log_probs(), atol=1e-4)
        ids = slow.log_probs().argmax(1)[:, None]
        if pairs and step == 4:
            ids[1] = SEP
        fast.extend(ids)
        slow.extend(ids)


@pytest.mark.parametrize("quantize", [None, "int8"])
@pytest.mark.parametrize("name", FAMILIES)
def test_a_row_has_the_same_bits_alone_in_a_batch_and_read_at_once(name, quantize):
    model = model_of(name)
    model.quantize = quantize
    prompts = prompts_of(3, 0, 22, 19, 40)
    check_rows_alone_and_together(model, prompts, steps=6)


@pytest.mark.parametrize("quantize", [None, "int8"])
@pytest.mark.parametrize("name", FAMILIES)
def test_tokens_drawn_in_one_call_are_those_chosen_one_by_one(name, quantize):
    model = model_of(name)
    model.quantize = quantize
    check_drawn_as_chosen(model, prompts_of(0, 1, 2, 9, 11, 3))
    check_drawn_as_chosen(model, prompts_of(3, 20, 41, 19), calls=9)  # from part to part
    pairs = model_of(name, pairs=True)
    pairs.quantize = quantize
    source = prompts_of(30)[0]
    prompts = [np.r_[source[:length], SEP, source[: length % 3]] for length in (5, 30, 1, 18, 2, 4)]
    check_drawn_as_chosen(pairs, prompts, calls=12)  # beyond the room that there is at first


def test_so_many_tokens_are_drawn_in_one_call_as_are_left_of_a_part():
    model = model_of("post")
    for read, left in ((0, 19), (1, 18), (18, 1), (19, 0), (20, 19), (30, 9)):  # behind `<eos>`
        assert model.decoder(prompts_of(read)).most() == 1 + left
        assert model.decoder(prompts_of(read, 12)).most() == 1 + min(left, 7)
    pairs = model_of("post", pairs=True)
    source = prompts_of(40)[0]
    for prompt in (np.r_[source, SEP], np.r_[source, SEP, 4, SEP, 5]):
        assert pairs.decoder([prompt]).most() > 1000
        assert pairs.decoder([prompt, source]).most() == 1  # what is drawn may end the source


def test_a_separator_that_is_drawn_begins_the_target():
    model = model_of("bert2bert", pairs=True)
    with torch.no_grad():
        model.prediction.bias[SEP] += 4
    prompts = prompts_of(2, 5, 3)
    check_drawn_as_chosen(model, prompts, calls=12)
    decoder, draw, most = model.decoder(prompts), np.random.default_rng(7), []
    leads, none, plain = np.zeros((1, V), np.uint8), np.zeros(3, np.int64), np.array([[1.0, 0, 1, 0]] * 3)
    for _ in range(12):
        most.append(decoder.most())
        numbers = draw.random((3, min(most[-1], 5)))
        decoder.draw(Draws(numbers, none + numbers.shape[1], plain, leads, none, none - 1))
    assert most[0] == 1 and most[-1] > 1000  # all three have ended their sources
    whole = PartsDecoder(model, [ids[1:] for ids in decoder.ids])
    np.testing.assert_allclose(decoder.log_probs(), whole.log_probs(), atol=1e-4)


@pytest.mark.parametrize("quantize", [None, "int8"])
def test_helpers_change_no_bit_of_what_is_drawn(monkeypatch, quantize):
    drawn = []
    for threads in (1, 2, 3):
        monkeypatch.setenv("LANGUE_THREADS", str(threads))
        model = model_of("bert2bert", d_ff=8400)  # whose MLP has shares for two
        model.quantize = quantize
        assert (model.compiled().crew.state[0] > 0) == (threads > 1)
        decoder = model.decoder(prompts_of(2, 21, 0, 7))
        numbers, leads = np.random.default_rng(1).random((4, 12)), np.zeros((1, V), np.uint8)
        plain, none = np.array([[1.0, 0, 1, 0]] * 4), np.zeros(4, np.int64)
        ids, log_probs = decoder.draw(Draws(numbers, none + 12, plain, leads, none, none - 1))
        drawn.append((np.array(ids), np.array(log_probs), decoder.log_probs()))
    for some in drawn[1:]:
        for one, other in zip(some, drawn[0], strict=True):
            np.testing.assert_array_equal(one, other)


def test_rows_come_and_go_and_take_back_what_they_read():
    model = model_of("bert2bert", pairs=True)
    source = np.r_[prompts_of(8)[0], SEP]
    decoder = model.decoder([*prompts_of(3), np.r_[source, 4, 5], source])
    decoder.select([2, 1, 2])
    decoder.extend([np.array([5, 6]), np.array([7]), np.array([8, SEP, 10])])
    decoder.truncate([1, 2, 5])  # of the last a part of the source as well
    decoder.add([np.r_[source[:3], SEP, 1]])
    decoder.extend(np.full((4, 1), 4))
    texts = [np.r_[source, 5], np.r_[source, 4], source[:-2], np.r_[source[:3], SEP, 1]]
    expected = model.decoder([np.r_[text, 4] for text in texts]).log_probs()
    np.testing.assert_array_equal(decoder.log_probs(), expected)


@pytest.mark.parametrize("pairs", [False, True])
def test_int8_is_near_to_float32_and_scores_what_it_writes(pairs):
    model = model_of("pre", pairs=pairs)
    prompts = [prompt if not pairs else np.r_[prompt, SEP, prompt[:3]] for prompt in prompts_of(10, 25)]
    whole, scores = model.decoder(prompts).log_probs(), model.log_probs(prompts)
    assert model.read_in("int8")
    coarse = model.decoder(prompts).log_probs()
    assert 1e-4 < np.abs(np.exp(coarse) - np.exp(whole)).max() < 0.1
    for ids, before, after in zip(prompts, scores, model.log_probs(prompts), strict=True):
        assert np.abs(before - after).max() < 1.0 and np.abs(before - after).mean() < 0.1
        written = model.decoder([ids[:-1]]).log_probs()[0, ids[-1]]
        np.testing.assert_allclose(after[-1], written, atol=1e-5)


def test_a_model_that_copies_is_read_by_torch():
    config = TransformerConfig(**SHAPE, copy_attention=True)
    model = transformer.build(config, Vocabulary(V, 0, sep=SEP), seed=1).eval()
    assert not model.read_in("int8")
    assert type(model.decoder([[1]])) is PartsDecoder


def test_a_separator_that_was_taken_back_begins_no_part():
    model = model_of("post", pairs=True)
    source = prompts_of(6)[0]
    decoder = model.decoder([np.r_[source, SEP, 4, 5]])
    decoder.truncate([4])
    decoder.extend([np.array([7, 8, 9, 10, 11])])
    read = np.r_[source[:-1], 7, 8, 9, 10, 11]
    np.testing.assert_array_equal(decoder.log_probs(), model.decoder([read]).log_probs())
    np.testing.assert_allclose(decoder.log_probs(), PartsDecoder(model, [read]).log_probs(), atol=1e-4)
