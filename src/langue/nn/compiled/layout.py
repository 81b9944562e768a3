"""The weights of a network in the order that a compiled step reads them in."""

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike
from torch import Tensor

from langue.base.arrays import Array, Floats
from langue.nn.compiled import isa
from langue.nn.compiled.panels import bfloat16, pack, quantize, unpack
from langue.nn.fast.compiled_step import Weights

Parts = tuple[int, int, int]  # of rows or columns: how many, their width, and that padded with zeros

LINE = 64  # bytes


class Layout:
    """Matrices in panels, the scales of their rows, and vectors, each kind one after another.

    Args:
        weights: what matrices are kept in; None: float32.
    """

    def __init__(self, weights: Weights | None) -> None:
        self.kind = weights
        self._matrices: list[Array] = []
        self._scales: list[Floats] = []
        self._vectors: list[Floats] = []

    @property
    def matrices(self) -> Array:
        return _joined(self._matrices)

    @property
    def scales(self) -> Floats:
        return np.concatenate(self._scales)

    @property
    def vectors(self) -> Floats:
        return np.concatenate([np.empty(0, np.float32), *self._vectors])

    def quantized(self) -> tuple[Array, Floats]:
        """The matrices of float32 once more, in int8, and the scales of their rows."""
        pairs = [
            quantize(unpack(matrix, len(scales)))
            for matrix, scales in zip(self._matrices, self._scales, strict=True)
        ]
        return _joined([pack(matrix) for matrix, _ in pairs]), np.concatenate([scales for _, scales in pairs])

    def add_matrix(self, weight: Tensor | Array, rows: Parts, columns: Parts, width: int = 0) -> None:
        """Add a matrix `(O, I)`.

        Args:
            width: that columns are padded to in all.
        """
        whole = pieces(pieces(array_of(weight).T, columns).T, rows)
        if width:
            whole = np.pad(whole, ((0, 0), (0, width - whole.shape[1])))
        scales = np.ones(len(whole), np.float32)
        if self.kind == "int8":
            whole, scales = quantize(whole)
        elif self.kind == "bfloat16":
            whole = bfloat16(whole)
        self._matrices.append(pack(whole))
        self._scales.append(scales)

    def add_vector(self, vector: Tensor | Array | None, parts: Parts) -> None:
        """Add a vector; None is one of zeros."""
        count, width, _ = parts
        given = np.zeros(count * width) if vector is None else array_of(vector)
        self._vectors.append(pieces(given[:, None], parts)[:, 0])


def add_norm(layout: Layout, norm: Any, parts: Parts) -> None:
    """Its gains and its biases, which an RMSNorm has none of; zeros of one that is None."""
    layout.add_vector(getattr(norm, "weight", None), parts)
    layout.add_vector(getattr(norm, "bias", None), parts)


def aligned(shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    """Room that begins with a cache line, else each part of a panel would lie in two. Whatever stands in it:
    zeros for a whole context would take as long as some tokens."""
    count, size = math.prod(shape), np.dtype(dtype).itemsize
    room = np.empty(count * size + LINE, np.uint8)
    skip = -room.ctypes.data % LINE
    return room[skip : skip + count * size].view(dtype).reshape(shape)


def _joined(matrices: list[Array]) -> Array:
    """One after another."""
    whole = aligned((sum(map(len, matrices)),), matrices[0].dtype)
    np.concatenate(matrices, out=whole)
    return whole


def room_for(numbers: int, *, weights: Weights | None) -> Array:
    """Zeros, where that many numbers are to stand that are multiplied; each caller needs his own."""
    room = aligned((numbers,), isa.ROOM if weights == "int8" else np.float32)
    room.fill(0)
    return room


def array_of(tensor: Tensor | Array) -> Array:
    return tensor.detach().float().cpu().numpy() if isinstance(tensor, Tensor) else tensor


def pieces(matrix: Array, parts: Parts) -> Floats:
    """Rows in parts of a width, each padded with zeros to another."""
    count, width, wide = parts
    result = np.zeros((count, wide, matrix.shape[1]), np.float32)
    result[:, :width] = matrix.reshape(count, width, -1)
    return result.reshape(count * wide, -1)
