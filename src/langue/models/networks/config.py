"""The settings of the networks: one dial, the numbers behind it, and what later papers changed.

A number that is 0 is taken from the size: `shape` has them all.
"""

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar

from langue.base.bounds import (
    Fraction,
    Layers,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Tokens,
)
from langue.base.config import Config
from langue.nn.recurrent import Cell

P = TypeVar("P", bound=NamedTuple)


def filled_in(config: Config, preset: P) -> P:
    """The numbers of a size, but for those that a configuration gives."""
    given = {name: getattr(config, name, 0) for name in preset._fields}
    return preset._replace(**{name: number for name, number in given.items() if number})


class Shape(NamedTuple):
    """Of a Transformer."""

    layers: int
    width: int
    heads: int
    context: int


class GPT2Config(Config, frozen=True):
    init_from: str = ""  # what it was initialized from: a model folder, or what langue imports
    size: Literal["tiny", "small", "base"] = "tiny"  # learns a megabyte in minutes on two cores
    layers: Layers = 0
    width: NonNegativeInt = 0
    heads: NonNegativeInt = 0
    context: Tokens = 0
    dropout: Fraction = 0.0  # 0.1 helps after many epochs
    # Not of the paper; each is off as in the published model.
    position: Literal["learned", "rotary"] = "learned"  # Su et al. 2021
    norm: Literal["layer", "rms"] = "layer"  # Zhang and Sennrich 2019
    activation: Literal["gelu", "relu2", "swiglu"] = "gelu"  # So et al. 2021; Shazeer 2020
    qk_norm: bool = False  # Henry et al. 2020
    key_value_heads: NonNegativeInt = 0  # fewer than heads: grouped queries (Ainslie et al. 2023)
    d_ff: NonNegativeInt = 0  # width within the MLP: 4 times the other; of a gated one 8/3, rounded to 8
    bias: bool = True  # of linear layers and layer norms
    norm_eps: NonNegativeFloat = 0.0  # of every norm; 0: 1e-5, and in qk_norm 1.2e-7, as it was once
    rope_theta: PositiveFloat = 10_000.0  # base of the angles of rotary positions
    tied: bool = True  # the head is the embedding
    z_loss: NonNegativeFloat = 0.0  # 1e-4 in Chowdhery et al. 2022

    def check(self) -> None:
        _whole_heads(self.shape)
        heads, D = self.shape.heads, self.shape.width // self.shape.heads
        if self.position == "rotary" and D % 2:
            raise ValueError(f"rotary positions need an even head width, not {D}")
        if self.key_value_heads and heads % self.key_value_heads:
            raise ValueError(f"heads {heads} is not a multiple of key_value_heads {self.key_value_heads}")

    @property
    def shape(self) -> Shape:
        return filled_in(self, GPT2_SIZES[self.size])

    @property
    def groups(self) -> int:
        """Heads of keys and values."""
        return self.key_value_heads or self.shape.heads

    @property
    def inner_width(self) -> int:
        """Of the MLP. A gated one has three matrices: two thirds of the width keep their size."""
        C = self.shape.width
        return self.d_ff or (8 * round(C / 3) if self.activation == "swiglu" else 4 * C)

    @property
    def eps(self) -> float:
        """Of the norms of vectors."""
        return self.norm_eps or 1e-5

    @property
    def qk_norm_eps(self) -> float | None:
        """Of the norms of queries and keys; none: they have none."""
        return (self.norm_eps or 2.0**-23) if self.qk_norm else None


# "base" is the GPT-2 of 124 million parameters
GPT2_SIZES = {"tiny": Shape(4, 256, 4, 256), "small": Shape(6, 384, 6, 256), "base": Shape(12, 768, 12, 1024)}
# The options of Qwen3, all of which other engines load: `langue export` writes such a model as one.
QWEN3: dict[str, Any] = {
    "position": "rotary", "norm": "rms", "activation": "swiglu", "qk_norm": True, "bias": False,
    "norm_eps": 1e-6,
}  # fmt: skip


def qwen3(layers: int, width: int, heads: int, context: int) -> dict[str, Any]:
    """The settings of a model of that shape: within the MLP 8/3 of the width, in whole blocks of 64."""
    d_ff = 64 * math.ceil(8 * width / 3 / 64)
    return {"layers": layers, "width": width, "heads": heads, "context": context, "d_ff": d_ff} | QWEN3


