import numpy as np
import pytest
import torch

from langue.nn.compiled import isa
from langue.nn.compiled.panels import (
    PIECE,
    ROWS,
    bfloat16,
    multiply,
    pack,
    padded,
    quantize,
    quantize_vector,
)

BYTES = np.int8 if isa.DOT == 128 else np.uint8  # without the instruction by plain arithmetic
RAISED = 0 if isa.DOT == 128 else 128
ROOMS = (np.int16, BYTES)


def products(matrix, scales, x, x_scales, inputs):
    """`(N, outputs)` of a packed matrix and vectors `(N, inputs)`."""
    outputs = len(scales)
    y = np.full((len(x), outputs), np.nan, np.float32)
    multiply(
        matrix, 0, outputs // ROWS, ROWS * inputs, inputs, scales, 0, x.reshape(-1), 0, inputs, x_scales,
        len(x), y.reshape(-1), 0, outputs,
    )  # fmt: skip
    return y


@pytest.mark.parametrize(("outputs", "inputs"), [(16, 16), (80, 272), (208, 1024)])
def test_float32_products_are_those_of_numpy_and_do_not_depend_on_the_vectors_beside(outputs, inputs):
    draw = np.random.default_rng(0)
    matrix = draw.normal(size=(outputs, inputs)).astype(np.float32)
    x, ones = draw.normal(size=(30, inputs)).astype(np.float32), np.ones(outputs, np.float32)
    every = products(pack(matrix), ones, x, np.ones(30, np.float32), inputs)
    np.testing.assert_allclose(every, x.astype(float) @ matrix.T.astype(float), atol=1e-6 * inputs)
    for count in range(1, 30):
        some = products(pack(matrix), ones, x[:count].copy(), np.ones(count, np.float32), inputs)
        np.testing.assert_array_equal(some, every[:count])


def test_products_of_bfloat16_are_bit_for_bit_those_of_the_rounded_weights_in_float32():
    draw = np.random.default_rng(4)
    matrix = draw.normal(size=(80, 272)).astype(np.float32)
    # Halfway between two: to the even one.
    matrix[:2] = np.float32(1) + np.float32(2**-8) * np.array([[1], [3]])
    rounded = torch.from_numpy(matrix).bfloat16()
    np.testing.assert_array_equal(bfloat16(matrix), rounded.view(torch.uint16).numpy())
    x, ones = draw.normal(size=(30, 272)).astype(np.float32), np.ones(80, np.float32)
    for count in (1, 2, 7, 30):
        given = (ones, x[:count].copy(), np.ones(count, np.float32), 272)
        expected = products(pack(rounded.float().numpy()), *given)
        np.testing.assert_array_equal(products(pack(bfloat16(matrix)), *given), expected)


def test_products_of_int8_are_exact_and_the_same_by_every_instruction():
    draw = np.random.default_rng(1)
    matrix, scales = quantize(draw.normal(size=(96, 2048)).astype(np.float32))
    matrix[0], matrix[1], extreme = 127, -127, np.full((1, 2048), 127)  # the largest sums there are
    x = np.concatenate([extreme, -extreme, draw.integers(-127, 128, size=(35, 2048))])
    x_scales = draw.uniform(0.1, 1, size=len(x)).astype(np.float32)
    sums = x @ matrix.T.astype(np.int64)
    assert np.abs(sums).max() == 2048 * 127**2
    expected = sums.astype(np.float32) * scales * x_scales[:, None]
    for room in ROOMS:
        given = (x + (RAISED if room is BYTES else 0)).astype(room)
        packed = pack(matrix, room)
        for count in (*range(1, 18), 37):
            some = products(packed, scales, given[:count], x_scales[:count], 2048)
            np.testing.assert_array_equal(some, expected[:count])


def test_bytes_of_a_vector_are_the_numbers_of_int16(compiled_quantize):
    draw = np.random.default_rng(5)
    for size in (16, 64, 208):
        x = (draw.normal(size=size) * draw.uniform(0.01, 100)).astype(np.float32)
        plain, one = np.empty(size, np.int16), np.empty(size, BYTES)
        assert compiled_quantize(x, plain) == compiled_quantize(x, one)
        np.testing.assert_array_equal(one.astype(np.int64) - RAISED, plain)


def test_what_is_multiplied_is_laid_out_for_the_instructions_that_code_is_compiled_for():
    assert pack(np.ones((16, 16), np.int8)).tolist() == pack(np.ones((16, 16), np.int8), isa.ROOM).tolist()
    counted = np.arange(256).reshape(16, 16).astype(np.int8)
    pairs, fours = pack(counted, np.int16), pack(counted, BYTES)
    assert pairs[:4].tolist() == [0, 1, 16, 17] and fours[:8].tolist() == [0, 1, 2, 3, 16, 17, 18, 19]
    assert (isa.DOT == 512) <= isa.WIDE and (isa.ROOM is np.int16) == (isa.DOT == 0)


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
