"""`transformer`: the encoder and decoder of "Attention Is All You Need" (Vaswani et al. 2017, section 3).

    source  →  encoder: every token sees every other         →  memory
    target  →  decoder: each token sees those before it, and the memory  →  p(next token)

A document is read as a prefix language model reads it: cut into parts of `context` tokens from its
beginning, each part the target whose source is the part before. The source of the first part is empty:
of it, the memory holds only the `<eos>` that begins every source. So a token is predicted from `context`
to 2 `context` tokens, never from what follows it. Of source → target pairs, all of both is seen.
One matrix embeds source and target and makes the logits, as in the paper.
Deviates: no label smoothing, which costs perplexity; dropout is off unless asked for.
Letters: B batch, T time, S time of the source (its `<eos>` included), C channels, H heads, V vocabulary.
"""

import math
from collections.abc import Callable, Sequence
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
from langue.models.layers.attention import Attention, Mask, Past, attend, causal_mask
from langue.models.layers.device import best_device
from langue.models.layers.loss import head_cross_entropy
from langue.models.layers.windowed import Windowed
from langue.models.protocol import Floats, Ids, Vocabulary
from langue.models.registry import Family
from langue.tokens.batches import Batch
from langue.tokens.pairs import Pairs

WEIGHTS = "weights.safetensors"

Count = Annotated[int, msgspec.Meta(ge=0)]


class Shape(NamedTuple):
    layers: int  # of the encoder, and as many of the decoder
    width: int
    heads: int
    context: int


# "base" is the paper's (table 3); the others learn in minutes on two cores
SIZES = {"tiny": Shape(2, 128, 4, 128), "small": Shape(3, 256, 4, 128), "base": Shape(6, 512, 8, 256)}


class TransformerConfig(Config, frozen=True):
    """One dial, and the numbers behind it: 0 takes what the size says."""

    size: Literal["tiny", "small", "base"] = "tiny"
    layers: Count = 0
    width: Count = 0
    heads: Count = 0
    context: Count = 0  # tokens of a part of a document
    norm: Literal["post", "pre"] = "post"  # the paper's; "pre" learns without a warm-up (Xiong et al. 2020)
    dropout: Annotated[float, msgspec.Meta(ge=0.0, lt=1.0)] = 0.0  # the paper's 0.1 is for many epochs

    def __post_init__(self) -> None:
        if self.shape.width % (2 * self.shape.heads):
            raise ValueError(f"width {self.shape.width} is not a multiple of 2 heads ({self.shape.heads})")

    @property
    def shape(self) -> Shape:
        given = (self.layers, self.width, self.heads, self.context)
        return Shape(*(own or default for own, default in zip(given, SIZES[self.size], strict=True)))


def sinusoids(positions: torch.Tensor, C: int) -> torch.Tensor:
    """Section 3.5: sin and cos of each position at wavelengths from 2π to 10,000 · 2π; `(..., C)`."""
    wavelengths = 10_000 ** (torch.arange(0, C, 2, device=positions.device) / C)
    angles = positions[..., None] / wavelengths
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(-2)


