"""`gpt2`: a causal Transformer with pre-layer norm (Radford et al. 2019, section 2.3).

Deviates from the released GPT-2 in nothing that changes a score: the parameters have its names and shapes
(linear weights transposed). What later papers changed is off by default and switches one by one; all of it
together, as `config.QWEN3` has it, is the block of Qwen3 (Yang et al. 2025).
Letters: B batch, T time, C channels, H heads, G heads of keys and values, D head width, V vocabulary.
"""

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from langue.models.family import Family
from langue.models.networks.choose import choose_gpt2
from langue.models.networks.config import GPT2Config
from langue.models.networks.init_from import INIT_GPT2
from langue.nn.attended import Attended
from langue.nn.attention import Attention
from langue.nn.cache import Past
from langue.nn.cross_entropy import linear_cross_entropy
from langue.nn.dropout import Dropout
from langue.nn.gelu import gelu
from langue.nn.initial import normal_weights
from langue.nn.linear import Linear
from langue.nn.mask import Mask, packed_mask
from langue.nn.norm import norm
from langue.nn.recompute import recomputed
from langue.nn.rope import Rope, rope_angles
from langue.nn.weights import load_weights
from langue.protocols import Causal, Vocabulary
from langue.tokens.batch import Batch


class MLP(nn.Module):
    def __init__(self, C: int, d_ff: int, activation: str, bias: bool) -> None:
        super().__init__()
        self.activation = activation
        self.c_fc = Linear(C, 2 * d_ff if activation == "swiglu" else d_ff, bias)  # gates above the rest
        self.c_proj = Linear(d_ff, C, bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.c_fc(x)
        if self.activation == "gelu":
            return recomputed(gelu_tanh, x, self.c_proj)
        if self.activation == "relu2":
            return recomputed(torch.square, F.relu(x), self.c_proj)
        return recomputed(swiglu, x, self.c_proj)


def gelu_tanh(x: Tensor) -> Tensor:
    return gelu(x, approximate="tanh")


def swiglu(x: Tensor) -> Tensor:
    gate, x = x.chunk(2, -1)
    return F.silu(gate) * x


class Block(nn.Module):
    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        C, H, p, bias = config.shape.width, config.shape.heads, config.dropout, config.bias
        self.ln_1 = norm(config.norm, C, config.eps, bias)
        self.attn = Attention(C, H, config.groups, bias=bias, dropout=p, qk_norm=config.qk_norm_eps)
        self.ln_2 = norm(config.norm, C, config.eps, bias)
        self.mlp = MLP(C, config.inner_width, config.activation, bias)
        self.drop = Dropout(p)

    def forward(self, x: Tensor, mask: Mask, rope: Rope | None, past: Past | None) -> Tensor:
        x = x + self.drop(self.attn(self.ln_1(x), mask, rope, past))
        return x + self.drop(self.mlp(self.ln_2(x)))


class GPT2(Attended):
    """A `Causal` model. It reads `<eos>` before the first token of a document."""

    def __init__(self, config: GPT2Config, vocabulary: Vocabulary) -> None:
        L, C, H, T = config.shape
        super().__init__(vocabulary, window=T)
        self.config, self.D = config, C // H
        self.wte = nn.Embedding(vocabulary.size, C)
        self.wpe = nn.Embedding(T, C) if config.position == "learned" else None
        self.drop = Dropout(config.dropout)
        self.h = nn.ModuleList(Block(config) for _ in range(L))
        self.ln_f = norm(config.norm, C, config.eps, config.bias)
        self.lm_head = None if config.tied else Linear(C, vocabulary.size, bias=False)

    def initialize(self, seed: int) -> None:
        """Weights ~ N(0, 0.02²), those that write to the residual stream / √(2 layers); biases 0."""
        last = 0.02 / math.sqrt(2 * len(self.h))
        normal_weights(self, seed, lambda name: last if name.endswith("c_proj.weight") else 0.02)

    def forward(self, ids: Tensor, positions: Tensor, mask: Mask, past: Past | None = None) -> Tensor:
        """Hidden states `(B, T, C)` of ids `(B, T)`."""
        x, rope = self.wte(ids), None
        if self.wpe is not None:
            x = x + self.wpe(positions)
        else:
            rope = rope_angles(positions, self.D, self.config.rope_theta)
        x = self.drop(x)
        for block in self.h:
            x = block(x, mask, rope, past)
        return self.ln_f(x)

    @property
    def head(self) -> Tensor:
        return self.wte.weight if self.lm_head is None else self.lm_head.weight

    def loss(self, batch: Batch) -> Tensor:
        """Sum of the cross-entropies, in nats, of the targets of a packed batch."""
        inputs, targets, positions, segments = (torch.from_numpy(part).to(self.head.device) for part in batch)
        x = self(inputs, positions, packed_mask(segments))
        return linear_cross_entropy(x.flatten(0, 1), self.head, targets.flatten(), z_loss=self.config.z_loss)

    def flops_per_token(self) -> float:
        """Of one training step: 6 for each weight that multiplies, 6 T C for each layer's attention,
        which is the half of all pairs that it sees."""
        L, C, _, T = self.config.shape
        matrices = (matrix for matrix in (*self.h.parameters(), self.head) if matrix.ndim == 2)
        return 6.0 * sum(matrix.numel() for matrix in matrices) + 6.0 * L * C * T


def build(config: GPT2Config, vocabulary: Vocabulary, seed: int) -> GPT2:
    """A model with random weights."""
    model = GPT2(config, vocabulary)
    model.initialize(seed)
    return model


def load(folder: Path, config: GPT2Config, vocabulary: Vocabulary) -> GPT2:
    """Read the weights of a model folder."""
    return load_weights(lambda: GPT2(config, vocabulary), folder)


FAMILY = Family(
    name="gpt2",
    summary="causal Transformer (GPT-2)",
    makes=Causal,
    config=GPT2Config,
    estimated_by="gradient",
    load=load,
    build=build,
    init_from=INIT_GPT2,
    choose=choose_gpt2,
)
