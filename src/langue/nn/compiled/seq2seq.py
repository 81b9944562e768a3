"""The weights of an encoder–decoder's decoder as the compiled step reads them, and what it remembers of rows.

A source is encoded by torch, once; here stand the keys and values that the decoder makes of its memory.
"""

from typing import Any, NamedTuple

import numpy as np
import torch

from langue.base.arrays import Array, Floats, Ids
from langue.nn.cache import Slots
from langue.nn.compiled.crew import Crew
from langue.nn.compiled.layout import Layout, Parts, add_norm, aligned, array_of, room_for
from langue.nn.compiled.panels import PIECE, ROWS, padded
from langue.nn.compiled.plan import DecoderPlan
from langue.nn.compiled.rows import GELU_BY_ERF, RELU
from langue.nn.compiled.seq2seq_step import Shape, step
from langue.nn.compiled.shares import AT_ONCE
from langue.nn.fast.compiled_step import Weights

ACTIVATIONS = {"relu": RELU, "gelu": GELU_BY_ERF}
POSITIONS = 64  # that there is room for at first


class CompiledSeq2Seq:
    """Weights laid out for the compiled step."""

    def __init__(self, plan: DecoderPlan, weights: Weights | None = None) -> None:
        (V, C), H, inner = plan.head.shape, plan.heads, plan.blocks[0].down.in_features
        D = C // H
        Cw, Dw, Vw, wide = padded(C, PIECE), padded(D, ROWS), padded(V, ROWS), padded(inner, PIECE)
        self.plan, self.kind = plan, weights
        self.shape = Shape(
            L=len(plan.blocks), C=C, H=H, D=D, V=V, pre=plan.pre, activation=ACTIVATIONS[plan.activation],
            embedding_norm=plan.embedding_norm is not None, prediction=plan.prediction is not None,
            C_whole=Cw, D_whole=Dw, V_whole=Vw, mixed=padded(H * Dw, PIECE), inner=wide,
        )  # fmt: skip
        layout = Layout(weights)
        one, heads, mixed = (1, C, Cw), (H, D, Dw), self.shape.mixed
        add_norm(layout, plan.embedding_norm, one)
        for block in plan.blocks:
            for norm in block.norms:
                add_norm(layout, norm, one)
            _add_linear(layout, block.c_attn, (3 * H, D, Dw), one)
            _add_linear(layout, block.c_proj, one, heads, mixed)
            _add_linear(layout, block.query, heads, one)
            _add_linear(layout, block.project, one, heads, mixed)
            _add_linear(layout, block.up, (1, inner, wide), one)
            _add_linear(layout, block.down, one, (1, inner, wide))
        add_norm(layout, plan.last, one)
        if plan.prediction is not None:
            _add_linear(layout, plan.prediction, one, one)
        else:
            layout.add_vector(None, one)
        layout.add_matrix(plan.head, (1, V, Vw), one)
        layout.add_vector(plan.bias, (1, V, Vw))
        self.weights = (
            tuple(map(int, self.shape)), np.array([plan.eps], np.float32), array_of(plan.table),
            layout.matrices, layout.scales, layout.vectors,
        )  # fmt: skip
        ids, none = np.empty(0, np.int64), np.empty(0, np.float32)
        nothing = (
            *self.weights, np.empty((0, C), np.float32), none, none, none, none, np.zeros(2, np.int64), ids,
            ids, ids, ids, ids, self.room(), none,
        )  # fmt: skip
        self.crew = Crew(step, nothing, largest=Cw * max(Vw, wide))

    def room(self) -> Array:
        """What is multiplied stands there; each caller needs his own."""
        width = max(self.shape.C_whole, self.shape.mixed, self.shape.inner)
        return room_for(AT_ONCE * width, weights=self.kind)

    def read(self, cache: "Seq2SeqCache", room: Array, ids: Ids, slots: Ids, at: Ids, wanted: Ids) -> Floats:
        """Read tokens, those of a row one after another; log-probabilities after those wanted: `(W, V)`."""
        log_probs = np.empty((len(wanted), self.shape.V_whole), np.float32)
        own, memory = cache.room(int(at.max(initial=0)) + 1)
        sizes = np.array([own.positions, memory.positions], np.int64)
        self.crew.call(
            *self.weights, cache.embedded, own.keys.reshape(-1), own.values.reshape(-1),
            memory.keys.reshape(-1), memory.values.reshape(-1), sizes, ids, slots, at,
            cache.looked_at[slots], wanted, room, log_probs.reshape(-1),
        )  # fmt: skip
        return log_probs[:, : self.shape.V]


