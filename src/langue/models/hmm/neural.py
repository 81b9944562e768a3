"""`neural-hmm`: an HMM whose tables are made by a network (Chiu and Rush 2020).

    p(z' | z) ∝ exp f(z)·g(z')        p(w | z) ∝ exp h(z)·v(w)

States and words have embeddings, f, g and h are residual layers, so what a state learns its neighbours
share, and thousands of states need no more text. Trained by gradient through the forward algorithm:
the gradient of log p(text) for a log-probability is its expected count, so the E of Baum–Welch is the
backward pass. State dropout leaves out a share of the states in each step (section 3.3). Deviates from
the paper: every state may emit every word (no blocks by Brown cluster), so hundreds of states are
practical here, not 2¹⁵. Letters: C channels, K states, V vocabulary.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

from langue.base.config import Config
from langue.base.errors import LangueError
from langue.base.seeds import derive
from langue.models.chain.chain import offsets_of
from langue.models.hmm.baum_welch import Pieces, expect
from langue.models.hmm.model import HMM, HMMDecoder, StatePath
from langue.models.hmm.parameters import Parameters
from langue.models.protocol import Floats, Ids, Vocabulary
from langue.models.registry import Family
from langue.tokens.batches import Batch

WEIGHTS = "network.safetensors"


class NeuralHMMConfig(Config, frozen=True):
    """How many states, and the width of what they share."""

    states: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 256
    width: Annotated[int, msgspec.Meta(ge=1)] = 256  # the paper's
    dropout: Annotated[float, msgspec.Meta(ge=0.0, lt=1.0)] = 0.5  # share of states left out of a step
    context: Annotated[int, msgspec.Meta(ge=2)] = 64  # tokens of a training row; scoring has no bound


class Residual(nn.Module):
    """LayerNorm(x + ReLU(W x)), the layer of the paper's appendix."""

    def __init__(self, C: int) -> None:
        super().__init__()
        self.linear = nn.Linear(C, C)
        self.norm = nn.LayerNorm(C)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x + F.relu(self.linear(x)))  # type: ignore[no-any-return]


class LogLikelihood(torch.autograd.Function):
    """log p(pieces) of an HMM given by log-probabilities; their gradients are expected counts."""

    @staticmethod
    def forward(ctx: Any, pieces: Pieces, *logs: torch.Tensor) -> torch.Tensor:
        parameters = Parameters(*(part.detach().double().cpu().exp() for part in logs))
        *counts, log_likelihood = expect(parameters, pieces)
        ctx.save_for_backward(
            *(count.to(part.device, part.dtype) for count, part in zip(counts, logs, strict=True))
        )
        return torch.tensor(log_likelihood, device=logs[0].device, dtype=torch.float32)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return None, *(count * gradients[0] for count in ctx.saved_tensors)


