"""The weights of an encoder–decoder's decoder as the compiled step reads them, and what it remembers of rows.

A source is encoded by torch, once; here stand the keys and values that the decoder makes of its memory.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from langue.base.arrays import Array, Floats, Ids, Int64Array
from langue.nn.cache import Slots
from langue.nn.compiled.choice import NOTHING, Writing
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
        matrices, scales = layout.matrices, layout.scales
        self.weights = (
            tuple(map(int, self.shape)), np.array([plan.eps], np.float32), array_of(plan.table),
            (matrices, matrices[:0]), (scales, scales[:0]), layout.vectors,  # nothing is drafted
        )  # fmt: skip
        self._embedded = np.zeros((0, C), np.float32)
        self._alone: tuple[int, Memory] | None = None  # of a source of one token, which it is
        self.work = len(matrices)  # numbers that each token is multiplied by
        self.drafts = False
        ids, none = np.empty(0, np.int64), np.empty(0, np.float32)
        self.unwritten = ids, ids, NOTHING  # what tokens are read with alone
        nothing = (
            *self.weights, self._embedded, none, none, none, none, np.zeros(2, np.int64), ids,
            ids, ids, ids, ids, self.room(), none, *self.unwritten,
        )  # fmt: skip
        self.crew = Crew(step, nothing, largest=Cw * max(Vw, wide))

    def room(self) -> tuple[Array, Array]:
        """What is multiplied stands there; each caller needs his own."""
        width = max(self.shape.C_whole, self.shape.mixed, self.shape.inner)
        own = room_for(AT_ONCE * width, weights=self.kind)
        return own, own[:0]

    def embedded(self, positions: int) -> Floats:
        """So many positions, or more, `(T, C)`."""
        known = self._embedded
        if len(known) < positions:
            known = self._embedded = array_of(self.plan.positions(positions))
        return known

    def memory_of(self, source: list[int], encode: Callable[[list[int]], torch.Tensor]) -> "Memory":
        """What the decoder makes of the memory `(1, S, C)` that a source is encoded to. That of a single
        token, which is what stands before most documents, is made once."""
        if len(source) > 1:
            return self._made_of(encode(source)[0])
        known = self._alone
        if known is None or known[0] != source[0]:
            known = self._alone = source[0], self._made_of(encode(source)[0])
        return known[1]

    @torch.inference_mode()
    def _made_of(self, memory: torch.Tensor) -> "Memory":
        shape, S = self.shape, len(memory)
        L, H, D, Dw = shape.L, shape.H, shape.D, shape.D_whole
        wide = padded(S, ROWS)
        keys = np.empty((L, H, wide // ROWS, Dw, ROWS), np.float32)
        values = np.empty((L, H, Dw // ROWS, wide, ROWS), np.float32)
        whole = np.zeros((2, H, wide, Dw), np.float32)
        for layer, block in enumerate(self.plan.blocks):
            whole[:, :, :S, :D] = array_of(block.key_value(memory)).reshape(S, 2, H, D).transpose(1, 2, 0, 3)
            keys[layer] = whole[0].reshape(H, -1, ROWS, Dw).swapaxes(2, 3)
            values[layer] = whole[1].reshape(H, wide, -1, ROWS).swapaxes(1, 2)
        return Memory(keys, values, S)

    def read(
        self, cache: "Seq2SeqCache", room: tuple[Array, Array], ids: Ids, slots: Ids, at: Ids, wanted: Ids
    ) -> Floats:
        """Read tokens, those of a row one after another; log-probabilities after those wanted: `(W, V)`."""
        log_probs = np.empty((len(wanted), self.shape.V_whole), np.float32)
        self.crew.call(
            *self.weights, *cache.flat(int(at.max(initial=0)) + 1), ids, slots, at, wanted, room,
            log_probs.reshape(-1), *self.unwritten,
        )  # fmt: skip
        return log_probs[:, : self.shape.V]

    def write(
        self, cache: "Seq2SeqCache", room: tuple[Array, Array], unread: Int64Array, last: Floats, slots: Ids,
        following: Ids, writing: Writing,
    ) -> None:  # fmt: skip
        """Write rows on, as `CompiledTransformer.write` does."""
        log_probs = np.empty((len(slots), self.shape.V_whole), np.float32)
        if not unread.size:
            log_probs[:, : self.shape.V] = last
        self.crew.call(
            *self.weights, *cache.flat(int(following.max()) + writing.tokens.shape[1]), *unread, room,
            log_probs.reshape(-1), slots, following, writing.arrays(),
        )  # fmt: skip


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


class Memory(NamedTuple):
    """Keys and values of the memory of a source, in such panels."""

    keys: Floats  # (L, H, S / 16, D, 16)
    values: Floats  # (L, H, D / 16, S, 16)
    positions: int


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

    def room(self, positions: int) -> tuple[Panels, Panels]:
        """For all rows, and so many positions."""
        rows = self.needed
        self.own = self.own.grown(rows, max(positions, POSITIONS))
        self.memory = self.memory.grown(rows, POSITIONS)
        if len(self.looked_at) < rows:
            self.looked_at = np.pad(self.looked_at, (0, rows - len(self.looked_at)))
        return self.own, self.memory

    def flat(self, positions: int) -> tuple[Array, ...]:
        """As the step takes it, with room for all rows, and so many positions."""
        own, memory = self.room(positions)
        sizes = np.array([own.positions, memory.positions], np.int64)
        embedded = self.step.embedded(own.positions)
        return embedded, *(part.reshape(-1) for part in (*own, *memory)), sizes, self.looked_at

    def copy(self, leave: list[int], enter: list[int]) -> None:
        self.room(0)
        for part in (*self.own, *self.memory):
            part[:, enter] = part[:, leave]
        self.looked_at[enter] = self.looked_at[leave]

    def remember(self, slot: int, memory: Memory) -> None:
        """A row looks at the memory of a source."""
        self.room(POSITIONS)
        self.memory = self.memory.grown(0, memory.positions)
        self.looked_at[slot] = memory.positions
        self.memory.keys[:, slot, :, : memory.keys.shape[2]] = memory.keys
        self.memory.values[:, slot, :, :, : memory.values.shape[3]] = memory.values


def _add_linear(layout: Layout, linear: Any, rows: Parts, columns: Parts, width: int = 0) -> None:
    layout.add_matrix(linear.weight, rows, columns, width=width)
    layout.add_vector(linear.bias, rows)
