"""`gpt2`: a causal Transformer with pre-layer norm (Radford et al. 2019, section 2.3).

Deviates from the released GPT-2 in nothing that changes a score: the parameters have its names and
shapes (linear weights transposed), so weights go both ways. Dropout is off unless asked for.
Letters: B batch, T time, C channels, H heads, D head width, V vocabulary.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import msgspec
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

from langue.base.config import Config
from langue.base.errors import LangueError
from langue.base.seeds import derive
from langue.models.layers.attention import attend, packed_mask
from langue.models.layers.device import best_device
from langue.models.layers.loss import head_cross_entropy
from langue.models.protocol import Floats, Ids, Vocabulary
from langue.models.registry import Family
from langue.tokens.batches import Batch

WEIGHTS = "weights.safetensors"
SCORED = 1 << 13  # positions scored at a time: logits of 8,192 x 8,192 in float32 are 256 MB

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

    def __post_init__(self) -> None:
        shape = self.shape
        if shape.width % shape.heads:
            raise ValueError(f"width {shape.width} is not a multiple of heads {shape.heads}")

    @property
    def shape(self) -> "Shape":
        given = (self.layers, self.width, self.heads, self.context)
        return Shape(*(own or default for own, default in zip(given, SIZES[self.size], strict=True)))


class Shape(NamedTuple):
    layers: int
    width: int
    heads: int
    context: int


Past = list[torch.Tensor]  # keys and values read before, `(B, H, S, D)` each


class Attention(nn.Module):
    def __init__(self, C: int, H: int, dropout: float) -> None:
        super().__init__()
        self.H = H
        self.dropout = dropout
        self.c_attn = nn.Linear(C, 3 * C)
        self.c_proj = nn.Linear(C, C)

    def forward(
        self, x: torch.Tensor, mask: torch.Tensor | None, past: list[torch.Tensor] | None
    ) -> torch.Tensor:
        B, T, C = x.shape
        q, k, v = (
            self.c_attn(x).view(B, T, 3, self.H, C // self.H).permute(2, 0, 3, 1, 4)
        )  # (B, H, T, D) each
        if past is not None:
            if past:
                k, v = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)
            past[:] = [k, v]
        y = attend(q, k, v, mask, self.dropout if self.training else 0.0)  # (B, H, T, D)
        return self.c_proj(y.transpose(1, 2).reshape(B, T, C))  # type: ignore[no-any-return]


class MLP(nn.Module):
    def __init__(self, C: int) -> None:
        super().__init__()
        self.c_fc = nn.Linear(C, 4 * C)
        self.c_proj = nn.Linear(4 * C, C)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))  # type: ignore[no-any-return]


class Block(nn.Module):
    def __init__(self, C: int, H: int, dropout: float) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(C)
        self.attn = Attention(C, H, dropout)
        self.ln_2 = nn.LayerNorm(C)
        self.mlp = MLP(C)
        self.drop = nn.Dropout(dropout)

    def forward(
        self, x: torch.Tensor, mask: torch.Tensor | None, past: list[torch.Tensor] | None
    ) -> torch.Tensor:
        x = x + self.drop(self.attn(self.ln_1(x), mask, past))
        return x + self.drop(self.mlp(self.ln_2(x)))  # type: ignore[no-any-return]


class GPT2(nn.Module):
    """A `Causal` model. It reads `<eos>` before the first token of a document."""

    def __init__(self, config: GPT2Config, vocabulary: Vocabulary) -> None:
        super().__init__()
        L, C, H, T = config.shape
        self.config = config
        self.vocabulary = vocabulary
        self.window: int | None = T
        self.stride: int | None = max(T // 2, 1)  # each token after the first window sees half of one
        self.carry: dict[str, torch.Tensor] = {}
        self.wte = nn.Embedding(vocabulary.size, C)
        self.wpe = nn.Embedding(T, C)
        self.drop = nn.Dropout(config.dropout)
        self.h = nn.ModuleList(Block(C, H, config.dropout) for _ in range(L))
        self.ln_f = nn.LayerNorm(C)

    @torch.no_grad()
    def initialise(self, seed: int) -> None:
        """Weights ~ N(0, 0.02), those that write to the residual stream / √(2 layers); biases 0."""
        draw = torch.Generator().manual_seed(derive(seed, "weights") % 2**63)
        for name, parameter in self.named_parameters():
            if parameter.ndim < 2:
                parameter.fill_(1.0 if "ln_" in name and name.endswith("weight") else 0.0)
                continue
            std = 0.02 / math.sqrt(2 * len(self.h)) if name.endswith("c_proj.weight") else 0.02
            parameter.copy_(torch.randn(parameter.shape, generator=draw) * std)

    def forward(
        self,
        ids: torch.Tensor,
        positions: torch.Tensor,
        mask: torch.Tensor | None,
        past: list[list[torch.Tensor]] | None = None,
    ) -> torch.Tensor:
        """Hidden states `(B, T, C)` of ids `(B, T)`; the head is the embedding, transposed."""
        x = self.drop(self.wte(ids) + self.wpe(positions))
        for index, block in enumerate(self.h):
            x = block(x, mask, past[index] if past is not None else None)
        return self.ln_f(x)  # type: ignore[no-any-return]

    def loss(self, batch: Batch) -> torch.Tensor:
        """Sum of the cross-entropies, in nats, of the targets of a packed batch."""
        inputs, targets, positions, segments = (torch.from_numpy(part).to(self.device) for part in batch)
        x = self(inputs, positions, packed_mask(segments))
        return head_cross_entropy(x.flatten(0, 1), self.wte.weight, targets.flatten())

    @property
    def device(self) -> torch.device:
        return self.wte.weight.device

    # Scoring. What a token is predicted from is a function of its place alone, see `_start`.

    def _start(self, place: int) -> int:
        """Where the window that predicts the token at `place` begins: it moves on by whole strides."""
        assert self.window and self.stride
        return max(0, -(-(place + 1 - self.window) // self.stride)) * self.stride

    @torch.inference_mode()
    def log_probs(self, sequences: Sequence[Ids]) -> list[Floats]:
        found = [np.empty(len(ids), np.float32) for ids in sequences]
        for batch in self._windows(sequences):
            T = max(end - start for _, start, _, end in batch)
            inputs = torch.zeros(len(batch), T, dtype=torch.int64)  # padding on the right: no one sees it
            targets = torch.zeros(len(batch), T, dtype=torch.int64)
            for row, (index, start, _, end) in enumerate(batch):
                ids = np.asarray(sequences[index][:end], np.int64)
                inputs[row, : end - start] = torch.from_numpy(np.r_[self.vocabulary.eos, ids[:-1]][start:end])
                targets[row, : end - start] = torch.from_numpy(ids[start:end])
            scores = self._token_scores(inputs.to(self.device), targets.to(self.device)).cpu().numpy()
            for row, (index, start, first, end) in enumerate(batch):
                found[index][first:end] = scores[row, first - start : end - start]
        return list(found)

    def _windows(self, sequences: Sequence[Ids]) -> list[list[tuple[int, int, int, int]]]:
        """Windows (sequence, begin, first token scored, end) in batches of nearly equal length."""
        windows = []
        for index, ids in enumerate(sequences):
            first = 0
            while first < len(ids):
                start = self._start(first)
                end = min(len(ids), start + (self.window or 1))
                windows.append((index, start, first, end))
                first = end
        windows.sort(key=lambda window: window[1] - window[3])
        batches: list[list[tuple[int, int, int, int]]] = []
        for window in windows:
            longest = batches[-1][0][3] - batches[-1][0][1] if batches else 0
            if not batches or (len(batches[-1]) + 1) * longest > SCORED:
                batches.append([])
            batches[-1].append(window)
        return batches

    def _token_scores(self, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Log-probability of each target `(B, T)`."""
        x = self(inputs, *self._causal(inputs.shape[1]))
        rows = zip(torch.split(x.flatten(0, 1), 1024), torch.split(targets.flatten(), 1024), strict=True)
        scores = [
            -F.cross_entropy(part @ self.wte.weight.T, target, reduction="none") for part, target in rows
        ]
        return torch.cat(scores).view_as(targets)

    def _causal(self, T: int) -> tuple[torch.Tensor, torch.Tensor]:
        mask = torch.ones(T, T, dtype=torch.bool, device=self.device).tril()
        return torch.arange(T, device=self.device), mask

    def next_log_probs(self, contexts: Sequence[Ids]) -> Floats:
        return self.decoder(contexts).log_probs()

    def decoder(self, prompts: Sequence[Ids]) -> "GPT2Decoder":
        return GPT2Decoder(self, prompts)

    def size(self) -> dict[str, int]:
        return {"parameters": sum(parameter.numel() for parameter in self.parameters())}

    def save(self, folder: Path) -> None:
        save_file({name: tensor.contiguous() for name, tensor in self.state_dict().items()}, folder / WEIGHTS)


