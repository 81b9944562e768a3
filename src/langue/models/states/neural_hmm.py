"""`neural-hmm`: an HMM whose tables are made by a network (Chiu and Rush 2020, "Scaling Hidden Markov
Language Models").

    p(z' | z) = p(c' | z) p(z' | z, c')      p(c' | z) ∝ exp f(z)·e(c')      p(z' | z, c') ∝ exp f(z)·g(z')
    p(w | z) ∝ exp h(z)·v(w)  over the words w of the cluster c of z

Words are shared out among clusters, and each cluster has states of its own (section 3.2), so thousands of
states cost what one cluster's do: `cluster_tables` has the arithmetic. States and words have embeddings, f, g
and h are residual layers, so what a state learns its neighbors share, and many states need no more text.
Trained by gradient through the forward algorithm. State dropout leaves out a share of the states of each
cluster in each step (section 3.3). Deviates: the softmax over next states has two levels; clusters are
learned by exchange (`classes`), which maximizes the likelihood that Brown's do. `clusters = 1` is the
HMM in which every state may emit every word. Letters: C channels, M clusters, S states of each, V words.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from langue.base.arrays import Array, Floats, Ids
from langue.base.bounds import Fraction, PositiveInt
from langue.base.checked import ArraySpec, damaged
from langue.base.config import Config
from langue.base.errors import LangueError
from langue.base.progress import log
from langue.base.seeds import derive
from langue.inference.chain import offsets_of
from langue.models.counts.exchange import exchange
from langue.models.family import Family
from langue.models.states.hmm.classes import fill_empty
from langue.models.states.hmm.cluster_tables import Tables, expect
from langue.models.states.hmm.clustered import ClusteredDecoder, ClusteredHMM
from langue.models.states.hmm.model import HMM, StatePath
from langue.nn.weights import load_weights, saved_tensor
from langue.protocols import Causal, Trainable, Vocabulary
from langue.protocols.explanation import StateExplanation
from langue.tokens.batch import Batch
from langue.tokens.store import TokenStore

WEIGHTS = "network.safetensors"
CLASSES = "classes"  # name of the clusters there
CLUSTERS = ArraySpec("int64", ("V",), below="M")
CLUSTERED = 5_000_000  # tokens of the train split that clusters are learned from


class NeuralHMMConfig(Config, frozen=True):
    """Settings of a neural HMM."""

    states: Annotated[int, msgspec.Meta(ge=1, le=65_536)] = 4096
    clusters: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 128  # of words; the paper's
    width: PositiveInt = 256  # the paper's
    dropout: Fraction = 0.5  # share of states left out of a step
    context: Annotated[int, msgspec.Meta(ge=2)] = 64  # tokens of a training row; scoring has no bound

    def check(self) -> None:
        if self.states % self.clusters:
            raise ValueError(f"{self.states} states cannot be shared out equally to {self.clusters} clusters")


class Residual(nn.Module):
    """LayerNorm(x + ReLU(W x)), the layer of the paper's appendix."""

    def __init__(self, C: int) -> None:
        super().__init__()
        self.linear = nn.Linear(C, C)
        self.norm = nn.LayerNorm(C)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x + F.relu(self.linear(x)))


class LogLikelihood(torch.autograd.Function):
    """log p(pieces) of an HMM in blocks; its gradient is made on the way, without any graph."""

    @staticmethod
    def forward(ctx: Any, pieces: tuple[Array, ...], *tables: torch.Tensor) -> torch.Tensor:
        log_likelihood, gradients = expect(Tables(*(part.detach().float() for part in tables)), *pieces)
        ctx.save_for_backward(*gradients)
        return torch.tensor(log_likelihood, dtype=torch.float32)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return None, *(saved * gradients[0] for saved in ctx.saved_tensors)


