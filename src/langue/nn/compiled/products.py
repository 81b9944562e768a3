"""The products that `panels.multiply` is made of: some panels and some vectors, in instructions on vectors.

numba has no vectors, so their code is written for LLVM: a loop over the inputs that keeps the sums of all
rows of the panels, for all vectors, in registers. Letters: as in `panels.py`.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from langue.nn.compiled import isa

ROWS = 16  # of a panel
UNROLLED = 4  # steps of a loop
SPARING = 12  # sums of float32, beyond which a loop has one step
FORESEEN = 3  # vectors, up to which nothing is fetched ahead


def products_of(panels: int, columns: int) -> Any:
    """The intrinsic that multiplies some panels and some vectors.

    Its arguments: the matrix; where the first panel begins, and from one to the next; the vectors, where they
    begin, and from one to the next; padded inputs; the scales of the rows, where they begin; the scales of
    the vectors, where they begin; where the products are put, and from those of one vector to the next;
    whether they are added to what stands there, of float32 alone; how far ahead in the matrix lies what is
    to be fetched meanwhile.

    What is multiplied by a few vectors is read at the speed of memory anyway, in as many streams as a
    processor foresees; with more, memory would rest while a panel meets the others.
    """
    fetch = columns > FORESEEN

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
        ahead: Any,
    ) -> Any:
        index = types.int64
        given = (
            matrix, index, index, x, index, index, index, scales, index, x_scales, index, y, index, index,
            types.boolean, index,
        )  # fmt: skip

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            _, offset, stride, _, x_offset, x_stride, inputs, _, scale, _, x_scale, _, *rest = arguments
            to, y_stride, more, ahead = rest
            data = {
                name: context.make_array(signature.args[at])(context, builder, arguments[at]).data
                for name, at in (("matrix", 0), ("x", 3), ("scales", 7), ("x_scales", 9), ("y", 11))
            }
            whole = signature.args[0].dtype != types.int8
            offsets = [_times(builder, offset, stride, panel) for panel in range(panels)]
            begins = [_times(builder, x_offset, x_stride, column) for column in range(columns)]
            loop = (
                _float_sums if whole else _dot_sums if signature.args[3].dtype.bitwidth == 8 else _pair_sums
            )
            sums = loop(builder, data["matrix"], offsets, data["x"], begins, inputs, ahead if fetch else None)
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


def _fetch(builder: Any, data: Any, offsets: list[Any], begin: Any, ahead: Any) -> None:
    """Ask for the cache lines that lie so far ahead, and do not wait; None: for nothing."""
    if ahead is None:
        return
    integer = ir.IntType(32)
    for offset in offsets:
        index = builder.add(builder.add(offset, begin), ahead)
        pointer = builder.bitcast(builder.gep(data, [index]), ir.IntType(8).as_pointer())
        form = ir.FunctionType(ir.VoidType(), [pointer.type, integer, integer, integer])
        function = builder.module.declare_intrinsic("llvm.prefetch", [pointer.type], form)
        builder.call(function, [pointer, integer(0), integer(3), integer(1)])  # to read, keep, data


def _loop(
    builder: Any, inputs: Any, step: int, sums: list[Any], add: Any, unrolled: int = UNROLLED
) -> list[Any]:
    """Code that adds to sums, every `step` inputs; there are some."""
    before, integer = builder.block, inputs.type
    # LLVM is not to see that inputs are a multiple of a number of steps: it would make one step of several.
    inputs = builder.asm(ir.FunctionType(integer, [integer]), "", "=r,0", [inputs], False)
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
    for number in range(unrolled):
        grown = add(builder.add(at, ir.Constant(integer, number * step)), grown)
    following = builder.add(at, ir.Constant(integer, unrolled * step))
    at.add_incoming(following, body)
    for phi, value in zip(phis, grown, strict=True):
        phi.add_incoming(value, body)
    builder.cbranch(builder.icmp_signed("<", following, inputs), body, after)
    builder.position_at_end(after)
    return grown


def _load_float(builder: Any, matrix: Any, index: Any) -> Any:
    """Numbers of each row of a panel; bfloat16 is the first half of a float32."""
    if matrix.type.pointee == ir.FloatType():
        return _load(builder, matrix, index, ir.FloatType(), ROWS)
    wide = ir.VectorType(ir.IntType(32), ROWS)
    bits = builder.zext(_load(builder, matrix, index, ir.IntType(16), ROWS), wide)
    bits = builder.shl(bits, ir.Constant(wide, [16] * ROWS))
    return builder.bitcast(bits, ir.VectorType(ir.FloatType(), ROWS))


def _float_sums(
    builder: Any, matrix: Any, offsets: list[Any], x: Any, begins: list[Any], inputs: Any, ahead: Any
) -> list[Any]:
    """Sums of each vector, and of it of each panel, `(ROWS,)`."""
    number = ir.FloatType()
    vector = ir.VectorType(number, ROWS)
    name, form = f"llvm.fmuladd.v{ROWS}f32", ir.FunctionType(vector, [vector] * 3)
    multiply_add = builder.module.globals.get(name) or ir.Function(builder.module, form, name)

    def add(at: Any, sums: list[Any]) -> list[Any]:
        begin = builder.mul(at, ir.Constant(at.type, ROWS))
        _fetch(builder, matrix, offsets, begin, ahead)
        weights = [_load_float(builder, matrix, builder.add(offset, begin)) for offset in offsets]
        grown = []
        for column, first in enumerate(begins):
            pointer = builder.gep(x, [builder.add(first, at)])
            values = _spread(builder, builder.load(pointer, align=4), ROWS)
            for panel, numbers in enumerate(weights):
                grown.append(
                    builder.call(multiply_add, [numbers, values, sums[column * len(offsets) + panel]])
                )
        return grown

    sums = [ir.Constant(vector, [0.0] * ROWS)] * (len(offsets) * len(begins))
    # Of several steps LLVM reads the numbers of vectors first, which are more than registers are left.
    return _loop(builder, inputs, 1, sums, add, UNROLLED if len(sums) <= SPARING else 1)


def _pair_sums(
    builder: Any, matrix: Any, offsets: list[Any], x: Any, begins: list[Any], inputs: Any, ahead: Any
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
        _fetch(builder, matrix, offsets, begin, ahead)
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
    return [_joined(builder, halves[at : at + 2]) for at in range(0, len(halves), 2)]


def _dot_sums(
    builder: Any, matrix: Any, offsets: list[Any], x: Any, begins: list[Any], inputs: Any, ahead: Any
) -> list[Any]:
    """The same of bytes, by an instruction that adds four products of them to a sum.

    That of x86 multiplies bytes without a sign by such with one, so the numbers of vectors are raised by 128;
    128 times the sum of the row, made by the same instruction, is taken away.
    """
    lanes = (isa.DOT or 128) // 32
    raised = isa.DOT != 128
    parts = ROWS // lanes  # of the bytes of a panel at a step
    each = len(offsets) * parts
    vector = ir.VectorType(ir.IntType(32), lanes)
    bytes_128 = _spread(builder, ir.Constant(ir.IntType(32), -0x7F7F7F80), lanes)

    def add(at: Any, sums: list[Any]) -> list[Any]:
        begin = builder.mul(at, ir.Constant(at.type, ROWS))
        _fetch(builder, matrix, offsets, begin, ahead)
        weights = _bytes(builder, matrix, [builder.add(offset, begin) for offset in offsets], lanes)
        grown = []
        for column, first in enumerate(begins):
            pointer = builder.gep(x, [builder.add(first, at)])
            four = builder.load(builder.bitcast(pointer, ir.IntType(32).as_pointer()), align=1)
            values = _spread(builder, four, lanes)
            for part, numbers in enumerate(weights):
                grown.append(_dot(builder, sums[column * each + part], values, numbers))
        if raised:
            for part, numbers in enumerate(weights):
                grown.append(_dot(builder, sums[len(begins) * each + part], bytes_128, numbers))
        return grown

    zeros = ir.Constant(vector, [0] * lanes)
    sums = _loop(builder, inputs, 4, [zeros] * (each * (len(begins) + raised)), add)
    if raised:
        of_rows = sums[len(begins) * each :]
        sums = [builder.sub(sum_, of_rows[at % each]) for at, sum_ in enumerate(sums[: len(begins) * each])]
    return [_joined(builder, sums[at : at + parts]) for at in range(0, len(sums), parts)]


def _bytes(builder: Any, matrix: Any, indices: list[Any], lanes: int) -> list[Any]:
    """Four bytes of each row of the panels that begin at the indices, as int32."""
    kind, count = ir.IntType(8), 4 * lanes
    return [
        builder.bitcast(
            _load(builder, matrix, builder.add(index, ir.Constant(index.type, part)), kind, count),
            ir.VectorType(ir.IntType(32), lanes),
        )
        for index in indices
        for part in range(0, 4 * ROWS, count)
    ]


def _dot(builder: Any, sums: Any, values: Any, weights: Any) -> Any:
    """Sums plus the products of four bytes each; `values` have no sign, but on Arm."""
    lanes = sums.type.count
    if not isa.DOT:  # arithmetic that any processor has
        wide = ir.VectorType(ir.IntType(32), 4 * lanes)
        small = ir.VectorType(ir.IntType(8), 4 * lanes)
        product = builder.mul(
            builder.zext(builder.bitcast(values, small), wide),
            builder.sext(builder.bitcast(weights, small), wide),
        )
        for first in range(4):
            picked = ir.Constant(sums.type, list(range(first, 4 * lanes, 4)))
            sums = builder.add(sums, builder.shuffle_vector(product, product, picked))
        return sums
    given = sums.type
    name = f"llvm.x86.avx512.vpdpbusd.{isa.DOT}"
    if isa.DOT == 128:
        given = ir.VectorType(ir.IntType(8), 4 * lanes)
        values, weights = builder.bitcast(values, given), builder.bitcast(weights, given)
        name = "llvm.aarch64.neon.sdot.v4i32.v16i8"
    form = ir.FunctionType(sums.type, [sums.type, given, given])
    function = builder.module.globals.get(name) or ir.Function(builder.module, form, name)
    return builder.call(function, [sums, values, weights])


def _joined(builder: Any, parts: list[Any]) -> Any:
    """One vector of several."""
    while len(parts) > 1:
        both = list(range(2 * parts[0].type.count))
        picked = ir.Constant(ir.VectorType(ir.IntType(32), len(both)), both)
        parts = [
            builder.shuffle_vector(low, high, picked)
            for low, high in zip(parts[::2], parts[1::2], strict=True)
        ]
    return parts[0]
