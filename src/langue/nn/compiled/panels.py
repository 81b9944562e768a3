"""Products of a matrix and a few vectors, float32 or W8A8, by instructions on vectors.

A matrix is laid out in panels of 16 rows, so that it is read in one stream: the first number of each row,
then the second, … In int8 four of each, or two, as the processor multiplies and adds them in one instruction
(`isa.py`; numba itself widens int32 to int64, which none does). They are multiplied by one number of a
vector, or four or two, and added to the sums of all rows of the panel at once, for as many panels and vectors
as registers hold (`products.py`). Rows are padded with zeros to whole panels, columns to a multiple of 16.

A sum is made in one order, however many vectors there are: so the products of a vector do not depend on those
beside it. In float32 it is made of those of 256 products each, which is closer, and what is read stays in the
cache.

Weights of bfloat16 are multiplied as the float32 that they are the first half of.

W8A8: weights are int8 with a scale for each row, a vector is int8 with a scale of its own (largest magnitude
127), kept in the type that the instruction takes, and products are summed in int32, exactly. Letters: O
outputs, I inputs.
"""

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload
from numba.np.numpy_support import as_dtype

from langue.base.arrays import Array, Floats
from langue.base.compiled import njit
from langue.nn.compiled import isa
from langue.nn.compiled.numbers import FAST, largest_magnitude
from langue.nn.compiled.products import ROWS as ROWS
from langue.nn.compiled.products import products_of

CROWDED = isa.DOT == 256  # of 16 registers, products of bytes need some for the sums of rows
PIECE = 16  # columns are padded to a multiple of this
BLOCK = 256  # products of float32 that are one sum: of 16 rows 16 kB, half of a core's nearest cache
MOST = 6  # vectors at a time of one panel: their sums are 12 of the 16 registers of AVX2
ABREAST = 4  # panels at a time, of one vector: fewer sums would wait for one another
GROUP = ABREAST * ROWS
LARGEST = 127  # magnitude of a quantized number
WHOLE = np.int32(128)  # added and taken away again: what is cast is positive, so casting rounds down
HALF_UP = np.float32(128.5)


