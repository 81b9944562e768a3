import numpy as np
import torch
import torch.nn.functional as F

from langue.nn.compiled.numbers import exp, largest, largest_magnitude, log, sigmoid, tanh
from langue.nn.compiled.rows import GELU, RELU2, SWIGLU, activate, exponentiate, log_softmax, normalize


def test_functions_of_one_number_are_those_of_the_library():
    for x in (*np.linspace(-80, 80, 201), 0.0, -0.3):
        x = np.float32(x)
        assert abs(exp(x) - np.exp(np.float64(x))) <= 3e-7 * np.exp(np.float64(x)) + 1e-37
        assert abs(sigmoid(x) - 1 / (1 + np.exp(-np.float64(x)))) < 3e-7
        assert abs(tanh(x) - np.tanh(np.float64(x))) < 3e-7
    for x in (*np.geomspace(1e-30, 1e30, 201), 1.0, 0.9999999, 2.0, 2**0.5, 0.5**0.5):
        x = np.float32(x)
        assert abs(log(x) - np.log(np.float64(x))) <= 2e-7 * max(1, abs(np.log(np.float64(x))))
    assert exp(np.float32(-np.inf)) == exp(np.float32(-1e4)) == 0.0


def test_the_largest_number_is_that_of_numpy():
    draw = np.random.default_rng(0)
    for size in (1, 2, 15, 64, 4099):
        x = (draw.normal(size=size) * 10.0 ** draw.integers(-30, 30)).astype(np.float32)
        for some in (
            x,
            -np.abs(x),
            np.abs(x),
            np.where(draw.random(size) < 0.5, -np.inf, x).astype(np.float32),
        ):
            assert largest(some) == some.max() and largest_magnitude(some) == np.abs(some).max()
    assert largest(np.full(20, -np.inf, np.float32)) == -np.inf
    assert largest(np.array([-0.0, 0.0, -1.0], np.float32)) == 0
    assert largest_magnitude(np.empty(0, np.float32)) == 0


def test_norms_and_activations_are_those_of_torch():
    draw = torch.Generator().manual_seed(0)
    x, gain, bias, other = (torch.randn(100, generator=draw) for _ in range(4))
    y = np.empty(100, np.float32)
    normalize(x.numpy(), gain.numpy(), bias.numpy(), False, np.float32(1e-5), y)
    np.testing.assert_allclose(y, F.layer_norm(x, (100,), gain, bias, 1e-5), atol=1e-5)
    normalize(x.numpy(), gain.numpy(), np.zeros(100, np.float32), True, np.float32(1e-6), y)
    np.testing.assert_allclose(y, F.rms_norm(x, (100,), gain, 1e-6), atol=1e-5)
    for kind, expected in (
        (GELU, F.gelu(x, approximate="tanh")),
        (RELU2, F.relu(x).square()),
        (SWIGLU, F.silu(x) * other),
    ):
        activate(x.numpy(), other.numpy(), kind, y)
        np.testing.assert_allclose(y, expected, atol=1e-6)


def test_softmax_of_large_and_of_impossible_scores():
    x = np.array([1e4, 1e4 - 1, -np.inf, -1e4], np.float32)
    y = x.copy()
    log_softmax(y)
    np.testing.assert_allclose(y, F.log_softmax(torch.from_numpy(x), -1), atol=2e-3)
    y = np.arange(8, dtype=np.float32)
    total = exponentiate(y, 3)
    np.testing.assert_allclose(y[:3] / total, F.softmax(torch.arange(3.0), -1), atol=1e-6)
    assert (y[3:] == 0).all()
