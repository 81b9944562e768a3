"""What is done with single vectors, between the products: norms, activations, softmax.

They take parts of arrays: an index that is counted from elsewhere keeps a loop from becoming instructions on
vectors, for numba takes one below 0 from the end.
"""

import numpy as np

from langue.base.compiled import njit
from langue.nn.compiled.numbers import FAST, erf, exp, largest, sigmoid

F = np.float32
GELU, RELU2, SWIGLU, RELU, GELU_BY_ERF = range(5)


@njit(fastmath=FAST, error_model="numpy")
def normalize(x, gains, biases, rms, eps, y):
    """Layer norm, or RMSNorm, of x into y."""
    size = len(x)
    mean = F(0)
    if not rms:
        for i in range(size):
            mean += x[i]
        mean /= F(size)
    variance = F(0)
    for i in range(size):
        variance += (x[i] - mean) * (x[i] - mean)
    scale = F(1) / F(np.sqrt(variance / F(size) + eps))
    for i in range(size):
        y[i] = (x[i] - mean) * scale * gains[i] + biases[i]


@njit(fastmath=FAST, error_model="numpy")
def normalize_head(x, gains, eps, factor):
    """RMSNorm of a query or key where it stands, times a factor."""
    squares = F(0)
    for i in range(len(x)):
        squares += x[i] * x[i]
    scale = factor / F(np.sqrt(squares / F(len(x)) + eps))
    for i in range(len(x)):
        x[i] *= scale * gains[i]


@njit(fastmath=FAST, error_model="numpy")
def rotate(a, b, cos, sin):
    """Turn pairs of numbers, one of a and one of b, by angles."""
    for i in range(len(a)):
        one, other = a[i], b[i]
        a[i] = one * cos[i] - other * sin[i]
        b[i] = other * cos[i] + one * sin[i]


@njit(fastmath=FAST, error_model="numpy")
def add(x, y):
    """x += y."""
    for i in range(len(x)):
        x[i] += y[i]


@njit
def copy(x, y):
    """y = x; numba's own assignment of slices takes a second to compile."""
    for i in range(len(x)):
        y[i] = x[i]


@njit(fastmath=FAST, error_model="numpy")
def multiply_by(x, factor):
    for i in range(len(x)):
        x[i] *= factor


@njit(fastmath=FAST, error_model="numpy")
def activate(x, other, kind, y):
    """The nonlinearity of an MLP; of a gated one, x are the gates of `other`."""
    if kind == GELU:  # by tanh: v / 2 (1 + tanh u) = v sigmoid(2 u)
        for i in range(len(x)):
            v = x[i]
            y[i] = v * sigmoid(F(1.5957691216057308) * (v + F(0.044715) * v * v * v))
    elif kind == RELU2:
        for i in range(len(x)):
            v = max(x[i], F(0))
            y[i] = v * v
    elif kind == SWIGLU:
        for i in range(len(x)):
            v = x[i]
            y[i] = v * sigmoid(v) * other[i]
    elif kind == RELU:
        for i in range(len(x)):
            y[i] = max(x[i], F(0))
    else:
        for i in range(len(x)):
            v = x[i]
            y[i] = F(0.5) * v * (F(1) + erf(v * F(0.7071067811865476)))


@njit(fastmath=FAST, error_model="numpy")
def exponentiate(x, size):
    """e^(x - largest) of the first `size` numbers in place, zeros behind them; returns the sum."""
    most = largest(x[:size])
    total = F(0)
    for i in range(size):
        e = exp(x[i] - most)
        x[i] = e
        total += e
    x[size:] = F(0)
    return total


@njit(fastmath=FAST, error_model="numpy")
def log_softmax(x):
    """In place."""
    most = largest(x)
    total = F(0)
    for i in range(len(x)):
        total += exp(x[i] - most)
    most += F(np.log(total))
    for i in range(len(x)):
        x[i] -= most
