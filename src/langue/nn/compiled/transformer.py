"""The weights of a causal Transformer as the compiled step reads them."""

from typing import NamedTuple

import numpy as np

from langue.base.arrays import Array, Float64Array, Floats, Ids, Int64Array
from langue.nn.cache import Slots
from langue.nn.compiled.choice import Writing
from langue.nn.compiled.crew import Crew
from langue.nn.compiled.drafting import MOST, new_pace, pays
from langue.nn.compiled.layout import Layout, add_norm, aligned, array_of, room_for
from langue.nn.compiled.panels import PIECE, ROWS, padded
from langue.nn.compiled.plan import Plan
from langue.nn.compiled.rows import GELU, RELU2, SWIGLU
from langue.nn.compiled.shares import AT_ONCE
from langue.nn.compiled.transformer_step import Shape, read, write
from langue.nn.fast.compiled_step import Weights

ACTIVATIONS = {"gelu": GELU, "relu2": RELU2, "swiglu": SWIGLU}


class Room(NamedTuple):
    """Room of one caller.

    Attributes:
        a: where what is multiplied stands, and the same of a draft.
        pace: of `drafting`; empty: nothing is drafted.
    """

    a: tuple[Array, Array]
    pace: Float64Array


class CompiledTransformer:
    """Weights laid out for the compiled step."""

    def __init__(self, plan: Plan, weights: Weights | None = None) -> None:
        (V, C), H, G = plan.table.shape, plan.heads, plan.groups
        D = C // H
        Cw, Dw, Tw, Vw = padded(C, PIECE), padded(D, ROWS), padded(plan.window, PIECE), padded(V, ROWS)
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
        self.eps = np.array([plan.eps, plan.qk_norm_eps or 0.0], np.float32)
        self.table, self.positions = array_of(plan.table), array_of(plan.positions)
        self.kind = weights
        layout = Layout(weights)
        one, each, split = (1, C, Cw), (H + 2 * G, D, Dw), (2 if gated else 1, inner, wide)
        for block in plan.blocks:
            for norm in (block.ln_1, block.ln_2):
                add_norm(layout, norm, one)
            layout.add_matrix(block.c_attn.weight, each, one)
            layout.add_vector(block.c_attn.bias, each)
            layout.add_matrix(block.c_proj.weight, one, (H, D, Dw), width=self.shape.mixed)
            layout.add_vector(block.c_proj.bias, one)
            layout.add_matrix(block.up.weight, split, one)
            layout.add_vector(block.up.bias, split)
            layout.add_matrix(block.down.weight, one, (1, inner, wide))
            layout.add_vector(block.down.bias, one)
            for index in range(2):
                gains = block.qk_norms[index].weight if len(block.qk_norms) else np.ones(D)
                layout.add_vector(gains, (1, D, Dw))
        add_norm(layout, plan.last, one)
        layout.add_matrix(plan.head, (1, V, Vw), one)
        matrices, scales = layout.matrices, layout.scales
        self.work = len(matrices)  # numbers that each token is multiplied by
        self.drafts = weights is None and pays(self.work)
        draft = layout.quantized() if self.drafts else (matrices[:0], scales[:0])
        self.weights = (
            self.sizes, self.eps, self.table, self.positions, (matrices, draft[0]), (scales, draft[1]),
            layout.vectors,
        )  # fmt: skip
        ids = np.empty(0, np.int64)
        none = np.empty(0, np.float32)
        nothing = *self.weights, none, none, ids, ids, ids, ids, self.room().a, none
        self.crew = Crew(read, nothing, largest=Cw * max(Vw, self.shape.up))

    def room(self) -> "Room":
        """Each caller needs his own."""
        width = max(self.shape.C_whole, self.shape.mixed, self.shape.inner)
        own = room_for(AT_ONCE * width, weights=self.kind)
        if self.drafts:
            return Room((own, room_for(width, weights="int8")), new_pace())
        return Room((own, own[:0]), np.empty(0))

    def read(
        self, cache: "CompiledCache", room: "Room", ids: Ids, slots: Ids, at: Ids, wanted: Ids
    ) -> Floats:
        """Read tokens, those of a row one after another; log-probabilities after those wanted: `(W, V)`."""
        log_probs = np.empty((len(wanted), self.shape.V_whole), np.float32)
        self.crew.call(*self.weights, *cache.flat(), ids, slots, at, wanted, room.a, log_probs.reshape(-1))
        return log_probs[:, : self.shape.V]

    def write(
        self, cache: "CompiledCache", room: "Room", unread: Int64Array, last: Floats, slots: Ids,
        following: Ids, writing: Writing, mixture: tuple[object, ...] = (),
    ) -> None:  # fmt: skip
        """Write rows on.

        Args:
            unread: `(4, B)`, what `read` is given of each row's last token; `(4, 0)`: `last`, distributions
                `(B, V)`, are known.
            slots, following, writing, mixture: of `transformer_step.write`.
        """
        rows = max(len(slots), MOST + 1 if self.drafts else 0)
        log_probs = np.empty((rows, self.shape.V_whole), np.float32)
        if not unread.size:
            log_probs[: len(slots), : self.shape.V] = last
        self.crew.lead(
            write, *self.weights, *cache.flat(), *unread, room.a, log_probs.reshape(-1), slots, following,
            writing.arrays(), room.pace, mixture,
        )  # fmt: skip


class CompiledCache(Slots):
    """Keys and values, `(L, slots, numbers of a row)` each."""

    first = False  # the step reads any

    def __init__(self, step: CompiledTransformer, rows: int = 0) -> None:
        super().__init__()
        self.step = step
        self._parts = self._empty(rows)
        self.add(rows)

    def _empty(self, rows: int) -> tuple[Floats, Floats]:
        shape = self.step.shape
        size = (shape.L, rows, shape.G * shape.T_whole * shape.D_whole)
        return aligned(size, np.float32), aligned(size, np.float32)

    @property
    def parts(self) -> tuple[Floats, Floats]:
        """With room for all rows."""
        held, rows = self._parts[0].shape[1], self.needed
        if rows > held:
            whole = self._empty(max(rows, 2 * held))
            for new, old in zip(whole, self._parts, strict=True):
                new[:, :held] = old
            self._parts = whole
        return self._parts

    def flat(self) -> list[Floats]:
        return [part.reshape(-1) for part in self.parts]

    def copy(self, leave: list[int], enter: list[int]) -> None:
        for part in self.parts:
            part[:, enter] = part[:, leave]
