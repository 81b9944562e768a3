"""Scoring and decoding for every model that sees at most `window` tokens at once.

A document begins with `<eos>` before its first token. What a token is predicted from is a function
of its position in the document alone, so a score never depends on what stands beside it: within the
first window all before it, then a window that moves on by whole strides. Where a family sets `window`
to None, every document is read whole.
"""

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from langue.base.arrays import Floats, Ids
from langue.nn.fast.compiled_step import CompiledForm, Weights
from langue.nn.linear import linear
from langue.nn.scores import Rule, Scored
from langue.nn.weights import save_weights
from langue.nn.windowed_decoder import WindowedDecoder, WindowRows
from langue.protocols import Causal, Trainable, Vocabulary

CHUNK_POSITIONS = 1 << 13  # positions scored at a time: logits of 8,192 x 8,192 in float32 are 256 MB
CHUNK_ROWS = 1024  # of logits at a time


class Windowed(nn.Module, Scored, CompiledForm, Causal, Trainable):
    """A `Causal` model, once a family adds two methods, and what it is compiled by.

    forward(ids, positions, mask, past): hidden states `(B, T, C)` of ids `(B, T)`; positions `(T,)`
        or `(B, T)` count from the beginning of the window or document
    head: the matrix `(V, C)` that makes logits of hidden states
    """

    def __init__(self, vocabulary: Vocabulary, window: int) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.context = window
        self.window: int | None = window
        self.stride: int | None = max(window // 2, 1)  # past the first window a token sees half of one
        self.carry: dict[str, torch.Tensor] = {}

    @property
    @abstractmethod
    def head(self) -> torch.Tensor: ...

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """`(N, C)` to `(N, V)`."""
        return linear(hidden, self.head)

    @torch.inference_mode()
    def distributions(self, hidden: torch.Tensor) -> Floats:
        """log p of every token after hidden states `(rows, C)`: `(rows, V)`."""
        scores: Floats = F.log_softmax(self.logits(hidden).float(), -1).cpu().numpy()
        return scores

    @property
    def device(self) -> torch.device:
        return self.head.device

    @torch.inference_mode()
    def scores(self, sequences: Sequence[Ids], rule: Rule, figures: int) -> list[Floats]:
        self.vocabulary.check(*sequences)
        result = [np.empty((figures, len(ids)), np.float32) for ids in sequences]
        for batch in self._windows(sequences):
            T = max(end - start for _, start, _, end in batch)
            inputs = torch.zeros(len(batch), T, dtype=torch.int64)  # padding on the right: no one sees it
            targets = torch.zeros(len(batch), T, dtype=torch.int64)
            for row, (index, start, _, end) in enumerate(batch):
                ids = np.asarray(sequences[index][:end], np.int64)
                inputs[row, : end - start] = torch.from_numpy(np.r_[self.vocabulary.eos, ids[:-1]][start:end])
                targets[row, : end - start] = torch.from_numpy(ids[start:end])
            if self.scored_by_step() and (step := self.compiled()) is not None:
                from langue.nn.compiled.score import window_scores  # numba takes long to import

                lengths = [end - start for _, start, _, end in batch]
                scores = window_scores(step, inputs, targets, lengths, rule, figures=figures)
            else:
                scores = (
                    self._token_scores(inputs.to(self.device), targets.to(self.device), rule).cpu().numpy()
                )
            for row, (index, start, first, end) in enumerate(batch):
                result[index][:, first:end] = scores[:, row, first - start : end - start]
        return list(result)

    def next_log_probs(self, contexts: Sequence[Ids]) -> Floats:
        return self.decoder(contexts).log_probs()

    def decoder(self, prompts: Sequence[Ids], *, depth: int = 0) -> WindowRows:
        if (step := self.compiled()) is not None:
            from langue.nn.compiled.decoder import CompiledDecoder  # numba takes long to import
            from langue.nn.compiled.transformer import CompiledCache

            return CompiledDecoder(self, step, prompts, CompiledCache(step))
        return WindowedDecoder(self, prompts)

    def lay_out(self, weights: Weights | None) -> Any:
        from langue.nn.compiled.plan import plan_of
        from langue.nn.compiled.transformer import CompiledTransformer

        model: Any = self
        return CompiledTransformer(plan_of(model), weights)

    def size(self) -> dict[str, int]:
        return {"parameters": sum(parameter.numel() for parameter in self.parameters())}

    def save(self, folder: Path) -> None:
        save_weights(self, folder)

    def window_start(self, position: int) -> int:
        """Where the window that predicts the token at a position of its document begins."""
        if not self.window or not self.stride:
            return 0
        return max(0, -(-(position + 1 - self.window) // self.stride)) * self.stride

    def _windows(self, sequences: Sequence[Ids]) -> list[list[tuple[int, int, int, int]]]:
        """Windows (sequence, begin, first token scored, end) in batches of nearly equal length."""
        windows = []
        for index, ids in enumerate(sequences):
            first = 0
            while first < len(ids):
                start = self.window_start(first)
                end = min(len(ids), start + (self.window or len(ids)))
                windows.append((index, start, first, end))
                first = end
        windows.sort(key=lambda window: window[1] - window[3])
        batches: list[list[tuple[int, int, int, int]]] = []
        for window in windows:
            longest = batches[-1][0][3] - batches[-1][0][1] if batches else 0
            if not batches or (len(batches[-1]) + 1) * longest > CHUNK_POSITIONS:
                batches.append([])
            batches[-1].append(window)
        return batches

    def _token_scores(self, inputs: torch.Tensor, targets: torch.Tensor, rule: Rule) -> torch.Tensor:
        """The figures of each target, `(figures, B, T)`."""
        x = self(inputs, torch.arange(inputs.shape[1], device=self.device), "causal")  # (B, T, C)
        rows = zip(
            torch.split(x.flatten(0, 1), CHUNK_ROWS), torch.split(targets.flatten(), CHUNK_ROWS), strict=True
        )
        return torch.cat([rule(self.logits(part), target) for part, target in rows], 1).view(
            -1, *targets.shape
        )
