"""Functions compiled by numba and kept on disk, so that only the first process that needs one compiles it.

numba keeps a function for as long as the file it stands in is the same. One that calls a function of
another file would go on with that one's old machine code when only the other file changes, as with an
upgrade: wrong numbers, or a crash. So here a function is kept for as long as all compiled files of the
package are the same.
"""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

PACKAGE = Path(__file__).parents[1]


def njit(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """As `numba.njit`; compiled code is kept on disk and runs without the GIL.

    Args:
        options: others of `numba.njit`.
    """
    if function is None:
        return lambda function: njit(function, **options)
    dispatcher = numba.njit(nogil=True, cache=True, **options)(function)
    dispatcher._cache._cache_file._source_stamp = stamp()  # no official way; a test holds numba to this one
    return dispatcher


@cache
def stamp() -> str:
    """A digest of all files of the package that have compiled functions."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_bytes()
        if b"njit" in text:
            digest.update(text)
    return digest.hexdigest()


def _prefetching(context: Any, array: Any, index: Any) -> Any:
    """Code that asks for the cache line of array[index], and does not wait."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(8).as_pointer())
        integer = ir.IntType(32)
        form = ir.FunctionType(ir.VoidType(), [pointer.type, integer, integer, integer])
        function = builder.module.declare_intrinsic("llvm.prefetch", [pointer.type], form)
        builder.call(function, [pointer, integer(0), integer(3), integer(1)])  # to read, keep, data
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


def _eight(context: Any, array: Any, index: Any) -> Any:
    """Code that reads the eight bytes from array[index] on as one number, wherever they lie."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(64).as_pointer())
        return builder.load(pointer, align=1)

    return types.uint64(array, types.int64), generate


prefetch: Any = intrinsic(_prefetching)
eight: Any = intrinsic(_eight)
