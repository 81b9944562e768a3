"""Scoring and decoding for every model that carries a state from token to token, and has no window.

A document begins with `<eos>` before its first token, and in a state of zeros. Letters: B batch, T time,
C width, V vocabulary; a state is `(layers, parts, B, C)`.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from langue.base.arrays import Floats, Ids
from langue.inference.decoding import StateDecoder
from langue.nn.fast.compiled_step import CompiledForm, Weights
from langue.nn.linear import Linear
from langue.nn.recurrent import Recurrent
from langue.nn.saliency import saliency
from langue.nn.scores import Rule, Scored
from langue.nn.weights import save_tied_weights
from langue.protocols import Decoder, RecurrentCausal, Trainable, Vocabulary
from langue.protocols.explanation import SaliencyExplanation

SALIENT = 256  # last tokens read that an explanation goes back to
CHUNK_TOKENS = 1 << 13  # tokens read at a time when scoring: logits of 1,024 of them are held at once


class Stateful(nn.Module, Scored, CompiledForm, RecurrentCausal, Trainable):
    """A `Causal` model, once a family sets these attributes, and adds a method.

    forward(ids, state): hidden states `(B, T, C)` of ids `(B, T)`, and the state after them
    """

    vocabulary: Vocabulary
    window: int | None = None
    stride: int | None = None
    embedding: nn.Module
    recurrent: Recurrent
    head: Linear

    @property
    def device(self) -> torch.device:
        return self.head.weight.device

    def read(
        self, inputs: Sequence[Ids], state: Tensor | None = None
    ) -> Iterator[tuple[list[int], int, Tensor, Tensor]]:
        """Read sequences side by side, in pieces that end where the shortest still going does.

        Args:
            state: of each sequence; None: zeros.

        Yields:
            The sequences still going, longest first; where in them the piece begins; its hidden states
            `(rows, T, C)`; the state after it.
        """
        order = sorted(range(len(inputs)), key=lambda index: -len(inputs[index]))
        rows, begin = order, 0
        state = self.recurrent.start(len(rows)) if state is None else state[:, :, order]
        while rows := [index for index in rows if len(inputs[index]) > begin]:
            end = min(len(inputs[rows[-1]]), begin + max(CHUNK_TOKENS // len(rows), 1))
            piece = np.stack([np.asarray(inputs[index][begin:end], np.int64) for index in rows])
            y, state = self(torch.from_numpy(piece).to(self.device), state[:, :, : len(rows)])
            yield rows, begin, y, state
            begin = end

    @torch.inference_mode()
    def scores(self, sequences: Sequence[Ids], rule: Rule, figures: int) -> list[Floats]:
        self.vocabulary.check(*sequences)
        result = [np.empty((figures, len(ids)), np.float32) for ids in sequences]
        inputs = [np.r_[self.vocabulary.eos, ids[:-1]][: len(ids)] for ids in sequences]
        # Words made of their spellings are made once for the compiled step, by torch for each batch.
        spelled = not isinstance(self.embedding, nn.Embedding)
        if (self.scored_by_step() or spelled) and (network := self.compiled()) is not None:
            from langue.nn.compiled.score import stream_scores  # numba takes long to import

            return stream_scores(network, inputs, sequences, rule, figures=figures)
        for rows, begin, y, _ in self.read(inputs):
            end = begin + y.shape[1]
            targets = np.stack([np.asarray(sequences[index][begin:end], np.int64) for index in rows])
            ids = torch.from_numpy(targets).to(self.device).flatten()
            pieces = zip(torch.split(y.flatten(0, 1), 1024), torch.split(ids, 1024), strict=True)
            scores = torch.cat([rule(self.head(piece), target) for piece, target in pieces], 1)
            for row, index in enumerate(rows):
                result[index][:, begin:end] = scores.view(-1, *targets.shape)[:, row].cpu().numpy()
        return list(result)

    def next_log_probs(self, contexts: Sequence[Ids]) -> Floats:
        return self.decoder(contexts).log_probs()

    def decoder(self, prompts: Sequence[Ids], *, depth: int = 0) -> Decoder:
        if (network := self.compiled()) is not None:
            from langue.nn.compiled.recurrent import CompiledStates  # numba takes long to import

            return CompiledStates(self.vocabulary, network, prompts, depth)
        return StatefulDecoder(self, prompts, depth)

    def lay_out(self, weights: Weights | None) -> Any:
        from langue.nn.compiled.recurrent import CompiledRecurrent

        return CompiledRecurrent(self, weights)

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

    def explain(self, context: Ids, id: int) -> SaliencyExplanation:
        """What each of the last tokens read does for a token; those before stand in the state."""
        self.vocabulary.check(context, [id])
        read = np.r_[self.vocabulary.eos, np.asarray(context, np.int64)]
        begin = max(len(read) - SALIENT, 0)
        state = self.recurrent.start(1)
        with torch.no_grad():  # what inference_mode makes, no gradient may go through
            for *_, after in self.read([read[:begin]]) if begin else ():
                state = after
        x = self.embedding(torch.from_numpy(read[None, begin:]).to(self.device))[0].detach().requires_grad_()
        y, _ = self.recurrent(x[None], state)
        log_probs = F.log_softmax(self.head(y[0, -1]), -1)
        return SaliencyExplanation(read[begin:].astype(np.uint32), saliency(x, log_probs[id]))

    def size(self) -> dict[str, int]:
        return {"parameters": sum(parameter.numel() for parameter in self.parameters())}

    def save(self, folder: Path) -> None:
        save_tied_weights(self, folder)


class States(NamedTuple):
    """Of each row the state after what it read, and the hidden state that the head reads."""

    state: Tensor  # (layers, parts, B, C)
    hidden: Tensor  # (B, C)


class StatefulDecoder(StateDecoder[States]):
    """Sequences that grow: the state after each."""

    def __init__(self, model: Stateful, prompts: Sequence[Ids], depth: int) -> None:
        self.model = model
        super().__init__(model.vocabulary, prompts, depth)

    @torch.inference_mode()
    def start(self, rows: int) -> States:
        state = self.model.recurrent.start(rows)
        nothing = States(state, state.new_zeros(rows, self.model.head.in_features))
        return self.read(nothing, [np.array([self.vocabulary.eos])] * rows)

    def read(self, state: States, ids: Sequence[Ids]) -> States:
        if ids and all(len(some) == 1 for some in ids):  # a step of generation
            return self._step(state, np.array(ids, np.int64))
        return self._read(state, ids, lambda row, begin, hidden: None)

    def read_every(self, state: States, ids: Sequence[Ids]) -> tuple[States, list[Floats]]:
        rows = [np.empty((len(some), self.vocabulary.size), np.float32) for some in ids]

        def keep(row: int, begin: int, hidden: Tensor) -> None:
            rows[row][begin : begin + len(hidden)] = self._log_softmax(hidden)

        return self._read(state, ids, keep), list(rows)

    @torch.inference_mode()
    def _step(self, state: States, ids: Ids) -> States:
        y, after = self.model(torch.from_numpy(ids).to(self.model.device), state.state)
        return States(after, y[:, -1])

    @torch.inference_mode()
    def _read(self, state: States, ids: Sequence[Ids], use: Callable[[int, int, Tensor], None]) -> States:
        """Read on; `use` is told of each row's hidden states `(T, C)`, from a position of its ids on."""
        states, last = (part.clone() for part in state)
        for rows, begin, y, after in self.model.read(ids, state.state):
            for row, hidden in zip(rows, y, strict=True):
                use(row, begin, hidden)
            ended = [row for row, index in enumerate(rows) if len(ids[index]) == begin + y.shape[1]]
            indices = [rows[row] for row in ended]
            states[:, :, indices] = after[:, :, ended]
            last[indices] = y[ended, -1]
        return States(states, last)

    def take(self, state: States, rows: list[int]) -> States:
        return States(state.state[:, :, rows], state.hidden[rows])

    def join(self, one: States, other: States) -> States:
        return States(torch.cat([one.state, other.state], 2), torch.cat([one.hidden, other.hidden]))

    def distributions(self, state: States) -> Floats:
        return self._log_softmax(state.hidden)

    @torch.inference_mode()
    def _log_softmax(self, hidden: Tensor) -> Floats:
        scores: Floats = F.log_softmax(self.model.head(hidden).float(), -1).cpu().numpy()
        return scores
