"""Products of a matrix and a few vectors, float32 or W8A8, by instructions on vectors.

A matrix is laid out in panels of 16 rows, so that it is read in one stream: the first number of each row,
then the second, … In int8 two of each, which processors multiply and add in pairs (`vpmaddwd`; numba itself
widens int32 to int64, which they don't). They are multiplied by one number of a vector, or a pair, and added
to the sums of all rows of the panel at once, for as many vectors as registers hold. Rows are padded with
zeros to whole panels, columns to a multiple of 16.

A sum is made in one order, however many vectors there are: so the products of a vector do not depend on those
beside it. In float32 it is made of those of 256 products each, which is closer, and what is read stays in the
cache.

W8A8: weights are int8 with a scale for each row, a vector is int8 with a scale of its own (largest magnitude
127), kept as int16, and products are summed in int32, exactly. Letters: O outputs, I inputs.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from langue.base.arrays import Array
from langue.base.compiled import njit

ROWS = 16  # of a panel
PIECE = 16  # columns are padded to a multiple of this
BLOCK = 256  # products of float32 that are one sum: of 16 rows 16 kB, half of a core's nearest cache
MOST = 6  # vectors at a time: their sums, 16 rows each, are 12 of the 16 registers of AVX2
ABREAST = 4  # panels at a time, of one vector: fewer sums would wait for one another
UNROLLED = 4  # steps of a loop
LARGEST = 127  # magnitude of a quantized number
WHOLE = np.int32(128)  # added and taken away again: what is cast is positive, so casting rounds down
HALF_UP = np.float32(128.5)

# Of arithmetic between products: sums in any order. Weights are finite; infinities stay what they are.
FAST = {"nnan", "reassoc", "contract", "arcp", "nsz", "afn"}


def padded(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple


def pack(matrix: Array) -> Array:
    """A matrix `(O, I)` of float32 or int8 in panels, flat."""
    outputs, inputs = matrix.shape
    together = 1 if matrix.dtype == np.float32 else 2
    whole = np.zeros((padded(outputs, ROWS), padded(inputs, PIECE)), matrix.dtype)
    whole[:outputs, :inputs] = matrix
    panels = whole.reshape(len(whole) // ROWS, ROWS, -1, together).swapaxes(1, 2)
    return np.ascontiguousarray(panels).reshape(-1)


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

    def to_int8(x, q):
        most = np.float32(0)
        for i in range(len(x)):
            most = max(most, abs(x[i]))
        scale = most / np.float32(LARGEST) if most > 0 else np.float32(1)
        inverse = np.float32(1) / scale
        for i in range(len(x)):
            q[i] = np.int16(np.int32(np.int32(x[i] * inverse + HALF_UP) - WHOLE))
        return scale

    return to_int8


def _products(panels: int, columns: int) -> Any:
    """The intrinsic that multiplies some panels and some vectors.

    Its arguments: the matrix; where the first panel begins, and from one to the next; the vectors, where they
    begin, and from one to the next; padded inputs; the scales of the rows, where they begin; the scales of
    the vectors, where they begin; where the products are put, and from those of one vector to the next;
    whether they are added to what stands there, of float32 alone.
    """

    @intrinsic
    def products(
        context: Any,
        matrix: Any,
        offset: Any,
        stride: Any,
        x: Any,
        x_offset: Any,
        x_stride: Any,
        inputs: Any,
        scales: Any,
        first_scale: Any,
        x_scales: Any,
        first_x_scale: Any,
        y: Any,
        y_offset: Any,
        y_stride: Any,
        more: Any,
    ) -> Any:
        index = types.int64
        given = (
            matrix, index, index, x, index, index, index, scales, index, x_scales, index, y, index, index,
            types.boolean,
        )  # fmt: skip

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            _, offset, stride, _, x_offset, x_stride, inputs, _, scale, _, x_scale, _, to, y_stride, more = (
                arguments
            )
            data = {
                name: context.make_array(signature.args[at])(context, builder, arguments[at]).data
                for name, at in (("matrix", 0), ("x", 3), ("scales", 7), ("x_scales", 9), ("y", 11))
            }
            whole = signature.args[0].dtype == types.float32
            offsets = [_times(builder, offset, stride, panel) for panel in range(panels)]
            begins = [_times(builder, x_offset, x_stride, column) for column in range(columns)]
            loop = _float_sums if whole else _int8_sums
            sums = loop(builder, data["matrix"], offsets, data["x"], begins, inputs)
            for column in range(columns):
                first = _times(builder, to, y_stride, column)
                by_vector = None
                if not whole:
                    spot = builder.add(x_scale, ir.Constant(x_scale.type, column))
                    by_vector = _spread(builder, builder.load(builder.gep(data["x_scales"], [spot])), ROWS)
                for panel in range(panels):
                    row = ir.Constant(first.type, panel * ROWS)
                    kind = ir.VectorType(ir.FloatType(), ROWS)
                    pointer = builder.gep(data["y"], [builder.add(first, row)])
                    pointer = builder.bitcast(pointer, kind.as_pointer())
                    total = sums[column * panels + panel]
                    if whole:
                        grown = builder.fadd(builder.load(pointer, align=4), total)
                        total = builder.select(more, grown, total)
                    else:
                        by_row = _load(builder, data["scales"], builder.add(scale, row), ir.FloatType(), ROWS)
                        total = builder.fmul(builder.sitofp(total, kind), by_row)
                        total = builder.fmul(total, by_vector)
                    builder.store(total, pointer, align=4)
            return context.get_dummy_value()

        return types.void(*given), generate

    return products


def _times(builder: Any, begin: Any, stride: Any, count: int) -> Any:
    return builder.add(begin, builder.mul(stride, ir.Constant(stride.type, count)))


def _spread(builder: Any, number: Any, count: int) -> Any:
    """A vector of one number."""
    kind = ir.VectorType(number.type, count)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), count), [0] * count))


def _load(builder: Any, data: Any, index: Any, number: Any, count: int) -> Any:
    """Numbers of an array from an index on, as a vector."""
    kind = ir.VectorType(number, count)
    pointer = builder.bitcast(builder.gep(data, [index]), kind.as_pointer())
    return builder.load(pointer, align=number.width // 8 if isinstance(number, ir.IntType) else 4)


def _loop(builder: Any, inputs: Any, step: int, sums: list[Any], add: Any) -> list[Any]:
    """Code that adds to sums, every `step` inputs; there are some."""
    before, integer = builder.block, inputs.type
    body = builder.append_basic_block("products")
    after = builder.append_basic_block("summed")
    builder.branch(body)
    builder.position_at_end(body)
    at = builder.phi(integer)
    at.add_incoming(ir.Constant(integer, 0), before)
    phis = [builder.phi(zero.type) for zero in sums]
    for phi, zero in zip(phis, sums, strict=True):
        phi.add_incoming(zero, before)
    grown: list[Any] = phis
    for number in range(UNROLLED):
        grown = add(builder.add(at, ir.Constant(integer, number * step)), grown)
    following = builder.add(at, ir.Constant(integer, UNROLLED * step))
    at.add_incoming(following, body)
    for phi, value in zip(phis, grown, strict=True):
        phi.add_incoming(value, body)
    builder.cbranch(builder.icmp_signed("<", following, inputs), body, after)
    builder.position_at_end(after)
    return grown


def _float_sums(
    builder: Any, matrix: Any, offsets: list[Any], x: Any, begins: list[Any], inputs: Any
) -> list[Any]:
    """Sums of each vector, and of it of each panel, `(ROWS,)`."""
    number = ir.FloatType()
    vector = ir.VectorType(number, ROWS)
    name, form = f"llvm.fmuladd.v{ROWS}f32", ir.FunctionType(vector, [vector] * 3)
    multiply_add = builder.module.globals.get(name) or ir.Function(builder.module, form, name)

    def add(at: Any, sums: list[Any]) -> list[Any]:
        begin = builder.mul(at, ir.Constant(at.type, ROWS))
        weights = [_load(builder, matrix, builder.add(offset, begin), number, ROWS) for offset in offsets]
        grown = []
        for column, first in enumerate(begins):
            pointer = builder.gep(x, [builder.add(first, at)])
            values = _spread(builder, builder.load(pointer, align=4), ROWS)
            for panel, numbers in enumerate(weights):
                grown.append(
                    builder.call(multiply_add, [numbers, values, sums[column * len(offsets) + panel]])
                )
        return grown

    zeros = ir.Constant(vector, [0.0] * ROWS)
    return _loop(builder, inputs, 1, [zeros] * (len(offsets) * len(begins)), add)


def _int8_sums(
    builder: Any, matrix: Any, offsets: list[Any], x: Any, begins: list[Any], inputs: Any
) -> list[Any]:
    """The same of int8 and int16, in int32: halves of a panel, of pairs of numbers."""
    half = ROWS // 2
    wide = ir.VectorType(ir.IntType(32), ROWS)
    vector = ir.VectorType(ir.IntType(32), half)
    even, odd = (
        ir.Constant(wide_index, list(range(first, ROWS, 2)))
        for first, wide_index in ((0, vector), (1, vector))
    )

    def add(at: Any, sums: list[Any]) -> list[Any]:
        begin = builder.mul(at, ir.Constant(at.type, ROWS))
        weights = []
        for offset in offsets:
            for part in (0, ROWS):
                index = builder.add(builder.add(offset, begin), ir.Constant(at.type, part))
                weights.append(builder.sext(_load(builder, matrix, index, ir.IntType(8), ROWS), wide))
        grown = []
        for column, first in enumerate(begins):
            pointer = builder.gep(x, [builder.add(first, at)])
            pair = builder.load(builder.bitcast(pointer, ir.IntType(32).as_pointer()), align=2)
            pairs = builder.bitcast(_spread(builder, pair, half), ir.VectorType(ir.IntType(16), ROWS))
            values = builder.sext(pairs, wide)
            for part, numbers in enumerate(weights):
                product = builder.mul(numbers, values, flags=["nsw"])
                both = builder.add(
                    builder.shuffle_vector(product, product, even),
                    builder.shuffle_vector(product, product, odd),
                )
                grown.append(builder.add(sums[column * len(weights) + part], both))
        return grown

    zeros = ir.Constant(vector, [0] * half)
    halves = _loop(builder, inputs, 2, [zeros] * (2 * len(offsets) * len(begins)), add)
    whole = ir.Constant(wide, list(range(ROWS)))
    return [
        builder.shuffle_vector(low, high, whole) for low, high in zip(halves[::2], halves[1::2], strict=True)
    ]


_four_panels: Any = _products(ABREAST, 1)
_one: Any = _products(1, 1)
_two: Any = _products(1, 2)
_three: Any = _products(1, 3)
_four: Any = _products(1, 4)
_six: Any = _products(1, MOST)


@njit
def multiply(matrix, offset, panels, stride, inputs, scales, first_scale, x, x_offset, x_stride, x_scales,
             columns, y, y_offset, y_stride):  # fmt: skip
    """Products of panels of a matrix and of `columns` vectors.

    Args:
        matrix: flat; its panels begin at `offset` and every `stride` numbers.
        inputs: padded to a multiple of PIECE.
        scales: of rows, from `first_scale` on; x_scales: of vectors. Both are read of int8 alone.
        x: flat; vectors begin at `x_offset` and every `x_stride` numbers, padded with zeros.
        y: flat float32; the products of vector c go to y_offset + c * y_stride.
    """
    block = BLOCK if matrix.itemsize == 4 else inputs
    panel = 0
    while columns == 1 and panels - panel >= ABREAST:
        for k in range(0, inputs, block):
            _four_panels(matrix, offset + panel * stride + k * ROWS, stride, x, x_offset + k, x_stride,
                         min(block, inputs - k), scales, first_scale + panel * ROWS, x_scales, 0,
                         y, y_offset + panel * ROWS, y_stride, k > 0)  # fmt: skip
        panel += ABREAST
    while panel < panels:
        scale = first_scale + panel * ROWS
        for k in range(0, inputs, block):
            begin, size = offset + panel * stride + k * ROWS, min(block, inputs - k)
            done = 0
            while done < columns:
                at, to = x_offset + done * x_stride + k, y_offset + done * y_stride + panel * ROWS
                left = columns - done
                if left == MOST or left > 8:
                    _six(matrix, begin, stride, x, at, x_stride, size, scales, scale, x_scales, done, y, to,
                         y_stride, k > 0)  # fmt: skip
                    done += MOST
                elif left >= 4 and left != 5:
                    _four(matrix, begin, stride, x, at, x_stride, size, scales, scale, x_scales, done, y, to,
                          y_stride, k > 0)  # fmt: skip
                    done += 4
                elif left >= 3:
                    _three(matrix, begin, stride, x, at, x_stride, size, scales, scale, x_scales, done, y, to,
                           y_stride, k > 0)  # fmt: skip
                    done += 3
                elif left == 2:
                    _two(matrix, begin, stride, x, at, x_stride, size, scales, scale, x_scales, done, y, to,
                         y_stride, k > 0)  # fmt: skip
                    done += 2
                else:
                    _one(matrix, begin, stride, x, at, x_stride, size, scales, scale, x_scales, done, y, to,
                         y_stride, k > 0)  # fmt: skip
                    done += 1
        panel += 1
