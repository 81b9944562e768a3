import numpy as np
import pytest

from langue.nn.compiled.panels import PIECE, ROWS, multiply, pack, padded, quantize, quantize_vector


def products(matrix, scales, x, x_scales, inputs):
    """`(N, outputs)` of a packed matrix and vectors `(N, inputs)`."""
    outputs = len(scales)
    y = np.full((len(x), outputs), np.nan, np.float32)
    multiply(
        matrix, 0, outputs // ROWS, ROWS * inputs, inputs, scales, 0, x.reshape(-1), 0, inputs, x_scales,
        len(x), y.reshape(-1), 0, outputs,
    )  # fmt: skip
    return y


@pytest.mark.parametrize(("outputs", "inputs"), [(16, 16), (80, 272), (144, 1024)])
def test_float32_products_are_those_of_numpy_and_do_not_depend_on_the_vectors_beside(outputs, inputs):
    draw = np.random.default_rng(0)
    matrix = draw.normal(size=(outputs, inputs)).astype(np.float32)
    x, ones = draw.normal(size=(13, inputs)).astype(np.float32), np.ones(outputs, np.float32)
    every = products(pack(matrix), ones, x, np.ones(13, np.float32), inputs)
    np.testing.assert_allclose(every, x.astype(float) @ matrix.T.astype(float), atol=1e-6 * inputs)
    for count in range(1, 13):
        some = products(pack(matrix), ones, x[:count].copy(), np.ones(count, np.float32), inputs)
        np.testing.assert_array_equal(some, every[:count])


def test_products_of_int8_are_exact():
    draw = np.random.default_rng(1)
    matrix, scales = quantize(draw.normal(size=(96, 2048)).astype(np.float32))
    matrix[0], extreme = 127, np.full((1, 2048), 127, np.int16)  # the largest sum there is
    x = np.concatenate([extreme, draw.integers(-127, 128, size=(6, 2048)).astype(np.int16)])
    x_scales = draw.uniform(0.1, 1, size=7).astype(np.float32)
    sums = x.astype(np.int64) @ matrix.T.astype(np.int64)
    expected = sums.astype(np.float32) * scales * x_scales[:, None]
    np.testing.assert_array_equal(products(pack(matrix), scales, x, x_scales, 2048), expected)


def test_rows_and_columns_are_padded_with_zeros():
    packed = pack(np.ones((3, 5), np.float32))
    assert packed.shape == (ROWS * PIECE,) and packed.sum() == 15
    assert padded(17, ROWS) == 32 and padded(16, ROWS) == 16


def test_quantized_numbers_are_within_half_a_step():
    matrix = np.random.default_rng(2).normal(size=(8, 33)).astype(np.float32)
    matrix[3] = 0.0
    q, scales = quantize(matrix)
    assert q.dtype == np.int8 and np.abs(q).max() == 127
    assert (np.abs(q * scales[:, None] - matrix) <= 0.5001 * scales[:, None]).all()


def test_a_vector_is_quantized_as_the_formula_says(compiled_quantize):
    x = np.random.default_rng(3).normal(size=100).astype(np.float32)
    for vector in (x, np.zeros(100, np.float32), np.r_[x[:99], np.float32(1e30)].astype(np.float32)):
        q = np.empty(100, np.int16)
        scale = compiled_quantize(vector, q)
        assert np.abs(q).max() <= 127
        assert (np.abs(q * np.float32(scale) - vector) <= 0.5001 * scale).all()
    kept = np.empty(100, np.float32)
    assert compiled_quantize(x, kept) == 1.0
    np.testing.assert_array_equal(kept, x)


@pytest.fixture
def compiled_quantize():
    from langue.base.compiled import njit

    @njit
    def call(x, q):
        return quantize_vector(x, q)

    return call
