"""Functions of one number in arithmetic alone, so that loops over them become instructions on vectors, which
those of the C library do not, and the largest of several. Absolute errors are below 2e-7.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from langue.base.compiled import njit

# Of arithmetic between products: sums in any order. Weights are finite; infinities stay what they are.
FAST = {"nnan", "reassoc", "contract", "arcp", "nsz", "afn"}

F = np.float32
LOWEST, HIGHEST = F(-87.0), F(88.0)  # beyond, e^x is no float32
LOG2_E = F(1.4426950408889634)
LN2_HIGH, LN2_LOW = F(0.693359375), F(-2.12194440e-4)


def _float_of_bits(context: Any, bits: Any) -> Any:
    """The float32 that 32 bits spell."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


def _bits_of_float(context: Any, number: Any) -> Any:
    """The 32 bits that spell a float32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.int32(types.float32), generate


def _without_multiples(context: Any, x: Any, n: Any) -> Any:
    """x - n ln 2, the two parts of ln 2 one after the other; who may reorder sums would add these first, and
    without FMA that loses what they are parted for. numba leaves alone what has flags of its own."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, n = arguments
        for part in (LN2_HIGH, LN2_LOW):
            product = builder.fmul(n, ir.Constant(ir.FloatType(), float(part)), flags=("contract",))
            x = builder.fsub(x, product, flags=("contract",))
        return x

    return types.float32(types.float32, types.float32), generate


float_of_bits: Any = intrinsic(_float_of_bits)
bits_of_float: Any = intrinsic(_bits_of_float)
without_multiples: Any = intrinsic(_without_multiples)


@njit(fastmath=FAST, error_model="numpy", inline="always")
def exp(x):
    """e^x: 2^n times a polynomial on ± half of ln 2 (Cody and Waite 1980); 0 below the smallest."""
    clipped = min(max(x, LOWEST), HIGHEST)
    # Rounded, as what is cast is positive. Back to int32 each time: numba makes int64 of a sum of them.
    n = np.int32(np.int32(clipped * LOG2_E + F(128.5)) - np.int32(128))
    r = without_multiples(clipped, F(n))
    p = F(1.9875691500e-4)
    p = p * r + F(1.3981999507e-3)
    p = p * r + F(8.3334519073e-3)
    p = p * r + F(4.1665795894e-2)
    p = p * r + F(1.6666665459e-1)
    p = p * r + F(5.0000001201e-1)
    p = p * r * r + r + F(1.0)
    scale = float_of_bits(np.int32(np.int32(n + np.int32(127)) << np.int32(23)))
    return p * scale if x >= LOWEST else F(0)


@njit(fastmath=FAST, error_model="numpy", inline="always")
def log(x):
    """The natural log of a normal number above 0: that of 2^n, and a polynomial on √½ to √2 (Cephes)."""
    n = _exponent(x)
    return _log(_mantissa(x, n) - F(1), F(n))


@njit(fastmath=FAST, error_model="numpy", inline="always")
def exponential(u):
    """-log(1 - u), which is exponential where u is uniform in [0, 1), as close for the smallest u."""
    x = F(1) - u
    n = _exponent(x)
    return -_log(-u if n == np.int32(0) else _mantissa(x, n) - F(1), F(n))


@njit(inline="always")
def _exponent(x):
    """n of 2^n m, m from √½ to √2: one is taken from those below √2, whose last bits these are."""
    return np.int32(np.int32(bits_of_float(x) - np.int32(0x3F3504F3)) >> np.int32(23))


@njit(inline="always")
def _mantissa(x, n):
    """m of 2^n m."""
    return float_of_bits(np.int32(bits_of_float(x) - np.int32(n << np.int32(23))))


@njit(fastmath=FAST, error_model="numpy", inline="always")
def _log(m, f):
    """The log of 2^f (1 + m)."""
    square = m * m
    p = F(7.0376836292e-2)
    p = p * m - F(1.1514610310e-1)
    p = p * m + F(1.1676998740e-1)
    p = p * m - F(1.2420140846e-1)
    p = p * m + F(1.4249322787e-1)
    p = p * m - F(1.6668057665e-1)
    p = p * m + F(2.0000714765e-1)
    p = p * m - F(2.4999993993e-1)
    p = p * m + F(3.3333331174e-1)
    return (p * m * square + f * LN2_LOW - F(0.5) * square) + m + f * LN2_HIGH


@njit(fastmath=FAST, error_model="numpy", inline="always")
def sigmoid(x):
    return F(1) / (F(1) + exp(-x))


@njit(fastmath=FAST, error_model="numpy", inline="always")
def tanh(x):
    return F(1) - F(2) / (F(1) + exp(F(2) * x))


@njit(fastmath=FAST, error_model="numpy", inline="always")
def erf(x):
    """The error function (Abramowitz and Stegun 1964, 7.1.26)."""
    positive = abs(x)
    t = F(1) / (F(1) + F(0.3275911) * positive)
    p = F(1.061405429)
    p = p * t - F(1.453152027)
    p = p * t + F(1.421413741)
    p = p * t - F(0.284496736)
    p = p * t + F(0.254829592)
    beyond = F(1) - p * t * exp(-positive * positive)
    return beyond if x >= F(0) else -beyond


@njit(fastmath=FAST, error_model="numpy")
def largest(x):
    """The largest number, by bits: of float32 numba makes a loop that compares one after the other."""
    most = np.int32(-(2**31))
    for i in range(len(x)):
        most = max(most, _ordered(bits_of_float(x[i])))
    return float_of_bits(_ordered(most))


@njit(fastmath=FAST, error_model="numpy")
def largest_magnitude(x):
    """0 of none."""
    most = np.int32(0)
    for i in range(len(x)):
        most = max(most, np.int32(bits_of_float(x[i]) & np.int32(0x7FFFFFFF)))
    return float_of_bits(most)


@njit(inline="always")
def _ordered(bits):
    """Bits that rise with what they spell, as whole numbers: those below 0 fall. Twice, it is what it was."""
    return np.int32(bits ^ np.int32(np.int32(bits >> np.int32(31)) & np.int32(0x7FFFFFFF)))
