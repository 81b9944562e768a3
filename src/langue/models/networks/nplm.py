"""`nplm`: the neural probabilistic language model (Bengio et al. 2003, section 2).

    y = b + W x + U tanh(d + H x)    x = C(w_(t-1)), ..., C(w_(t-n+1)) side by side    p = softmax(y)

The first model to learn what words mean by predicting them: C is a table of word vectors, shared by
all places of the context. The direct connections W are optional, as in the paper.
Deviates: dropout (off by default), `<eos>` stands before a document as often as the order needs, and
the weights are trained by whatever optimizer `[training]` names, not by plain gradient ascent.
Letters: B predictions, n order, m width of a word vector, h hidden units, V vocabulary.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from langue.base.arrays import Floats, Ids, Int64Array
from langue.base.seeds import derive
from langue.inference.decoding import ContextDecoder
from langue.models.family import Family
from langue.models.networks.config import NPLMConfig
from langue.nn.cross_entropy import linear_cross_entropy
from langue.nn.dropout import drop
from langue.nn.fast.compiled_step import CompiledForm, Weights
from langue.nn.linear import Linear
from langue.nn.saliency import saliency
from langue.nn.scores import Rule, Scored
from langue.nn.weights import load_weights, save_weights
from langue.protocols import Causal, Trainable, Vocabulary
from langue.protocols.explanation import SaliencyExplanation
from langue.tokens.contexts import ContextBatches, Contexts, contexts_of
from langue.tokens.store import Split

CHUNK_PREDICTIONS = 1024  # predictions at a time: logits of 1,024 x 10,000 are 40 MB


class NPLM(nn.Module, Scored, CompiledForm, Causal, Trainable):
    """A `Causal` model; its window moves on with every token, so no stride is involved."""

    window: int | None = None
    stride: int | None = None
    context = 1  # a training row is one prediction

    def __init__(self, config: NPLMConfig, vocabulary: Vocabulary) -> None:
        super().__init__()
        n, m, h = config.shape
        self.config = config
        self.vocabulary = vocabulary
        self.order = n
        self.carry: dict[str, torch.Tensor] = {}
        self.embedding = nn.Embedding(vocabulary.size, m)  # C
        self.hidden = Linear((n - 1) * m, h)  # H and d
        self.head = Linear(h + config.direct * (n - 1) * m, vocabulary.size)  # U, W side by side; b

    @torch.no_grad()
    def initialize(self, seed: int) -> None:
        """Word vectors ~ N(0, 1), matrices uniform in ± 1/√inputs; biases 0."""
        draw = torch.Generator().manual_seed(derive(seed, "weights") % 2**63)
        for name, parameter in self.named_parameters():
            if parameter.ndim < 2:
                parameter.zero_()
            elif name == "embedding.weight":
                parameter.copy_(torch.randn(parameter.shape, generator=draw))
            else:
                uniform = torch.rand(parameter.shape, generator=draw) * 2 - 1
                parameter.copy_(uniform * parameter.shape[1] ** -0.5)

    def forward(self, before: torch.Tensor) -> torch.Tensor:
        """What the head reads, `(B, h)` or `(B, h + (n-1) m)`, of contexts `(B, n - 1)`."""
        return self._read(self.embedding(before))

    def _read(self, vectors: torch.Tensor) -> torch.Tensor:
        """`forward` of the vectors `(B, n - 1, m)` of a context."""
        x = self._drop(vectors.flatten(1))  # (B, (n-1) m)
        a = self._drop(torch.tanh(self.hidden(x)))  # (B, h)
        return torch.cat([a, x], 1) if self.config.direct else a

    def _drop(self, x: torch.Tensor) -> torch.Tensor:
        return drop(x, self.config.dropout, self.training)

    def loss(self, batch: Contexts) -> torch.Tensor:
        """Sum of the cross-entropies, in nats."""
        before, targets = (torch.from_numpy(part).to(self.device) for part in batch)
        return linear_cross_entropy(self(before), self.head.weight, targets, self.head.bias)

    def flops_per_token(self) -> float:
        """Of one training step: 6 for each weight that multiplies."""
        return 6.0 * (self.hidden.weight.numel() + self.head.weight.numel())

    @property
    def device(self) -> torch.device:
        return self.head.weight.device

    @torch.inference_mode()
    def scores(self, sequences: Sequence[Ids], rule: Rule, figures: int) -> list[Floats]:
        if not sequences:
            return []
        self.vocabulary.check(*sequences)
        before = [contexts_of(ids[:-1], self.order, self.vocabulary.eos)[: len(ids)] for ids in sequences]
        pieces = zip(
            torch.split(torch.from_numpy(np.concatenate(before)), CHUNK_PREDICTIONS),
            torch.split(torch.from_numpy(np.concatenate(sequences).astype(np.int64)), CHUNK_PREDICTIONS),
            strict=True,
        )
        step = self.compiled() if self.scored_by_step() else None
        scores = torch.cat([rule(self._logits(x, step), y.to(self.device)).cpu() for x, y in pieces], 1)
        return np.split(scores.numpy(), np.cumsum([len(ids) for ids in sequences])[:-1], axis=1)

    def _logits(self, before: torch.Tensor, step: Any) -> torch.Tensor:
        """`(B, V)` after contexts `(B, n - 1)`; of the compiled step, log-probabilities."""
        if step is not None:
            return torch.from_numpy(step.log_probs(before.numpy()))
        logits: torch.Tensor = self.head(self(before.to(self.device)))
        return logits

    @torch.inference_mode()
    def distributions(self, before: Int64Array) -> Floats:
        """Log-probabilities of every next token `(B, V)` after contexts `(B, n - 1)`."""
        logits = self._logits(torch.from_numpy(before), None)
        scores: Floats = F.log_softmax(logits.float(), -1).cpu().numpy()
        return scores

    def lay_out(self, weights: Weights | None) -> Any:
        from langue.nn.compiled.feedforward import CompiledFeedForward  # numba takes long to import

        return CompiledFeedForward(self, weights)

    def next_log_probs(self, contexts: Sequence[Ids]) -> Floats:
        return self.decoder(contexts).log_probs()

    def decoder(self, prompts: Sequence[Ids], *, depth: int = 0) -> "NPLMDecoder":
        return NPLMDecoder(self, prompts, depth)

    def explain(self, context: Ids, id: int) -> SaliencyExplanation:
        """What each token of the context does for a token."""
        self.vocabulary.check(context, [id])
        before = contexts_of(np.asarray(context), self.order, self.vocabulary.eos)[-1]
        x = self.embedding(torch.from_numpy(before.copy()).to(self.device)).detach().requires_grad_()
        log_probs = F.log_softmax(self.head(self._read(x[None])), -1)[0]
        return SaliencyExplanation(before.astype(np.uint32), saliency(x, log_probs[id]))

    def size(self) -> dict[str, int]:
        return {"parameters": sum(parameter.numel() for parameter in self.parameters())}

    def save(self, folder: Path) -> None:
        save_weights(self, folder)


class NPLMDecoder(ContextDecoder):
    """The last n - 1 tokens of each sequence."""

    def __init__(self, model: NPLM, prompts: Sequence[Ids], depth: int) -> None:
        step = model.compiled()
        self._log_probs = model.distributions if step is None else step.log_probs
        super().__init__(model.vocabulary, model.order, prompts, depth)

    def distributions(self, state: Int64Array) -> Floats:
        return self._log_probs(state)


def build(config: NPLMConfig, vocabulary: Vocabulary, seed: int) -> NPLM:
    """A model with random weights."""
    model = NPLM(config, vocabulary)
    model.initialize(seed)
    return model


def load(folder: Path, config: NPLMConfig, vocabulary: Vocabulary) -> NPLM:
    """Read the weights of a model folder.

    Raises:
        LangueError: the weights are not those of this configuration.
    """
    return load_weights(lambda: NPLM(config, vocabulary), folder)


def batches(
    split: Split, vocabulary: Vocabulary, config: NPLMConfig, rows: int, context: int, seed: int
) -> ContextBatches:
    return ContextBatches(split, rows=rows, order=config.shape.order, eos=vocabulary.eos, seed=seed)


FAMILY = Family(
    name="nplm",
    summary="feed-forward neural model (Bengio et al. 2003)",
    makes=Causal,
    config=NPLMConfig,
    estimated_by="gradient",
    load=load,
    build=build,
    batches=batches,
)
