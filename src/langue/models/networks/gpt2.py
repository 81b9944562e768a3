"""`gpt2`: a causal Transformer with pre-layer norm (Radford et al. 2019, section 2.3).

Deviates from the released GPT-2 in nothing that changes a score: the parameters have its names and
shapes (linear weights transposed), and go both ways through `from_hf` and `to_hf`.
Dropout is off unless asked for. What later papers changed is off by default and switches one by one.
Letters: B batch, T time, C channels, H heads, G heads of keys and values, D head width, V vocabulary.
"""

import math
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import msgspec
import torch
import torch.nn.functional as F
from torch import nn

from langue.base.config import Config
from langue.base.errors import LangueError
from langue.base.seeds import derive
from langue.models.family import Family
from langue.nn.attention import Attention, Mask, Past, Rotation, packed_mask, rotation
from langue.nn.dropout import Dropout
from langue.nn.fast.cross_entropy import head_cross_entropy
from langue.nn.weights import load_state, load_weights, save_weights
from langue.nn.windowed import Windowed
from langue.protocols import Causal, Vocabulary
from langue.tokens.batches import Batch

Count = Annotated[int, msgspec.Meta(ge=0)]
# size → layers, width, heads, context; "base" is the GPT-2 of 124 million parameters
SIZES = {"tiny": (4, 256, 4, 256), "small": (6, 384, 6, 256), "base": (12, 768, 12, 1024)}


class GPT2Config(Config, frozen=True):
    """One dial, and the numbers behind it: 0 takes what the size says."""

    size: Literal["tiny", "small", "base"] = "tiny"  # learns a megabyte in minutes on two cores
    layers: Count = 0
    width: Count = 0
    heads: Count = 0
    context: Count = 0
    dropout: Annotated[float, msgspec.Meta(ge=0.0, lt=1.0)] = 0.0  # 0.1 helps after many epochs
    # Not of the paper; each is off as in the released model.
    position: Literal["learned", "rotary"] = "learned"  # Su et al. 2021
    norm: Literal["layer", "rms"] = "layer"  # Zhang and Sennrich 2019
    activation: Literal["gelu", "relu2", "swiglu"] = "gelu"  # So et al. 2021; Shazeer 2020
    qk_norm: bool = False  # Henry et al. 2020
    key_value_heads: Count = 0  # fewer than heads: grouped queries (Ainslie et al. 2023)
    tied: bool = True  # the head is the embedding
    z_loss: Annotated[float, msgspec.Meta(ge=0.0)] = 0.0  # 1e-4 in Chowdhery et al. 2022

    def check(self) -> None:
        shape = self.shape
        if shape.width % shape.heads:
            raise ValueError(f"width {shape.width} is not a multiple of heads {shape.heads}")
        if self.position == "rotary" and shape.width // shape.heads % 2:
            raise ValueError(f"rotary positions need an even head width, not {shape.width // shape.heads}")
        if self.key_value_heads and shape.heads % self.key_value_heads:
            raise ValueError(
                f"heads {shape.heads} is not a multiple of key_value_heads {self.key_value_heads}"
            )

    @property
    def shape(self) -> "Shape":
        given = (self.layers, self.width, self.heads, self.context)
        return Shape(*(own or default for own, default in zip(given, SIZES[self.size], strict=True)))


class Shape(NamedTuple):
    layers: int
    width: int
    heads: int
    context: int


class MLP(nn.Module):
    def __init__(self, C: int, activation: str) -> None:
        super().__init__()
        self.activation = activation
        # A gated layer has three matrices: two thirds of the width, rounded to 8, keep their size.
        inner = 8 * round(C / 3) if activation == "swiglu" else 4 * C
        self.c_fc = nn.Linear(C, 2 * inner if activation == "swiglu" else inner)
        self.c_proj = nn.Linear(inner, C)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.c_fc(x)
        if self.activation == "gelu":
            x = F.gelu(x, approximate="tanh")
        elif self.activation == "relu2":
            x = F.relu(x).square()
        else:
            gate, x = x.chunk(2, -1)
            x = F.silu(gate) * x
        return self.c_proj(x)


class Block(nn.Module):
    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        C, H = config.shape.width, config.shape.heads
        norm = nn.LayerNorm if config.norm == "layer" else nn.RMSNorm
        self.ln_1 = norm(C, eps=1e-5)
        self.attn = Attention(
            C, H, config.key_value_heads or H, dropout=config.dropout, qk_norm=config.qk_norm
        )
        self.ln_2 = norm(C, eps=1e-5)
        self.mlp = MLP(C, config.activation)
        self.drop = Dropout(config.dropout)

    def forward(
        self, x: torch.Tensor, mask: Mask, rotation: Rotation | None, past: Past | None
    ) -> torch.Tensor:
        x = x + self.drop(self.attn(self.ln_1(x), mask, rotation, past))
        return x + self.drop(self.mlp(self.ln_2(x)))