class Panels(NamedTuple):
    """Keys and values of rows, in panels of 16 positions, and of 16 channels."""

    keys: Floats  # (L, slots, H, T / 16, D, 16)
    values: Floats  # (L, slots, H, D / 16, T, 16)

    @property
    def positions(self) -> int:
        return self.values.shape[4]

    def grown(self, slots: int, positions: int) -> "Panels":
        """With room for so many, at least; twice as many, where it has to grow."""
        L, held, H, before, D, _ = self.keys.shape
        if slots <= held and positions <= self.positions:
            return self
        slots = held if slots <= held else max(slots, 2 * held)
        positions = self.positions if positions <= self.positions else max(positions, 2 * self.positions)
        panels = padded(positions, ROWS) // ROWS
        keys = aligned((L, slots, H, panels, D, ROWS), np.float32)
        values = aligned((L, slots, H, D // ROWS, panels * ROWS, ROWS), np.float32)
        keys[:, :held, :, :before] = self.keys
        values[:, :held, :, :, : self.positions] = self.values
        return Panels(keys, values)


class Seq2SeqCache(Slots):
    """What rows have read, and the memories of their sources."""

    first = False  # the step reads any

    def __init__(self, step: CompiledSeq2Seq) -> None:
        super().__init__()
        self.step = step
        shape = step.shape
        empty = Panels(
            np.zeros((shape.L, 0, shape.H, 0, shape.D_whole, ROWS), np.float32),
            np.zeros((shape.L, 0, shape.H, shape.D_whole // ROWS, 0, ROWS), np.float32),
        )
        self.own, self.memory = empty, empty
        self.looked_at = np.zeros(0, np.int64)  # positions of each memory
        self.embedded = np.zeros((0, shape.C), np.float32)  # positions

    def room(self, positions: int) -> tuple[Panels, Panels]:
        """For all rows, and so many positions."""
        rows = self.needed
        self.own = self.own.grown(rows, max(positions, POSITIONS))
        self.memory = self.memory.grown(rows, POSITIONS)
        if len(self.embedded) < self.own.positions:
            self.embedded = array_of(self.step.plan.positions(self.own.positions))
        self.looked_at = np.pad(self.looked_at, (0, max(rows - len(self.looked_at), 0)))
        return self.own, self.memory

    def copy(self, leave: list[int], enter: list[int]) -> None:
        self.room(0)
        for part in (*self.own, *self.memory):
            part[:, enter] = part[:, leave]
        self.looked_at[enter] = self.looked_at[leave]

    @torch.inference_mode()
    def remember(self, slot: int, memory: torch.Tensor) -> None:
        """Make keys and values of the memory `(S, C)` of a source."""
        S = len(memory)
        self.room(POSITIONS)
        self.memory = self.memory.grown(0, S)
        self.looked_at[slot] = S
        shape = self.step.shape
        for layer, block in enumerate(self.step.plan.blocks):
            keys, values = (
                _padded(array_of(part).reshape(S, shape.H, shape.D), padded(S, ROWS), shape.D_whole)
                for part in block.key_value(memory).chunk(2, -1)
            )
            panels = keys.reshape(-1, ROWS, *keys.shape[1:]).transpose(2, 0, 3, 1)  # (H, S / 16, D, 16)
            self.memory.keys[layer, slot, :, : panels.shape[1]] = panels
            wide = values.reshape(len(values), shape.H, -1, ROWS).transpose(1, 2, 0, 3)  # (H, D / 16, S, 16)
            self.memory.values[layer, slot, :, :, : wide.shape[2]] = wide


def _padded(x: Floats, positions: int, width: int) -> Floats:
    """`(S, H, D)` with zeros behind."""
    return np.pad(x, ((0, positions - x.shape[0]), (0, 0), (0, width - x.shape[2])))


def _add_linear(layout: Layout, linear: Any, rows: Parts, columns: Parts, width: int = 0) -> None:
    layout.add_matrix(linear.weight, rows, columns, width=width)
    layout.add_vector(linear.bias, rows)
