"""Instructions of the processor that products are made of: the one place where they are chosen.

numba compiles for the processor at hand, or for that of `NUMBA_CPU_NAME` and `NUMBA_CPU_FEATURES`, and keeps
code by just these features (`base.compiled`); so what is chosen here is never loaded where it cannot run.
"""

from functools import cache
from typing import Any

import numba
import numpy as np

_numba: Any = numba  # which has no types
ARM = ("aarch64", "arm64")


@cache
def features() -> frozenset[str]:
    """What code is compiled for, in the names of LLVM; on Arm `aarch64` too."""
    codegen = _numba.core.registry.cpu_target.target_context.codegen()
    triple, _, told = codegen.magic_tuple()
    has = {name[1:] for name in told.split(",") if name.startswith("+")}
    return frozenset(has | {"aarch64"} if triple.startswith(ARM) else has)


WIDE = "avx512f" in features()  # 32 registers of 16 float32
if WIDE and "avx512vnni" in features():
    DOT = 512  # bits of a sum of four products of bytes at once; 0: two products of int16
elif "avxvnni" in features():
    DOT = 256
elif {"aarch64", "dotprod"} <= features():
    DOT = 128
else:
    DOT = 0

FMA = bool({"fma", "aarch64"} & features())  # products added in one instruction

# Of a quantized vector: numbers raised by 128, numbers, numbers.
ROOM: type[np.generic] = np.int16 if not DOT else np.int8 if DOT == 128 else np.uint8


def told() -> str:
    """What float32 and int8 are multiplied by, for `langue doctor`."""
    x86 = "AVX-512" if WIDE else "AVX2" if {"avx2", "fma"} <= features() else "the processor's least"
    floats = "Neon" if "aarch64" in features() else x86
    whole = {512: "AVX-512 VNNI", 256: "AVX-VNNI", 128: "Arm's dot products"}.get(DOT, "pairs of int16")
    return f"float32 by {floats}, int8 by {whole}"