def padded(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple


def pack(matrix: Array, room: type[np.generic] = isa.ROOM) -> Array:
    """A matrix `(O, I)` of float32, bfloat16 or int8 in panels, flat.

    Args:
        room: of what int8 is multiplied by.
    """
    outputs, inputs = matrix.shape
    together = 1 if matrix.dtype != np.int8 else 4 if np.dtype(room).itemsize == 1 else 2
    whole = np.zeros((padded(outputs, ROWS), padded(inputs, PIECE)), matrix.dtype)
    whole[:outputs, :inputs] = matrix
    panels = whole.reshape(len(whole) // ROWS, ROWS, -1, together).swapaxes(1, 2)
    return np.ascontiguousarray(panels).reshape(-1)


def unpack(panels: Floats, outputs: int) -> Floats:
    """The matrix `(O, I)` of float32 panels, with the columns that they were padded with."""
    whole = panels.reshape(outputs // ROWS, -1, ROWS).swapaxes(1, 2)
    return whole.reshape(outputs, -1)


def bfloat16(matrix: Floats) -> Array:
    """A float32 matrix as the bits of bfloat16, rounded to the nearest, of two to the even one; uint16."""
    bits = matrix.view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def quantize(matrix: Array) -> tuple[Array, Array]:
    """A float32 matrix as int8, and the scale of each row."""
    scales = np.abs(matrix).max(1, initial=0.0) / np.float32(LARGEST)
    scales[scales == 0] = 1.0
    return np.rint(matrix / scales[:, None]).astype(np.int8), scales.astype(np.float32)


def quantize_vector(x: Array, q: Array) -> Any:
    """Put a vector into q; returns its scale. In float32 numbers stay what they are."""
    raise NotImplementedError  # numba takes the one of the type of q


@overload(quantize_vector, jit_options={"fastmath": FAST, "error_model": "numpy"})
def _quantize_vector(x, q):
    if q.dtype == types.float32:

        def copy(x, q):
            for i in range(len(x)):
                q[i] = x[i]
            return np.float32(1)

        return copy

    kind, raised = as_dtype(q.dtype).type, np.int32(0 if q.dtype == types.uint8 else 128)

    def to_int8(x, q):
        most = largest_magnitude(x)
        scale = most / np.float32(LARGEST) if most > 0 else np.float32(1)
        inverse = np.float32(1) / scale
        for i in range(len(x)):
            q[i] = kind(np.int32(np.int32(x[i] * inverse + HALF_UP) - raised))
        return scale

    return to_int8


_four_panels: Any = products_of(ABREAST, 1)
_two_panels: Any = products_of(2, 1)
_one: Any = products_of(1, 1)
_two: Any = products_of(1, 2)
_three: Any = products_of(1, 3)
_four: Any = products_of(1, 4)
_six: Any = products_of(1, MOST)
# Where there are 32 registers of 16 numbers: 8 sums at least, for one waits for the one before.
_two_by_four: Any = products_of(4, 2)
_three_by_four: Any = products_of(4, 3)
_four_by_four: Any = products_of(4, 4)
_six_by_two: Any = products_of(2, 6)
_eight_by_two: Any = products_of(2, 8)
_twelve_by_two: Any = products_of(2, 12)


@njit(linked=True)
def multiply(matrix, offset, panels, stride, inputs, scales, first_scale, x, x_offset, x_stride, x_scales,
             columns, y, y_offset, y_stride):  # fmt: skip
    """Products of panels of a matrix and of `columns` vectors.

    Callers write `np.int64(0)`: of a literal numba compiles it once more, which takes seconds.

    Args:
        matrix: flat; its panels begin at `offset` and every `stride` numbers.
        inputs: padded to a multiple of PIECE.
        scales: of rows, from `first_scale` on; x_scales: of vectors. Both are read of int8 alone.
        x: flat; vectors begin at `x_offset` and every `x_stride` numbers, padded with zeros.
        y: flat float32; the products of vector c go to y_offset + c * y_stride.
    """
    block = BLOCK if matrix.itemsize != 1 else inputs
    wide = isa.WIDE and x.itemsize != 2  # pairs of int16 are taken apart and put together in registers
    panel = 0
    while panel < panels:
        scale, to = first_scale + panel * ROWS, y_offset + panel * ROWS
        abreast = (wide or columns == 1) and panels - panel >= ABREAST
        for k in range(0, inputs, block):
            begin, at, size = offset + panel * stride + k * ROWS, x_offset + k, min(block, inputs - k)
            ahead = block * ROWS if inputs - k > block else (ABREAST if abreast else 1) * stride - k * ROWS
            if not abreast:
                _panel(matrix, begin, stride, x, at, x_stride, size, scales, scale, x_scales, columns, y, to,
                       y_stride, k > 0, ahead)  # fmt: skip
            elif CROWDED and x.itemsize == 1:
                for row in range(0, GROUP, 2 * ROWS):
                    _two_panels(matrix, begin + row // ROWS * stride, stride, x, at, x_stride, size, scales,
                                scale + row, x_scales, 0, y, to + row, y_stride, k > 0, ahead)  # fmt: skip
            elif wide:
                _panels_abreast(matrix, begin, stride, x, at, x_stride, size, scales, scale, x_scales,
                                columns, y, to, y_stride, k > 0, ahead)  # fmt: skip
            else:
                _four_panels(matrix, begin, stride, x, at, x_stride, size, scales, scale, x_scales, 0, y, to,
                             y_stride, k > 0, ahead)  # fmt: skip
        panel += ABREAST if abreast else 1


@njit
def _panel(matrix, begin, stride, x, x_offset, x_stride, size, scales, scale, x_scales, columns, y, y_offset,
           y_stride, more, ahead):  # fmt: skip
    """Products of one panel."""
    done = 0
    while done < columns:
        if done > 0:
            ahead = np.int64(0)  # what is read already
        at, to = x_offset + done * x_stride, y_offset + done * y_stride
        left = columns - done
        if (left == MOST or left > 8) and not (CROWDED and x.itemsize == 1):
            _six(matrix, begin, stride, x, at, x_stride, size, scales, scale, x_scales, done, y, to,
                 y_stride, more, ahead)  # fmt: skip
            done += MOST
        elif left >= 4 and (left != 5 or CROWDED):
            _four(matrix, begin, stride, x, at, x_stride, size, scales, scale, x_scales, done, y, to,
                  y_stride, more, ahead)  # fmt: skip
            done += 4
        elif left >= 3:
            _three(matrix, begin, stride, x, at, x_stride, size, scales, scale, x_scales, done, y, to,
                   y_stride, more, ahead)  # fmt: skip
            done += 3
        elif left == 2:
            _two(matrix, begin, stride, x, at, x_stride, size, scales, scale, x_scales, done, y, to,
                 y_stride, more, ahead)  # fmt: skip
            done += 2
        else:
            _one(matrix, begin, stride, x, at, x_stride, size, scales, scale, x_scales, done, y, to,
                 y_stride, more, ahead)  # fmt: skip
            done += 1


@njit
def _panels_abreast(matrix, begin, stride, x, x_offset, x_stride, size, scales, scale, x_scales, columns, y,
                    y_offset, y_stride, more, ahead):  # fmt: skip
    """Products of ABREAST panels, which the second cache holds: of as many as leave registers for sums."""
    done = 0
    while done < columns:
        if done > 0:
            ahead = np.int64(0)  # what is read already
        at, to = x_offset + done * x_stride, y_offset + done * y_stride
        left = columns - done
        if left >= 6:
            several = 12 if left == 12 or left > 16 else 8 if left >= 8 else 6
            for row in range(0, GROUP, 2 * ROWS):
                first, own, put = begin + row // ROWS * stride, scale + row, to + row
                if several == 12:
                    _twelve_by_two(matrix, first, stride, x, at, x_stride, size, scales, own, x_scales, done,
                                   y, put, y_stride, more, ahead)  # fmt: skip
                elif several == 8:
                    _eight_by_two(matrix, first, stride, x, at, x_stride, size, scales, own, x_scales, done,
                                  y, put, y_stride, more, ahead)  # fmt: skip
                else:
                    _six_by_two(matrix, first, stride, x, at, x_stride, size, scales, own, x_scales, done,
                                y, put, y_stride, more, ahead)  # fmt: skip
            done += several
        elif left >= 4:
            _four_by_four(matrix, begin, stride, x, at, x_stride, size, scales, scale, x_scales, done, y, to,
                          y_stride, more, ahead)  # fmt: skip
            done += 4
        elif left == 3:
            _three_by_four(matrix, begin, stride, x, at, x_stride, size, scales, scale, x_scales, done, y, to,
                           y_stride, more, ahead)  # fmt: skip
            done += 3
        elif left == 2:
            _two_by_four(matrix, begin, stride, x, at, x_stride, size, scales, scale, x_scales, done, y, to,
                         y_stride, more, ahead)  # fmt: skip
            done += 2
        else:
            _four_panels(matrix, begin, stride, x, at, x_stride, size, scales, scale, x_scales, done, y, to,
                         y_stride, more, ahead)  # fmt: skip
            done += 1
