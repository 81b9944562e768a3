"""The compiled step of the feed-forward model against torch: shapes, batches, int8, scoring."""

import numpy as np
import pytest

from langue.models.networks import nplm
from langue.models.networks.config import NPLMConfig
from langue.protocols import Quantizable, Vocabulary

V = 90
SHAPES = {"plain": (4, 10, 30, False), "direct": (3, 24, 40, True), "bigram": (2, 7, 16, True)}


def model_of(shape):
    order, width, hidden, direct = SHAPES[shape]
    config = NPLMConfig(order=order, width=width, hidden=hidden, direct=direct)
    return nplm.build(config, Vocabulary(V, 0), seed=1).eval()


def prompts_of(*lengths):
    draw = np.random.default_rng(3)
    return [draw.integers(1, V, size=length) for length in lengths]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_says_what_torch_says_and_a_row_what_it_says_alone(shape):
    model = model_of(shape)
    prompts = prompts_of(0, 1, 2, 9, 30, 4, 5, 6)
    decoder = model.decoder(prompts)
    for _ in range(5):
        log_probs = decoder.log_probs()
        np.testing.assert_allclose(log_probs, model.distributions(decoder.state), atol=1e-5)
        alone = [model.decoder([prompt]).log_probs()[0] for prompt in prompts]
        np.testing.assert_array_equal(log_probs, alone)
        ids = log_probs.argmax(1)[:, None]
        decoder.extend(ids)
        prompts = [np.r_[prompt, id] for prompt, id in zip(prompts, ids, strict=True)]
    assert np.ptp(log_probs) > 1.5  # far from uniform


@pytest.mark.parametrize("shape", SHAPES)
def test_int8_is_near_to_float32_and_scores_what_it_says(shape):
    model = model_of(shape)
    texts = prompts_of(10, 0, 1, 40)
    whole, scored = model.decoder(texts).log_probs(), model.log_probs(texts)
    assert isinstance(model, Quantizable)
    model.read_in("int8")
    coarse = model.decoder(texts).log_probs()
    assert 1e-5 < np.abs(np.exp(coarse) - np.exp(whole)).max() < 0.05
    for text, scores, float32 in zip(texts, model.log_probs(texts), scored, strict=True):
        np.testing.assert_allclose(scores, float32, atol=0.2)
        said = [model.decoder([text[:end]]).log_probs()[0, id] for end, id in enumerate(text)]
        np.testing.assert_allclose(scores, said, atol=1e-5)