class GPT2(Windowed):
    """A `Causal` model. It reads `<eos>` before the first token of a document."""

    def __init__(self, config: GPT2Config, vocabulary: Vocabulary) -> None:
        L, C, _, T = config.shape
        super().__init__(vocabulary, window=T)
        self.config = config
        self.wte = nn.Embedding(vocabulary.size, C)
        self.wpe = nn.Embedding(T, C) if config.position == "learned" else None
        self.drop = Dropout(config.dropout)
        self.h = nn.ModuleList(Block(config) for _ in range(L))
        self.ln_f = (nn.LayerNorm if config.norm == "layer" else nn.RMSNorm)(C, eps=1e-5)
        self.lm_head = None if config.tied else nn.Linear(C, vocabulary.size, bias=False)

    @torch.no_grad()
    def initialize(self, seed: int) -> None:
        """Weights ~ N(0, 0.02), those that write to the residual stream / √(2 layers); biases 0."""
        draw = torch.Generator().manual_seed(derive(seed, "weights") % 2**63)
        for name, parameter in self.named_parameters():
            if parameter.ndim < 2:
                parameter.fill_(1.0 if name.endswith("weight") else 0.0)  # the gain of a norm; a bias
                continue
            std = 0.02 / math.sqrt(2 * len(self.h)) if name.endswith("c_proj.weight") else 0.02
            parameter.copy_(torch.randn(parameter.shape, generator=draw) * std)

    def forward(
        self, ids: torch.Tensor, positions: torch.Tensor, mask: Mask, past: Past | None = None
    ) -> torch.Tensor:
        """Hidden states `(B, T, C)` of ids `(B, T)`."""
        x = self.wte(ids)
        rope = None
        if self.wpe is not None:
            x = x + self.wpe(positions)
        else:
            rope = rotation(positions, self.config.shape.width // self.config.shape.heads)
        x = self.drop(x)
        for block in self.h:
            x = block(x, mask, rope, past)
        return self.ln_f(x)

    @property
    def head(self) -> torch.Tensor:
        return self.wte.weight if self.lm_head is None else self.lm_head.weight

    def loss(self, batch: Batch) -> torch.Tensor:
        """Sum of the cross-entropies, in nats, of the targets of a packed batch."""
        inputs, targets, positions, segments = (torch.from_numpy(part).to(self.device) for part in batch)
        x = self(inputs, positions, packed_mask(segments))
        return head_cross_entropy(x.flatten(0, 1), self.head, targets.flatten(), z_loss=self.config.z_loss)

    def flops_per_token(self) -> float:
        """Of one training step: 6 for each weight that multiplies, 6 T C for each layer's attention,
        which is the half of all pairs that it sees."""
        L, C, _, T = self.config.shape
        matrices = (parameter for parameter in self.h.parameters() if parameter.ndim == 2)
        weights = sum(matrix.numel() for matrix in matrices) + self.head.numel()
        return 6.0 * weights + 6.0 * L * C * T

    def save(self, folder: Path) -> None:
        save_weights(self, folder)


def from_hf(config: GPT2Config, vocabulary: Vocabulary, weights: dict[str, torch.Tensor]) -> GPT2:
    """The model with the weights of a `GPT2LMHeadModel` (or `GPT2Model`) of Hugging Face.

    Raises:
        LangueError: the weights are of another shape or kind of model.
    """
    names = {name: name.removeprefix("transformer.") for name in weights}
    kept = {
        short: weights[name].T if _transposed(short) else weights[name]
        for name, short in names.items()
        if not short.endswith((".attn.bias", ".attn.masked_bias"))  # masks, in older files
        and not (config.tied and short == "lm_head.weight")
    }
    model = GPT2(config, vocabulary)
    load_state(model, kept, "what was given")
    return model


def to_hf(model: GPT2) -> dict[str, torch.Tensor]:
    """The weights as `GPT2LMHeadModel` of Hugging Face has them.

    Raises:
        LangueError: the model has an option that GPT-2 had not.
    """
    plain = GPT2Config()
    for option in ("position", "norm", "activation", "qk_norm", "key_value_heads", "tied"):
        if getattr(model.config, option) != getattr(plain, option):
            raise LangueError(f"GPT-2 has no {option} = {getattr(model.config, option)}; train without it")
    state = {
        f"transformer.{name}": (tensor.T if _transposed(name) else tensor).contiguous()
        for name, tensor in model.state_dict().items()
    }
    return state | {"lm_head.weight": model.head.detach()}


def _transposed(name: str) -> bool:
    """GPT-2 keeps the weights of its linear layers as `(in, out)`."""
    return name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight"))


def build(config: GPT2Config, vocabulary: Vocabulary, seed: int) -> GPT2:
    """A model with random weights."""
    model = GPT2(config, vocabulary)
    model.initialize(seed)
    return model


def load(folder: Path, config: GPT2Config, vocabulary: Vocabulary) -> GPT2:
    """Read the weights of a model folder."""
    return load_weights(GPT2(config, vocabulary), folder)


FAMILY = Family(
    name="gpt2",
    summary="causal Transformer (GPT-2)",
    makes=Causal,
    config=GPT2Config,
    estimated_by="gradient",
    load=load,
    build=build,
)