class GPT2Decoder:
    """Sequences that grow: for each, the ids read in its window and the keys and values of each layer."""

    def __init__(self, model: GPT2, prompts: Sequence[Ids]) -> None:
        self.model = model
        self.read = [[model.vocabulary.eos, *map(int, ids)] for ids in prompts]
        self.past: list[list[list[torch.Tensor]]] = [[] for _ in prompts]
        self.start = [0 for _ in prompts]
        self.last = [self._advance(row, len(ids)) for row, ids in enumerate(self.read)]  # (C,) each

    @torch.inference_mode()
    def _advance(self, row: int, new: int) -> torch.Tensor:
        """Read the last `new` ids of a row, or its window afresh where that has moved on."""
        ids = self.read[row]
        start = self.model._start(len(ids) - 1)
        if start != self.start[row] or not self.past[row]:
            self.start[row] = start
            self.past[row] = [[] for _ in self.model.h]
            new = len(ids) - start
        positions, mask = self.model._causal(len(ids) - start)
        inputs = torch.tensor([ids[-new:]], device=self.model.device)
        hidden: torch.Tensor = self.model(inputs, positions[-new:], mask[-new:], self.past[row])
        return hidden[0, -1]

    @torch.inference_mode()
    def log_probs(self) -> Floats:
        if not self.last:
            return np.empty((0, self.model.vocabulary.size), np.float32)
        logits = torch.stack(self.last) @ self.model.wte.weight.T  # (B, V)
        scores: Floats = F.log_softmax(logits, -1).cpu().numpy()
        return scores

    def append(self, ids: Ids) -> None:
        for row, id in enumerate(ids):
            self.read[row].append(int(id))
            self.last[row] = self._advance(row, 1)


def create(config: GPT2Config, vocabulary: Vocabulary, seed: int) -> GPT2:
    """A model with random weights."""
    model = GPT2(config, vocabulary)
    model.initialise(seed)
    return model.to(best_device())


def load(folder: Path, config: GPT2Config, vocabulary: Vocabulary) -> GPT2:
    """Read the weights of a model folder.

    Raises:
        LangueError: the weights are not those of this configuration.
    """
    model = GPT2(config, vocabulary)
    try:
        model.load_state_dict(load_file(folder / WEIGHTS))
    except (RuntimeError, OSError) as error:
        raise LangueError(f"{folder / WEIGHTS} does not fit the model: {error}") from None
    return model.to(best_device()).eval()


FAMILY = Family(
    name="gpt2",
    summary="causal Transformer (GPT-2)",
    config=GPT2Config,
    estimated_by="gradient",
    load=load,
    create=create,
)
