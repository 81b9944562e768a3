"""The weights of a causal Transformer as the compiled step reads them."""

from typing import Any

import numpy as np
from torch import Tensor, nn

from langue.base.arrays import Array, Floats, Ids
from langue.nn.compiled.panels import LANES, PIECE, pack, padded, quantize
from langue.nn.compiled.plan import Plan
from langue.nn.compiled.rows import GELU, RELU2, SWIGLU
from langue.nn.compiled.transformer_step import AT_ONCE, Shape, step

ACTIVATIONS = {"gelu": GELU, "relu2": RELU2, "swiglu": SWIGLU}


class CompiledTransformer:
    """Weights laid out for the compiled step."""

    def __init__(self, plan: Plan, *, int8: bool = False) -> None:
        (V, C), H, G = plan.table.shape, plan.heads, plan.groups
        D = C // H
        Cw, Dw, Tw, Vw = padded(C, PIECE), padded(D, LANES), padded(plan.window, PIECE), padded(V, LANES)
        gated = plan.activation == "swiglu"
        inner = plan.blocks[0].down.in_features
        wide = padded(inner, PIECE)
        self.shape = Shape(
            L=len(plan.blocks), C=C, H=H, G=G, D=D, V=V, rms=plan.norm == "rms",
            activation=ACTIVATIONS[plan.activation], rotary=plan.rotary,
            qk_norm=plan.qk_norm_eps is not None, C_whole=Cw, D_whole=Dw, T_whole=Tw, V_whole=Vw,
            mixed=padded(H * Dw, PIECE), read=(H + 2 * G) * Dw, inner=wide, up=wide * (2 if gated else 1),
        )  # fmt: skip
        self.sizes = tuple(map(int, self.shape))
        self.int8 = int8
        self.eps = np.array([plan.eps, plan.qk_norm_eps or 0.0], np.float32)
        self.table, self.positions = _array(plan.table), _array(plan.positions)
        heads, split = (1, D, Dw), (2 if gated else 1, inner, wide)
        one = (1, C, Cw)
        self._matrices: list[Array] = []
        self._scales: list[Array] = []
        self._vectors: list[Array] = []
        for block in plan.blocks:
            for norm in (block.ln_1, block.ln_2):
                self._norm(norm, Cw)
            self._linear(block.c_attn, (H + 2 * G, *heads[1:]), one)
            self._linear(block.c_proj, one, (H, *heads[1:]), columns=self.shape.mixed)
            self._linear(block.up, split, one)
            self._linear(block.down, one, (1, inner, wide))
            for index in range(2):
                gain = _array(block.qk_norms[index].weight) if len(block.qk_norms) else np.ones(D)
                self._vectors.append(_pieces(gain[:, None], heads)[:, 0])
        self._norm(plan.last, Cw)
        self._matrix(_pieces(_pieces(_array(plan.head).T, one).T, (1, V, Vw)))
        self.matrices, self.scales, self.vectors = (
            np.concatenate(parts) for parts in (self._matrices, self._scales, self._vectors)
        )
        del self._matrices, self._scales, self._vectors

    def _norm(self, norm: Any, Cw: int) -> None:
        for part in (norm.weight, getattr(norm, "bias", None)):
            vector = np.zeros(Cw, np.float32)
            if part is not None:
                vector[: len(part)] = _array(part)
            self._vectors.append(vector)

    def _linear(
        self,
        linear: nn.Linear,
        outputs: tuple[int, int, int],
        inputs: tuple[int, int, int],
        columns: int = 0,
    ) -> None:
        """Parts of rows and of columns, `(how many, width, padded width)`."""
        weight = _pieces(_pieces(_array(linear.weight).T, inputs).T, outputs)
        if columns:
            weight = np.pad(weight, ((0, 0), (0, columns - weight.shape[1])))
        self._matrix(weight)
        bias = linear.bias
        given = np.zeros(outputs[0] * outputs[1]) if bias is None else _array(bias)
        self._vectors.append(_pieces(given[:, None], outputs)[:, 0])

    def _matrix(self, weight: Array) -> None:
        scales = np.ones(len(weight), np.float32)
        if self.int8:
            weight, scales = quantize(weight)
        self._matrices.append(pack(weight))
        self._scales.append(scales)

    def cache(self, rows: int) -> tuple[Floats, Floats]:
        """Room for the keys and values of so many rows: `(L, rows, numbers of one)` each."""
        shape = self.shape
        size = (shape.L, rows, shape.G * shape.T_whole * shape.D_whole)
        return np.zeros(size, np.float32), np.zeros(size, np.float32)

    def room(self) -> Array:
        """What is multiplied stands there; each caller needs his own."""
        shape = self.shape
        width = max(shape.C_whole, shape.mixed, shape.inner)
        return np.zeros(AT_ONCE * width, np.int16 if self.int8 else np.float32)

    def read(
        self, cache: tuple[Floats, Floats], room: Array, ids: Ids, slots: Ids, at: Ids, wanted: Ids
    ) -> Floats:
        """Read tokens, those of a row one after another; log-probabilities after those wanted: `(W, V)`."""
        log_probs = np.empty((len(wanted), self.shape.V_whole), np.float32)
        step(
            self.sizes, self.eps, self.table, self.positions, self.matrices, self.scales, self.vectors,
            *(part.reshape(-1) for part in cache), ids, slots, at, wanted, room, log_probs.reshape(-1),
        )  # fmt: skip
        return log_probs[:, : self.shape.V]


def _array(tensor: Tensor) -> Array:
    return tensor.detach().float().cpu().numpy()


def _pieces(matrix: Array, parts: tuple[int, int, int]) -> Array:
    """Rows in parts of a width, each padded with zeros to another."""
    count, width, wide = parts
    result = np.zeros((count, wide, matrix.shape[1]), np.float32)
    result[:, :width] = matrix.reshape(count, width, -1)
    return result.reshape(count * wide, -1)
