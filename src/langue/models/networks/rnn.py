"""`rnn`: a recurrent network reads a document token by token (Elman 1990; Mikolov et al. 2010).

    x_t = E[token t]    h_t = cell(x_t, h_(t-1))    p(token t+1) = softmax(W h_t + b)

The cell is Elman's, a GRU (Cho et al. 2014) or an LSTM (Hochreiter and Schmidhuber 1997). Trained as
Zaremba et al. 2014 do: truncated backpropagation over `context` tokens, the state carried on to the
next batch of the stream; dropout on the non-recurrent connections; uniform initial weights. Options
of Merity et al. 2018 (AWD-LSTM): weight drop, locked dropout, tied embeddings.
Deviates: the state starts afresh at each document, and `<eos>` is read before its first token.
Letters: B batch, T time, C width, V vocabulary; a state is `(layers, parts, B, C)`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import msgspec
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_model, save_model
from torch import nn

from langue.base.config import Config
from langue.base.errors import LangueError
from langue.base.seeds import derive
from langue.models.family import Family
from langue.nn.fast.cross_entropy import head_cross_entropy
from langue.nn.recurrent import Cell, Recurrent
from langue.nn.weights import WEIGHTS
from langue.protocols import Causal, Floats, Ids, RecurrentCausal, Vocabulary
from langue.tokens.batches import Batch, StreamBatches
from langue.tokens.store import Split

READ = 1 << 13  # tokens read at a time when scoring: logits of 1,024 of them are held at once

Count = Annotated[int, msgspec.Meta(ge=0)]
Share = Annotated[float, msgspec.Meta(ge=0.0, lt=1.0)]


class Shape(NamedTuple):
    layers: int
    width: int
    context: int
    spread: float  # initial weights are uniform in ± this


# The three models of Zaremba et al. 2014, section 4.1.
SIZES = {
    "small": Shape(2, 200, 20, 0.1),
    "medium": Shape(2, 650, 35, 0.05),
    "large": Shape(2, 1500, 35, 0.04),
}


class RNNConfig(Config, frozen=True):
    """One dial, and the numbers behind it: 0 takes what the size says."""

    size: Literal["small", "medium", "large"] = "small"
    cell: Cell = "lstm"  # elman shows the vanishing gradient; gru is a quarter smaller
    layers: Count = 0
    width: Count = 0
    context: Count = 0  # tokens the gradient goes back through; the state itself has no bound
    dropout: Share = 0.0  # many epochs over little text want 0.5
    locked: bool = False
    weight_drop: Share = 0.0
    tied: bool = False  # input and output embedding are one: fewer weights, better on little text

    @property
    def shape(self) -> Shape:
        published = SIZES[self.size]
        return Shape(
            self.layers or published.layers,
            self.width or published.width,
            self.context or published.context,
            published.spread,
        )


class RNN(nn.Module, RecurrentCausal):
    """A `Causal` model without a window: its state has read the whole document."""

    window: int | None = None
    stride: int | None = None

    def __init__(
        self, vocabulary: Vocabulary, embedding: nn.Module, recurrent: Recurrent, *, context: int
    ) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.context = context
        self.embedding = embedding
        self.recurrent = recurrent
        self.head = nn.Linear(recurrent.width, vocabulary.size)
        self.carry: dict[str, torch.Tensor] = {}  # the state in which the batch before ended

    @torch.no_grad()
    def initialise(self, seed: int, spread: float) -> None:
        """All weights uniform in ± spread."""
        draw = torch.Generator().manual_seed(derive(seed, "weights") % 2**63)
        for parameter in self.parameters():
            parameter.copy_((torch.rand(parameter.shape, generator=draw) * 2 - 1) * spread)

    def forward(
        self, ids: torch.Tensor, state: torch.Tensor, begins: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Hidden states `(B, T, C)` of ids `(B, T)`, and the state after them."""
        return self.recurrent(self.embedding(ids), state, begins)  # type: ignore[no-any-return]

    def loss(self, batch: Batch) -> torch.Tensor:
        """Sum of the cross-entropies, in nats, of a batch that goes on where the one before stopped."""
        inputs, targets, positions, _ = (torch.from_numpy(part).to(self.device) for part in batch)
        before = self.carry.get("state")  # (B, layers, parts, C)
        state = self.recurrent.start(len(inputs)) if before is None else before.permute(1, 2, 0, 3)
        y, after = self(inputs, state, positions == 0)
        self.carry = {"state": after.detach().permute(2, 0, 1, 3)}
        return head_cross_entropy(y.flatten(0, 1), self.head.weight, targets.flatten(), self.head.bias)

    def flops_per_token(self) -> float:
        """Of one training step: 6 for each weight that multiplies; what embeds a token is left out."""
        recurrent = sum(parameter.numel() for parameter in self.recurrent.parameters())
        return 6.0 * (recurrent + self.head.weight.numel())

    @property
    def device(self) -> torch.device:
        return self.head.weight.device

    def _read(self, inputs: Sequence[Ids]) -> Iterator[tuple[list[int], int, torch.Tensor, torch.Tensor]]:
        """Read sequences side by side, in pieces that end where the shortest still going does.

        Yields:
            The sequences still going, longest first; where in them the piece begins; its hidden states
            `(rows, T, C)`; the state after it.
        """
        order = sorted(range(len(inputs)), key=lambda index: -len(inputs[index]))
        rows, begin = order, 0
        state = self.recurrent.start(len(rows))
        while rows := [index for index in rows if len(inputs[index]) > begin]:
            end = min(len(inputs[rows[-1]]), begin + max(READ // len(rows), 1))
            piece = np.stack([np.asarray(inputs[index][begin:end], np.int64) for index in rows])
            y, state = self(torch.from_numpy(piece).to(self.device), state[:, :, : len(rows)])
            yield rows, begin, y, state
            begin = end

    @torch.inference_mode()
    def log_probs(self, sequences: Sequence[Ids]) -> list[Floats]:
        found = [np.empty(len(ids), np.float32) for ids in sequences]
        inputs = [np.r_[self.vocabulary.eos, ids[:-1]][: len(ids)] for ids in sequences]
        for rows, begin, y, _ in self._read(inputs):
            end = begin + y.shape[1]
            targets = np.stack([np.asarray(sequences[index][begin:end], np.int64) for index in rows])
            scores = self._token_scores(y.flatten(0, 1), torch.from_numpy(targets).to(self.device).flatten())
            for index, row in zip(rows, scores.view(targets.shape).cpu().numpy(), strict=True):
                found[index][begin:end] = row
        return list(found)

    def _token_scores(self, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Log-probability of each target `(rows,)`."""
        parts = zip(torch.split(hidden, 1024), torch.split(targets, 1024), strict=True)
        return torch.cat([-F.cross_entropy(self.head(y), target, reduction="none") for y, target in parts])

    def next_log_probs(self, contexts: Sequence[Ids]) -> Floats:
        return self.decoder(contexts).log_probs()

    @torch.inference_mode()
    def decoder(self, prompts: Sequence[Ids]) -> "RNNDecoder":
        state = self.recurrent.start(len(prompts))
        hidden = state.new_zeros(len(prompts), self.head.in_features)
        inputs = [np.r_[self.vocabulary.eos, ids] for ids in prompts]
        for rows, begin, y, after in self._read(inputs):
            ended = [row for row, index in enumerate(rows) if len(inputs[index]) == begin + y.shape[1]]
            places = [rows[row] for row in ended]
            state[:, :, places] = after[:, :, ended]
            hidden[places] = y[ended, -1]
        return RNNDecoder(self, state, hidden)

    def gradient_by_distance(self, runs: Ids) -> Floats:
        """Norms of ∂ -log p(last token) / ∂ x, by how many steps before it x was read; 0: just before.

        Args:
            runs: tokens `(B, T)`, each run within one document.

        Returns:
            The means over the runs `(T - 1,)`.
        """
        tokens = torch.from_numpy(np.asarray(runs, np.int64)).to(self.device)
        x = self.embedding(tokens[:, :-1]).detach().requires_grad_()  # (B, T - 1, C)
        y, _ = self.recurrent(x, self.recurrent.start(len(tokens)))
        nats = F.cross_entropy(self.head(y[:, -1]), tokens[:, -1], reduction="sum")
        gradient = torch.autograd.grad(nats, x)[0]
        norms: Floats = gradient.norm(dim=2).mean(0).flip(0).cpu().numpy()
        return norms

    def size(self) -> dict[str, int]:
        return {"parameters": sum(parameter.numel() for parameter in self.parameters())}

    def save(self, folder: Path) -> None:
        save_model(self, str(folder / WEIGHTS))  # knows that tied weights are one


class RNNDecoder:
    """Sequences that grow: the state after each `(layers, parts, B, C)` and its last hidden `(B, C)`."""

    def __init__(self, model: RNN, state: torch.Tensor, hidden: torch.Tensor) -> None:
        self.model = model
        self.state = state
        self.hidden = hidden

    @torch.inference_mode()
    def log_probs(self) -> Floats:
        scores: Floats = F.log_softmax(self.model.head(self.hidden), -1).cpu().numpy()
        return scores

    @torch.inference_mode()
    def append(self, ids: Ids) -> None:
        step = torch.from_numpy(np.asarray(ids, np.int64)[:, None]).to(self.model.device)  # (B, 1)
        y, self.state = self.model(step, self.state)
        self.hidden = y[:, -1]

    def select(self, rows: Sequence[int]) -> None:
        self.state = self.state[:, :, list(rows)]
        self.hidden = self.hidden[list(rows)]


def network(config: RNNConfig, vocabulary: Vocabulary) -> RNN:
    """The network that a configuration describes, its weights not set."""
    L, C, T, _ = config.shape
    recurrent = Recurrent(
        config.cell,
        layers=L,
        inputs=C,
        width=C,
        dropout=config.dropout,
        locked=config.locked,
        weight_drop=config.weight_drop,
    )
    model = RNN(vocabulary, nn.Embedding(vocabulary.size, C), recurrent, context=T)
    if config.tied:
        model.head.weight = model.embedding.weight  # type: ignore[assignment]
    return model


def build(config: RNNConfig, vocabulary: Vocabulary, seed: int) -> RNN:
    """A model with random weights."""
    model = network(config, vocabulary)
    model.initialise(seed, config.shape.spread)
    return model


def load(folder: Path, config: RNNConfig, vocabulary: Vocabulary) -> RNN:
    """Read the weights of a model folder.

    Raises:
        LangueError: the weights are not those of this configuration.
    """
    return read_weights(folder, network(config, vocabulary))


def read_weights(folder: Path, model: RNN) -> RNN:
    try:
        load_model(model, str(folder / WEIGHTS))
    except (RuntimeError, OSError) as error:
        raise LangueError(f"{folder / WEIGHTS} does not fit the model: {error}") from None
    return model.eval()


def streams(
    split: Split, vocabulary: Vocabulary, config: Config, rows: int, context: int, seed: int
) -> StreamBatches:
    """Rows that go on where they stopped; there is nothing to draw, so the seed is not used."""
    return StreamBatches(split, rows=rows, context=context, eos=vocabulary.eos)


FAMILY = Family(
    name="rnn",
    summary="recurrent network (Elman, GRU or LSTM)",
    makes=Causal,
    config=RNNConfig,
    estimated_by="gradient",
    load=load,
    build=build,
    batches=streams,
)
