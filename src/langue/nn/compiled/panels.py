"""Products of a matrix and a few vectors, float32 or W8A8, by instructions on vectors.

A matrix is laid out in panels of 8 rows, so that it is read in one stream: the first piece of each row, then
the second, … A piece is 8 float32 or 16 int8. Rows and columns are padded with zeros to whole panels and
pieces. Every sum of products has 8 lanes, which end up added in one order, however many vectors there are at
once: so the sums of a vector do not depend on those beside it.

W8A8: weights are int8 with a scale for each row, a vector is int8 with a scale of its own (largest magnitude
127), and products are summed in int32, exactly. The vector is kept as int16, which processors multiply in
pairs (`vpmaddwd`); numba itself widens int32 to int64, which they don't. Letters: O outputs, I inputs.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from langue.base.arrays import Array
from langue.base.compiled import njit

ROWS = 8  # of a panel
LANES = 8  # of a sum
PIECE = 16  # columns are padded to a multiple of this
COLUMNS = 3  # vectors at a time: 4 rows of a panel and 3 vectors fill the 16 registers of AVX2
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
    piece = LANES if matrix.dtype == np.float32 else PIECE
    whole = np.zeros((padded(outputs, ROWS), padded(inputs, PIECE)), matrix.dtype)
    whole[:outputs, :inputs] = matrix
    panels = whole.reshape(len(whole) // ROWS, ROWS, -1, piece).swapaxes(1, 2)
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


def _dots(rows: int, columns: int) -> Any:
    """The intrinsic that multiplies `rows` rows of a panel, 4 or 8, and `columns` vectors.

    Its arguments: the matrix; where the first piece of the first row lies; the vectors, where they begin, and
    from one to the next; padded inputs; the scales of the rows, where they begin; the scales of the vectors,
    where they begin; where the products are put, and from the products of one vector to those of the next.
    """

    @intrinsic
    def dots(
        context: Any,
        matrix: Any,
        offset: Any,
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
    ) -> Any:
        index = types.int64
        given = (
            matrix, index, x, index, index, index, scales, index, x_scales, index, y, index, index,
        )  # fmt: skip

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            _, offset, _, x_offset, x_stride, inputs, _, first_scale, _, first_x_scale, _, *to = arguments
            y_offset, y_stride = to
            array = {
                name: context.make_array(signature.args[at])(context, builder, arguments[at]).data
                for name, at in (("matrix", 0), ("x", 2), ("scales", 6), ("x_scales", 8), ("y", 10))
            }
            whole = signature.args[0].dtype == types.float32
            loop = _float_loop if whole else _int8_loop
            begins = [
                builder.add(x_offset, builder.mul(x_stride, ir.Constant(x_stride.type, column)))
                for column in range(columns)
            ]
            sums = loop(builder, array["matrix"], offset, array["x"], begins, inputs, rows)
            for column in range(columns):
                total = _add_lanes(builder, sums[column])
                if not whole:
                    total = builder.sitofp(total, ir.VectorType(ir.FloatType(), rows))
                    by_row = _load(builder, array["scales"], first_scale, ir.FloatType(), rows)
                    index = builder.add(first_x_scale, ir.Constant(first_x_scale.type, column))
                    one = _load(builder, array["x_scales"], index, ir.FloatType(), 1)
                    by_vector = builder.shuffle_vector(one, one, _indices([0] * rows))
                    total = builder.fmul(builder.fmul(total, by_row), by_vector)
                where = builder.add(y_offset, builder.mul(y_stride, ir.Constant(y_stride.type, column)))
                pointer = builder.bitcast(builder.gep(array["y"], [where]), total.type.as_pointer())
                builder.store(total, pointer, align=4)
            return context.get_dummy_value()

        return types.void(*given), generate

    return dots


def _indices(numbers: list[int]) -> Any:
    return ir.Constant(ir.VectorType(ir.IntType(32), len(numbers)), numbers)


def _load(builder: Any, data: Any, index: Any, number: Any, count: int) -> Any:
    """Numbers of an array from an index on, as a vector."""
    kind = ir.VectorType(number, count)
    pointer = builder.bitcast(builder.gep(data, [index]), kind.as_pointer())
    return builder.load(pointer, align=number.width // 8 if isinstance(number, ir.IntType) else 4)


def _loop(builder: Any, inputs: Any, piece: int, sums: list[Any], step: Any) -> list[Any]:
    """Code that adds to sums for every piece of the inputs; there is at least one."""
    before, integer = builder.block, inputs.type
    body = builder.append_basic_block("pieces")
    after = builder.append_basic_block("summed")
    builder.branch(body)
    builder.position_at_end(body)
    at = builder.phi(integer)
    at.add_incoming(ir.Constant(integer, 0), before)
    phis = [builder.phi(kind.type) for kind in sums]
    for phi, zero in zip(phis, sums, strict=True):
        phi.add_incoming(zero, before)
    grown = step(at, phis)
    following = builder.add(at, ir.Constant(integer, piece))
    at.add_incoming(following, body)
    for phi, value in zip(phis, grown, strict=True):
        phi.add_incoming(value, body)
    builder.cbranch(builder.icmp_signed("<", following, inputs), body, after)
    builder.position_at_end(after)
    return grown


def _float_loop(
    builder: Any, matrix: Any, offset: Any, x: Any, begins: list[Any], inputs: Any, rows: int
) -> list[list[Any]]:
    """Sums of 8 lanes: of each vector, of each row."""
    number = ir.FloatType()
    vector = ir.VectorType(number, LANES)
    name, form = f"llvm.fmuladd.v{LANES}f32", ir.FunctionType(vector, [vector] * 3)
    multiply_add = builder.module.globals.get(name) or ir.Function(builder.module, form, name)

    def step(at: Any, sums: list[Any]) -> list[Any]:
        first = builder.add(offset, builder.mul(at, ir.Constant(at.type, ROWS)))
        vectors = [_load(builder, x, builder.add(begin, at), number, LANES) for begin in begins]
        grown = list(sums)
        for row in range(rows):
            index = builder.add(first, ir.Constant(at.type, row * LANES))
            weights = _load(builder, matrix, index, number, LANES)
            for column, values in enumerate(vectors):
                spot = column * rows + row
                grown[spot] = builder.call(multiply_add, [weights, values, sums[spot]])
        return grown

    sums = _loop(builder, inputs, LANES, [ir.Constant(vector, [0.0] * LANES)] * (rows * len(begins)), step)
    return [sums[column * rows : (column + 1) * rows] for column in range(len(begins))]


def _int8_loop(
    builder: Any, matrix: Any, offset: Any, x: Any, begins: list[Any], inputs: Any, rows: int
) -> list[list[Any]]:
    """The same of int8 and int16, in int32."""
    wide = ir.VectorType(ir.IntType(32), PIECE)
    vector = ir.VectorType(ir.IntType(32), LANES)
    even, odd = _indices(list(range(0, PIECE, 2))), _indices(list(range(1, PIECE, 2)))

    def step(at: Any, sums: list[Any]) -> list[Any]:
        first = builder.add(offset, builder.mul(at, ir.Constant(at.type, ROWS)))
        vectors = [
            builder.sext(_load(builder, x, builder.add(begin, at), ir.IntType(16), PIECE), wide)
            for begin in begins
        ]
        grown = list(sums)
        for row in range(rows):
            index = builder.add(first, ir.Constant(at.type, row * PIECE))
            weights = builder.sext(_load(builder, matrix, index, ir.IntType(8), PIECE), wide)
            for column, values in enumerate(vectors):
                products = builder.mul(weights, values, flags=["nsw"])
                pairs = builder.add(
                    builder.shuffle_vector(products, products, even),
                    builder.shuffle_vector(products, products, odd),
                )
                spot = column * rows + row
                grown[spot] = builder.add(sums[spot], pairs)
        return grown

    sums = _loop(builder, inputs, PIECE, [ir.Constant(vector, [0] * LANES)] * (rows * len(begins)), step)
    return [sums[column * rows : (column + 1) * rows] for column in range(len(begins))]


def _add_lanes(builder: Any, sums: list[Any]) -> Any:
    """A vector of the totals of some rows: neighbors are added, then pairs, then halves."""
    add = builder.fadd if isinstance(sums[0].type.element, ir.FloatType) else builder.add
    mixed = 1  # rows that a vector has the parts of, in turn
    while len(sums) > 1:
        parts = range(0, LANES // mixed, 2)
        even = [at * mixed + row + side * LANES for at in parts for side in (0, 1) for row in range(mixed)]
        halves = [_indices(even), _indices([index + mixed for index in even])]
        sums = [
            add(*(builder.shuffle_vector(a, b, half) for half in halves))
            for a, b in zip(sums[::2], sums[1::2], strict=True)
        ]
        mixed *= 2
    total = sums[0]
    while mixed < LANES:  # fewer rows than lanes: halves are left
        low, high = (_indices(list(range(begin, begin + mixed))) for begin in (0, mixed))
        total = add(builder.shuffle_vector(total, total, low), builder.shuffle_vector(total, total, high))
        mixed *= 2
    return total


_whole_panel: Any = _dots(ROWS, 1)
_half_panel_of_two: Any = _dots(ROWS // 2, 2)
_half_panel_of_three: Any = _dots(ROWS // 2, COLUMNS)


@njit
def multiply(matrix, offset, panels, stride, inputs, scales, first_scale, x, x_offset, x_stride, x_scales,
             columns, y, y_offset, y_stride):  # fmt: skip
    """Products of panels of a matrix and of `columns` vectors.

    Args:
        matrix: flat; its panels begin at `offset` and every `stride` numbers.
        inputs: padded to a multiple of PIECE, or in float32 of LANES.
        scales: of rows, from `first_scale` on; x_scales: of vectors. Both are read of int8 alone.
        x: flat; vectors begin at `x_offset` and every `x_stride` numbers, padded with zeros.
        y: flat float32; the products of vector c go to y_offset + c * y_stride.
    """
    half = ROWS // 2
    piece = LANES if matrix.itemsize == 4 else PIECE
    for panel in range(panels):
        begin = offset + panel * stride
        row = panel * ROWS
        column = 0
        while columns - column >= 2:
            at, to = x_offset + column * x_stride, y_offset + column * y_stride + row
            for part in range(0, ROWS, half):
                where, scale = begin + part * piece, first_scale + row + part
                if columns - column >= COLUMNS:
                    _half_panel_of_three(matrix, where, x, at, x_stride, inputs, scales, scale, x_scales,
                                         column, y, to + part, y_stride)  # fmt: skip
                else:
                    _half_panel_of_two(matrix, where, x, at, x_stride, inputs, scales, scale, x_scales,
                                       column, y, to + part, y_stride)  # fmt: skip
            column += COLUMNS if columns - column >= COLUMNS else 2
        if column < columns:
            at, to = x_offset + column * x_stride, y_offset + column * y_stride + row
            _whole_panel(matrix, begin, x, at, x_stride, inputs, scales, first_scale + row, x_scales, column,
                         y, to, y_stride)  # fmt: skip