class NeuralHMM(nn.Module, Causal, Trainable):
    """A `Causal` model: between two trainings it is the `ClusteredHMM` of the tables it makes."""

    window: int | None = None
    stride: int | None = None

    def __init__(self, config: NeuralHMMConfig, vocabulary: Vocabulary, classes: Array) -> None:
        super().__init__()
        C, K, M = config.width, config.states, config.clusters
        self.config = config
        self.vocabulary = vocabulary
        self.context = config.context
        self.carry: dict[str, torch.Tensor] = {}
        self.out, self.into, self.emit = (nn.Embedding(K, C) for _ in range(3))
        self.words = nn.Embedding(vocabulary.size, C)
        self.cluster = nn.Embedding(M, C)  # e
        self.first = nn.Parameter(torch.zeros(2, C))  # of a document, and of a piece from inside one
        self.f, self.g, self.h = (Residual(C) for _ in range(3))
        self.classes = classes
        self._made: ClusteredHMM | None = None

    @torch.no_grad()
    def initialize(self, seed: int) -> None:
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

    def tables(self, states: torch.Tensor) -> Tables:
        """The HMM that has these states `(M, S)` alone, numbered through all clusters."""
        with torch.autocast("cpu", enabled=False):  # products of bfloat16 are no log-probabilities
            out, into, emit = self.f(self.out(states)), self.g(self.into(states)), self.h(self.emit(states))
            first = (self.first @ into.flatten(0, 1).T).log_softmax(1)  # (2, K)
            leave = (out @ self.cluster.weight.T).log_softmax(-1)  # (from, S, to)
            out = out * self.config.width**-0.5  # norms are 1: their products would be of order √C
            return Tables(
                first.view(2, *states.shape),
                leave.transpose(1, 2).contiguous(),
                out,
                into,
                self._emission(emit),
            )

    def _emission(self, emit: torch.Tensor) -> torch.Tensor:
        """log p(w | z) of each word by the states of its cluster, `(V, S)`, from `(M, S, C)`."""
        order = torch.from_numpy(np.argsort(self.classes, kind="stable"))
        sizes = np.bincount(self.classes, minlength=len(emit)).tolist()
        members = torch.split(self.words.weight[order], sizes)
        logs = [(words @ states.T).log_softmax(0) for words, states in zip(members, emit, strict=True)]
        return torch.cat(logs)[order.argsort()]

    def loss(self, batch: Batch) -> torch.Tensor:
        """Σ -log p over the targets of a packed batch, in nats."""
        pieces = self._pieces(batch)
        if not self.training:
            return torch.tensor(-self.made.log_likelihood(*pieces))
        M, S = self.config.clusters, self.config.states // self.config.clusters
        kept = max(round(S * (1 - self.config.dropout)), 1)
        chosen = torch.rand(M, S).argsort(1)[:, :kept].sort(1).values
        tables = self.tables(chosen + S * torch.arange(M)[:, None])
        likelihood: torch.Tensor = LogLikelihood.apply((self.classes, *pieces), *tables)  # type: ignore[no-untyped-call]
        return -likelihood

    def _pieces(self, batch: Batch) -> tuple[Array, Array, Array]:
        """The rows cut where a document ends: words, offsets, and which begin inside one."""
        begins = np.ones(batch.targets.shape, bool)
        begins[:, 1:] = batch.segments[:, 1:] != batch.segments[:, :-1]
        starts = np.flatnonzero(begins)
        lengths = np.diff(np.r_[starts, begins.size])
        inside = batch.inputs.ravel()[starts] != self.vocabulary.eos
        return batch.targets.ravel().astype(np.int64), offsets_of(lengths), inside.astype(np.int64)

    def train(self, mode: bool = True) -> "NeuralHMM":
        self._made = None  # its tables change now
        return super().train(mode)

    @property
    def made(self) -> ClusteredHMM:
        """The HMM of the present weights."""
        if self._made is None:
            states = torch.arange(self.config.states).view(self.config.clusters, -1)
            with torch.no_grad():
                tables = Tables(*(part.detach().float() for part in self.tables(states)))
            self._made = ClusteredHMM(self.vocabulary, tables, self.classes)
        return self._made

    def to_hmm(self) -> HMM:
        """The same with tables of all states; see `ClusteredHMM.to_hmm`."""
        return self.made.to_hmm()

    def explain(self, context: Ids, id: int) -> StateExplanation:
        """As that of an HMM; its tables must fit in memory."""
        return self.to_hmm().explain(context, id)

    def log_probs(self, sequences: Sequence[Ids]) -> list[Floats]:
        return self.made.log_probs(sequences)

    def next_log_probs(self, contexts: Sequence[Ids]) -> Floats:
        return self.made.next_log_probs(contexts)

    def decoder(self, prompts: Sequence[Ids], *, depth: int = 0) -> ClusteredDecoder:
        return self.made.decoder(prompts, depth=depth)

    def states(self, sequences: Sequence[Ids]) -> list[StatePath]:
        return self.made.states(sequences)

    def size(self) -> dict[str, int]:
        parameters = sum(parameter.numel() for parameter in self.parameters())
        return {"states": self.config.states, "parameters": parameters}

    def save(self, folder: Path) -> None:
        arrays = {name: tensor.contiguous() for name, tensor in self.state_dict().items()}
        save_file(arrays | {CLASSES: torch.from_numpy(self.classes)}, folder / WEIGHTS)


def build(config: NeuralHMMConfig, vocabulary: Vocabulary, seed: int) -> NeuralHMM:
    """A network with random weights, words in clusters by their number until `begin` puts them in better
    ones. It stays on the CPU, where forward–backward runs.

    Raises:
        LangueError: there are fewer words than clusters.
    """
    if vocabulary.size < config.clusters:
        raise LangueError(
            f"{config.clusters} clusters need as many words, but the vocabulary has {vocabulary.size}; "
            f"--set clusters=1 lets every state emit every word"
        )
    model = NeuralHMM(config, vocabulary, np.arange(vocabulary.size) % config.clusters)
    model.initialize(seed)
    return model


def begin(model: NeuralHMM, store: TokenStore) -> None:
    """Give a new model the clusters of the training text."""
    M, V = model.config.clusters, model.vocabulary.size
    if M == 1:
        return
    split = store.split("train")
    tokens = np.asarray(split.tokens[:CLUSTERED], np.int64)
    begins = np.zeros(len(tokens), bool)
    offsets = np.asarray(split.offsets, np.int64)
    begins[offsets[offsets < len(tokens)]] = True
    model.classes = fill_empty(exchange(tokens, begins, V, M), np.bincount(tokens, minlength=V), M)
    log.info("%d words in %d clusters, of at most %d", V, M, np.bincount(model.classes).max())


def load(folder: Path, config: NeuralHMMConfig, vocabulary: Vocabulary) -> NeuralHMM:
    """Read the weights of a model folder.

    Raises:
        LangueError: they are not those of this configuration.
    """
    sizes = {"V": vocabulary.size, "M": config.clusters}
    classes = saved_tensor(folder, CLASSES, CLUSTERS, file=WEIGHTS, **sizes).numpy()
    if len(np.unique(classes)) < config.clusters:
        raise damaged(folder / WEIGHTS, CLASSES, "has a cluster without words")
    network = partial(NeuralHMM, config, vocabulary, classes)
    return load_weights(network, folder, file=WEIGHTS, beside=(CLASSES,))


FAMILY = Family(
    name="neural-hmm",
    summary="hidden Markov model with tables made by a network",
    makes=Causal,
    config=NeuralHMMConfig,
    estimated_by="gradient",
    load=load,
    build=build,
    begin=begin,
)