class Cross(nn.Module):
    """Attention of the decoder to the memory."""

    def __init__(self, C: int, H: int) -> None:
        super().__init__()
        self.H = H
        self.query = nn.Linear(C, C)
        self.key_value = nn.Linear(C, 2 * C)
        self.project = nn.Linear(C, C)

    def forward(
        self, x: torch.Tensor, memory: torch.Tensor, mask: Mask, past: Past | None = None
    ) -> torch.Tensor:
        """`(B, T, C)` and memory `(B, S, C)` to `(B, T, C)`; `past` keeps what it makes of the memory."""
        if past is not None and self in past:
            k, v = past[self]
        else:
            k, v = map(self._heads, self.key_value(memory).chunk(2, -1))
            if past is not None:
                past[self] = k, v
        y = attend(self._heads(self.query(x)), k, v, mask)  # (B, H, T, D)
        return self.project(y.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def _heads(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(-1, (self.H, -1)).transpose(1, 2)  # type: ignore[no-untyped-call, no-any-return]


class Layer(nn.Module):
    """A layer of the encoder, or of the decoder, which also looks at the memory."""

    def __init__(self, config: TransformerConfig, *, decodes: bool) -> None:
        super().__init__()
        _, C, H, _ = config.shape
        self.pre = config.norm == "pre"
        self.attention = Attention(C, H, H)
        self.cross = Cross(C, H) if decodes else None
        self.feed = nn.Sequential(nn.Linear(C, 4 * C), nn.ReLU(), nn.Linear(4 * C, C))
        self.norms = nn.ModuleList(nn.LayerNorm(C) for _ in range(3 if decodes else 2))
        self.drop = nn.Dropout(config.dropout)

    def forward(
        self,
        x: torch.Tensor,
        mask: Mask,
        memory: torch.Tensor | None = None,
        memory_mask: Mask = None,
        past: Past | None = None,
    ) -> torch.Tensor:
        x = self._add(0, x, lambda y: self.attention(y, mask, past=past))
        if self.cross is not None:
            cross = self.cross
            x = self._add(1, x, lambda y: cross(y, memory, memory_mask, past))
        return self._add(-1, x, self.feed)

    def _add(self, norm: int, x: torch.Tensor, part: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        if self.pre:
            return x + self.drop(part(self.norms[norm](x)))  # type: ignore[no-any-return]
        return self.norms[norm](x + self.drop(part(x)))  # type: ignore[no-any-return]


class Transformer(Windowed):
    """A `Causal` model of documents, and a model of targets given sources."""

    def __init__(self, config: TransformerConfig, vocabulary: Vocabulary) -> None:
        L, C, _, T = config.shape
        super().__init__(vocabulary, window=2 * T)  # a part and its source; it moves on by one part
        self.part = T
        self.embedding = nn.Embedding(vocabulary.size, C)
        self.encoder = nn.ModuleList(Layer(config, decodes=False) for _ in range(L))
        self.decoding = nn.ModuleList(Layer(config, decodes=True) for _ in range(L))
        # Where norms come first, nothing has normalised what the last layer makes.
        self.last = nn.ModuleList(nn.LayerNorm(C) if config.norm == "pre" else nn.Identity() for _ in "ed")
        self.drop = nn.Dropout(config.dropout)

    @torch.no_grad()
    def initialise(self, seed: int) -> None:
        """Embedding ~ N(0, 1 / C), other matrices as Glorot and Bengio 2010; biases 0."""
        draw = torch.Generator().manual_seed(derive(seed, "weights") % 2**63)
        for name, parameter in self.named_parameters():
            if parameter.ndim < 2:
                parameter.fill_(1.0 if name.endswith("weight") else 0.0)  # the gain of a norm; a bias
            elif name == "embedding.weight":
                parameter.copy_(torch.randn(parameter.shape, generator=draw) * parameter.shape[1] ** -0.5)
            else:
                fans = (5 if "feed" in name else 2) * min(parameter.shape)  # inputs and outputs of one matrix
                parameter.copy_((torch.rand(parameter.shape, generator=draw) * 2 - 1) * math.sqrt(6 / fans))

    @property
    def head(self) -> torch.Tensor:
        return self.embedding.weight

    def embed(self, ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        C = self.embedding.embedding_dim
        return self.drop(self.embedding(ids) * math.sqrt(C) + sinusoids(positions, C))  # type: ignore[no-any-return]

    def encode(self, ids: torch.Tensor, positions: torch.Tensor, mask: Mask) -> torch.Tensor:
        """The memory `(B, S, C)` of sources `(B, S)` that begin with `<eos>`."""
        x = self.embed(ids, positions)
        for layer in self.encoder:
            x = layer(x, mask)
        return self.last[0](x)  # type: ignore[no-any-return]

    def decode(
        self,
        ids: torch.Tensor,
        positions: torch.Tensor,
        mask: Mask,
        memory: torch.Tensor,
        memory_mask: Mask = None,
        past: Past | None = None,
    ) -> torch.Tensor:
        """Hidden states `(B, T, C)` of targets `(B, T)`, each read one token late."""
        x = self.embed(ids, positions)
        for layer in self.decoding:
            x = layer(x, mask, memory, memory_mask, past)
        return self.last[1](x)  # type: ignore[no-any-return]

    # Documents.

    def forward(
        self, ids: torch.Tensor, positions: torch.Tensor, documents: torch.Tensor | str = "causal"
    ) -> torch.Tensor:
        """Hidden states `(B, T, C)` of inputs `(B, T)`, in parts that are the sources of the next.

        Args:
            positions: `(T,)` or `(B, T)`, of each token in its document.
            documents: `(B, T)`, which one; "causal": all of a row is one.
        """
        B, T = ids.shape
        positions = positions.expand(B, T)
        own, before = _parts(positions // self.part, documents)
        # The token at place t is the input at t + 1. The last place is no one's source.
        begin = ids.new_full((B, 1), self.vocabulary.eos)
        within = positions % self.part
        sources = F.pad(1 + within[:, :-1], (1, 0))
        seen = F.pad(own[:, :-1, :-1], (1, 0, 1, 0))  # `<eos>` sees itself alone
        seen[:, :, 0] = True
        memory = self.encode(torch.cat([begin, ids[:, 1:]], 1), sources, seen[:, None])
        looked_at = F.pad(before[:, :, :-1], (1, 0), value=True)
        targets = own & causal_mask(T, ids.device)
        return self.decode(ids, within, targets[:, None], memory, looked_at[:, None])

    def loss(self, batch: Batch | Pairs) -> torch.Tensor:
        """Sum of the cross-entropies, in nats, of the targets of a batch of documents or of pairs."""
        parts = [torch.from_numpy(part).to(self.device) for part in batch]
        if isinstance(batch, Pairs):
            x, targets = self.given(*parts)
        else:
            inputs, targets, positions, documents = parts
            x = self(inputs, positions, documents)
        return head_cross_entropy(x.flatten(0, -2), self.head, targets.flatten())

    def decoder(self, prompts: Sequence[Ids]) -> "TransformerDecoder":  # type: ignore[override]
        return TransformerDecoder(self, prompts, None)

    # Pairs.

    def given(self, sources: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Hidden states `(N, C)`, and the targets `(N,)` they predict, of pairs `(B, S)`, `(B, T)`."""
        there = F.pad(sources >= 0, (1, 0), value=True)  # with `<eos>` before: (B, S + 1)
        memory = self.encode(
            F.pad(sources.clamp(min=0), (1, 0), value=self.vocabulary.eos),
            torch.arange(there.shape[1], device=self.device),
            there[:, None, None],
        )
        read = F.pad(targets[:, :-1].clamp(min=0), (1, 0), value=self.vocabulary.eos)
        x = self.decode(
            read, torch.arange(read.shape[1], device=self.device), "causal", memory, there[:, None, None]
        )
        return x[targets >= 0], targets[targets >= 0]

    @torch.inference_mode()
    def log_probs_given(self, sources: Sequence[Ids], targets: Sequence[Ids]) -> list[Floats]:
        """`log_probs` of each target given its source, both whole whatever their length."""
        found: list[Floats] = []
        for pair in zip(sources, targets, strict=True):
            x, wanted = self.given(*(torch.from_numpy(part).to(self.device) for part in Pairs.of([pair])))
            scores = F.cross_entropy(x @ self.head.T, wanted, reduction="none")
            found.append(-scores.cpu().numpy())
        return found

    def decoder_given(self, sources: Sequence[Ids], prompts: Sequence[Ids]) -> "TransformerDecoder":
        """The state after the beginning of each source's target, which may be empty."""
        return TransformerDecoder(self, prompts, sources)

    def save(self, folder: Path) -> None:
        save_file({name: tensor.contiguous() for name, tensor in self.state_dict().items()}, folder / WEIGHTS)


def _parts(part: torch.Tensor, documents: torch.Tensor | str) -> tuple[torch.Tensor, torch.Tensor]:
    """`(B, T, T)`: whether the place of the column is in the same part; in the part before. Never in
    another document."""
    apart = part[:, :, None] - part[:, None, :]
    own, before = apart == 0, apart == 1
    if isinstance(documents, str):
        return own, before
    same = documents[:, :, None] == documents[:, None, :]
    return own & same, before & same


class TransformerDecoder:
    """Targets that grow: of each, the ids read, the memory of its source, keys and values of its part."""

    def __init__(self, model: Transformer, prompts: Sequence[Ids], sources: Sequence[Ids] | None) -> None:
        self.model = model
        self.sources = sources  # None: of documents
        self.read = [[model.vocabulary.eos, *map(int, ids)] for ids in prompts]
        self.memory = [
            self._encode([int(id) for id in sources[row]] if sources else self._before(row))
            for row in range(len(prompts))
        ]
        self.past: list[Past] = [{} for _ in prompts]
        self.last = [self._advance(row, self._start(row)) for row in range(len(prompts))]  # (C,) each

    def _start(self, row: int) -> int:
        """The first place of the part that the next token stands in."""
        place = len(self.read[row]) - 1
        return 0 if self.sources is not None else place - place % self.model.part

    def _before(self, row: int) -> list[int]:
        """The part before, whose tokens are one further along in what was read."""
        start = self._start(row)
        return self.read[row][max(start - self.model.part, 0) + 1 : start + 1]

    @torch.inference_mode()
    def _encode(self, source: list[int]) -> torch.Tensor:
        ids = torch.tensor([[self.model.vocabulary.eos, *source]], device=self.model.device)
        mask = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool, device=ids.device)
        if self.sources is None:
            mask[0, 1:] = False  # as in a row of documents, where `<eos>` belongs to every part
        return self.model.encode(ids, torch.arange(ids.shape[1], device=ids.device), mask[None, None])

    @torch.inference_mode()
    def _advance(self, row: int, place: int) -> torch.Tensor:
        """Read the ids from a place of the current part on."""
        device = self.model.device
        ids = torch.tensor([self.read[row][place:]], device=device)
        within = torch.arange(ids.shape[1], device=device) + place - self._start(row)
        mask: Mask = "causal" if ids.shape[1] > 1 else None
        x = self.model.decode(ids, within, mask, self.memory[row], None, self.past[row])
        return x[0, -1]

    @torch.inference_mode()
    def log_probs(self) -> Floats:
        if not self.last:
            return np.empty((0, self.model.vocabulary.size), np.float32)
        scores: Floats = F.log_softmax(torch.stack(self.last) @ self.model.head.T, -1).cpu().numpy()
        return scores

    def append(self, ids: Ids) -> None:
        for row, id in enumerate(ids):
            self.read[row].append(int(id))
            place = len(self.read[row]) - 1
            if place == self._start(row):  # a new part begins, and the last becomes its source
                self.memory[row], self.past[row] = self._encode(self._before(row)), {}
            self.last[row] = self._advance(row, place)

    def select(self, rows: Sequence[int]) -> None:
        self.read = [list(self.read[row]) for row in rows]
        self.memory = [self.memory[row] for row in rows]
        self.past = [dict(self.past[row]) for row in rows]
        self.last = [self.last[row] for row in rows]
        if self.sources is not None:
            self.sources = [self.sources[row] for row in rows]


def create(config: TransformerConfig, vocabulary: Vocabulary, seed: int) -> Transformer:
    """A model with random weights."""
    model = Transformer(config, vocabulary)
    model.initialise(seed)
    return model.to(best_device())


def load(folder: Path, config: TransformerConfig, vocabulary: Vocabulary) -> Transformer:
    """Read the weights of a model folder.

    Raises:
        LangueError: the weights are not those of this configuration.
    """
    model = Transformer(config, vocabulary)
    try:
        model.load_state_dict(load_file(folder / WEIGHTS))
    except (RuntimeError, OSError) as error:
        raise LangueError(f"{folder / WEIGHTS} does not fit the model: {error}") from None
    return model.to(best_device()).eval()


FAMILY = Family(
    name="transformer",
    summary="encoder and decoder (Vaswani et al. 2017)",
    config=TransformerConfig,
    estimated_by="gradient",
    load=load,
    create=create,
)