class NeuralHMM(nn.Module):
    """A `Causal` model: between two trainings it is the `HMM` of the tables it makes."""

    window: int | None = None
    stride: int | None = None

    def __init__(self, config: NeuralHMMConfig, vocabulary: Vocabulary) -> None:
        super().__init__()
        C, K = config.width, config.states
        self.config = config
        self.vocabulary = vocabulary
        self.context = config.context
        self.carry: dict[str, torch.Tensor] = {}
        self.out, self.into, self.emit = (nn.Embedding(K, C) for _ in range(3))
        self.words = nn.Embedding(vocabulary.size, C)
        self.first = nn.Parameter(torch.zeros(2, C))  # of a document, and of a piece from inside one
        self.f, self.g, self.h = (Residual(C) for _ in range(3))
        self._made: HMM | None = None

    @torch.no_grad()
    def initialise(self, seed: int) -> None:
        """Matrices ~ N(0, 1 / √C), so that products of two are of order one; the rest 0, norms 1."""
        draw = torch.Generator().manual_seed(derive(seed, "weights") % 2**63)
        for name, parameter in self.named_parameters():
            if parameter.ndim < 2:
                parameter.fill_(1.0 if name.endswith("norm.weight") else 0.0)
            else:
                parameter.copy_(torch.randn(parameter.shape, generator=draw) * parameter.shape[1] ** -0.5)

    @property
    def device(self) -> torch.device:
        return self.first.device

    def logs(self, states: torch.Tensor) -> Parameters:
        """Log-probabilities of the HMM that has these states alone, float32."""
        into = self.g(self.into(states))  # (K, C)
        out = self.f(self.out(states))
        emit = self.h(self.emit(states))
        first = (self.first @ into.T).float().log_softmax(1)  # (2, K)
        transition = (out @ into.T).float().log_softmax(1)  # (K, K)
        emission = (self.words.weight @ emit.T).float().log_softmax(0)  # (V, K)
        return Parameters(first[0], first[1], transition, emission)

    def loss(self, batch: Batch) -> torch.Tensor:
        """Σ -log p over the targets of a packed batch, in nats."""
        K = self.config.states
        states = torch.arange(K, device=self.device)
        if self.training and self.config.dropout:
            kept = max(int(K * (1 - self.config.dropout)), 1)
            states = torch.randperm(K, device=self.device)[:kept].sort().values
        likelihood: torch.Tensor = LogLikelihood.apply(self._pieces(batch), *self.logs(states))  # type: ignore[no-untyped-call]
        return -likelihood

    def _pieces(self, batch: Batch) -> Pieces:
        """The rows cut where a document ends."""
        begins = np.ones(batch.targets.shape, bool)
        begins[:, 1:] = batch.segments[:, 1:] != batch.segments[:, :-1]
        places = np.flatnonzero(begins)
        lengths = np.diff(np.r_[places, begins.size])
        inside = batch.inputs.ravel()[places] != self.vocabulary.eos
        return Pieces(batch.targets.ravel().astype(np.int64), offsets_of(lengths), inside)

    def train(self, mode: bool = True) -> "NeuralHMM":
        self._made = None  # its tables change now
        return super().train(mode)

    @property
    def hmm(self) -> HMM:
        """The HMM of the present weights."""
        if self._made is None:
            with torch.no_grad():
                logs = self.logs(torch.arange(self.config.states, device=self.device))
            self._made = HMM(self.vocabulary, Parameters(*(part.double().cpu().exp() for part in logs)))
        return self._made

    def log_probs(self, sequences: Sequence[Ids]) -> list[Floats]:
        return self.hmm.log_probs(sequences)

    def next_log_probs(self, contexts: Sequence[Ids]) -> Floats:
        return self.hmm.next_log_probs(contexts)

    def decoder(self, prompts: Sequence[Ids]) -> HMMDecoder:
        return self.hmm.decoder(prompts)

    def states(self, sequences: Sequence[Ids]) -> list[StatePath]:
        return self.hmm.states(sequences)

    def size(self) -> dict[str, int]:
        parameters = sum(parameter.numel() for parameter in self.parameters())
        return {"states": self.config.states, "parameters": parameters}

    def save(self, folder: Path) -> None:
        save_file({name: tensor.contiguous() for name, tensor in self.state_dict().items()}, folder / WEIGHTS)


def create(config: NeuralHMMConfig, vocabulary: Vocabulary, seed: int) -> NeuralHMM:
    """A network with random weights. It stays on the CPU, where forward–backward runs."""
    model = NeuralHMM(config, vocabulary)
    model.initialise(seed)
    return model


def load(folder: Path, config: NeuralHMMConfig, vocabulary: Vocabulary) -> NeuralHMM:
    """Read the weights of a model folder.

    Raises:
        LangueError: they are not those of this configuration.
    """
    model = NeuralHMM(config, vocabulary)
    try:
        model.load_state_dict(load_file(folder / WEIGHTS))
    except (RuntimeError, OSError) as error:
        raise LangueError(f"{folder / WEIGHTS} does not fit the model: {error}") from None
    return model.eval()


FAMILY = Family(
    name="neural-hmm",
    summary="hidden Markov model with tables made by a network",
    config=NeuralHMMConfig,
    estimated_by="gradient",
    load=load,
    create=create,
)
