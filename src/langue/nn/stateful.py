"""Scoring and decoding for every model that carries a state from token to token, and has no window.

A document begins with `<eos>` before its first token, and in a state of zeros. Letters: B batch, T time,
C width, V vocabulary; a state is `(layers, parts, B, C)`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from langue.base.arrays import Floats, Ids
from langue.nn.recurrent import Recurrent
from langue.nn.scores import Rule, Scored
from langue.nn.weights import save_tied_weights
from langue.protocols import RecurrentCausal, Trainable, Vocabulary

CHUNK_TOKENS = 1 << 13  # tokens read at a time when scoring: logits of 1,024 of them are held at once


class Stateful(nn.Module, Scored, RecurrentCausal, Trainable):
    """A `Causal` model, once a family sets these attributes, and adds a method.

    forward(ids, state): hidden states `(B, T, C)` of ids `(B, T)`, and the state after them
    """

    vocabulary: Vocabulary
    window: int | None = None
    stride: int | None = None
    embedding: nn.Module
    recurrent: Recurrent
    head: nn.Linear

    @property
    def device(self) -> torch.device:
        return self.head.weight.device

    def _read(self, inputs: Sequence[Ids]) -> Iterator[tuple[list[int], int, Tensor, Tensor]]:
        """Read sequences side by side, in pieces that end where the shortest still going does.

        Yields:
            The sequences still going, longest first; where in them the piece begins; its hidden states
            `(rows, T, C)`; the state after it.
        """
        order = sorted(range(len(inputs)), key=lambda index: -len(inputs[index]))
        rows, begin = order, 0
        state = self.recurrent.start(len(rows))
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
        for rows, begin, y, _ in self._read(inputs):
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

    @torch.inference_mode()
    def decoder(self, prompts: Sequence[Ids]) -> "StatefulDecoder":
        self.vocabulary.check(*prompts)
        state = self.recurrent.start(len(prompts))
        hidden = state.new_zeros(len(prompts), self.head.in_features)
        inputs = [np.r_[self.vocabulary.eos, ids] for ids in prompts]
        for rows, begin, y, after in self._read(inputs):
            ended = [row for row, index in enumerate(rows) if len(inputs[index]) == begin + y.shape[1]]
            indices = [rows[row] for row in ended]
            state[:, :, indices] = after[:, :, ended]
            hidden[indices] = y[ended, -1]
        return StatefulDecoder(self, state, hidden)

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
        save_tied_weights(self, folder)


class StatefulDecoder:
    """Sequences that grow: the state after each `(layers, parts, B, C)` and its last hidden `(B, C)`."""

    def __init__(self, model: Stateful, state: Tensor, hidden: Tensor) -> None:
        self.model = model
        self.state = state
        self.hidden = hidden

    @torch.inference_mode()
    def log_probs(self) -> Floats:
        scores: Floats = F.log_softmax(self.model.head(self.hidden), -1).cpu().numpy()
        return scores

    @torch.inference_mode()
    def append(self, ids: Ids) -> None:
        self.model.vocabulary.check(ids)
        step = torch.from_numpy(np.asarray(ids, np.int64)[:, None]).to(self.model.device)  # (B, 1)
        y, self.state = self.model(step, self.state)
        self.hidden = y[:, -1]

    def select(self, rows: Sequence[int]) -> None:
        self.state = self.state[:, :, list(rows)]
        self.hidden = self.hidden[list(rows)]