class TransformerConfig(Config, frozen=True):
    init_from: str = ""  # another transformer: a model folder, as one that learned gap sentences
    size: Literal["tiny", "small", "base"] = "tiny"
    layers: Layers = 0  # of the encoder, and as many of the decoder
    width: NonNegativeInt = 0
    heads: NonNegativeInt = 0
    context: Tokens = 0  # tokens of a part of a document
    separator: str = ""  # of an earlier version, text between source and target: prepare pairs instead
    norm: Literal["post", "pre"] = "post"  # the paper's; "pre" learns without a warm-up (Xiong et al. 2020)
    copy_attention: bool = False  # a pointer-generator, which copies from the source (See et al. 2017)
    source_loss: bool = True  # learn the sources of pairs too; without them a network learns targets faster
    dropout: Fraction = 0.0  # the paper's 0.1 is for many epochs

    def check(self) -> None:
        _whole_heads(self.shape)
        if self.shape.width % 2:
            raise ValueError(f"sinusoidal positions need an even width, not {self.shape.width}")

    @property
    def shape(self) -> Shape:
        return filled_in(self, TRANSFORMER_SIZES[self.size])


# "base" is the paper's (table 3); the others learn in minutes on two cores
TRANSFORMER_SIZES = {
    "tiny": Shape(2, 128, 4, 128),
    "small": Shape(3, 256, 4, 128),
    "base": Shape(6, 512, 8, 256),
}


def _whole_heads(shape: Shape) -> None:
    if shape.width % shape.heads:
        raise ValueError(f"width {shape.width} is not a multiple of heads {shape.heads}")


class RNNShape(NamedTuple):
    layers: int
    width: int
    context: int
    spread: float  # initial weights are uniform in ± this


class RNNConfig(Config, frozen=True):
    RENAMED: ClassVar[Mapping[str, str]] = {"locked": "variational_dropout"}

    size: Literal["small", "medium", "large"] = "small"
    cell: Cell = "lstm"  # elman shows the vanishing gradient; gru is a quarter smaller
    layers: Layers = 0
    width: NonNegativeInt = 0
    context: Tokens = 0  # tokens the gradient goes back through; the state itself has no bound
    dropout: Fraction = 0.0  # many epochs over little text want 0.5
    variational_dropout: bool = False
    weight_drop: Fraction = 0.0
    tied: bool = False  # input and output embedding are one: fewer weights, better on little text

    @property
    def shape(self) -> RNNShape:
        return filled_in(self, RNN_SIZES[self.size])


# The three models of Zaremba et al. 2014, section 4.1.
RNN_SIZES = {
    "small": RNNShape(2, 200, 20, 0.1),
    "medium": RNNShape(2, 650, 35, 0.05),
    "large": RNNShape(2, 1500, 35, 0.04),
}


class CharCNNShape(NamedTuple):
    layers: int
    width: int
    filters: tuple[int, ...]  # of width 1, 2, ...
    highways: int


class CharCNNConfig(Config, frozen=True):
    size: Literal["small", "large"] = "small"
    layers: Layers = 0
    width: NonNegativeInt = 0
    context: PositiveInt = 35  # tokens the gradient goes back through
    characters: PositiveInt = 15  # width of a character's vector
    dropout: Fraction = 0.0  # the paper's 0.5 is for many epochs

    @property
    def shape(self) -> CharCNNShape:
        return filled_in(self, CHARCNN_SIZES[self.size])


# The two models of Kim et al. 2016, table 2.
CHARCNN_SIZES = {
    "small": CharCNNShape(2, 300, (25, 50, 75, 100, 125, 150), 1),
    "large": CharCNNShape(2, 650, (50, 100, 150, 200, 200, 200, 200), 2),
}


class NPLMShape(NamedTuple):
    order: int  # n
    width: int  # m
    hidden: int  # h


class NPLMConfig(Config, frozen=True):
    size: Literal["small", "medium", "large"] = "medium"
    order: NonNegativeInt = 0  # sees order - 1 tokens
    width: NonNegativeInt = 0
    hidden: NonNegativeInt = 0
    direct: bool = False  # W: learns faster, generalizes a little less (section 4.2)
    dropout: Fraction = 0.0  # 0.3 helps after many epochs

    def check(self) -> None:
        if self.order == 1:
            raise ValueError("order 1 sees no word at all; take 2 or more, or the family ngram")

    @property
    def shape(self) -> NPLMShape:
        return filled_in(self, NPLM_SIZES[self.size])


# small: the size of the paper's on the Brown corpus; the others: what 5 and 50 MB of text can fill
NPLM_SIZES = {
    "small": NPLMShape(5, 30, 100),
    "medium": NPLMShape(5, 100, 300),
    "large": NPLMShape(6, 200, 800),
}
