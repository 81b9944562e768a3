"""What labels the positions of an encoder: `head = "crf"` or `"softmax"`.

A linear layer scores each label at each position. A CRF (Collobert et al. 2011; Huang et al. 2015) adds a
matrix that scores each pair of neighbors, and its loss is -log p(tags | text) of the whole sentence; a
softmax learns every position alone. Forbidden steps may be given, and then neither head takes one. All
inference is that of `inference`, in float64. Sequences stand one after another, with nothing padded.
Letters: N positions of all sequences, S sequences, C channels, K labels.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import nn

from langue.base.arrays import Array, Floats, Ids
from langue.inference.chain import Chain, offsets_of
from langue.inference.differentiable import log_partition_sum
from langue.inference.maxproduct import n_best, viterbi
from langue.inference.sumproduct import log_partition, posteriors
from langue.models.taggers.labels import UNKNOWN_TAG

Head = Literal["crf", "softmax"]
Scores = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # of transitions `(K, K)`, starts and ends `(K,)`


class LabelHead(nn.Module, ABC):
    """Labels of sequences of hidden states, once a head adds `loss`.

    Args:
        C: width of the hidden states.
        fixed: scores beside the learned ones: 0, or -inf where a step is forbidden (`Labels.chain`).
    """

    fixed_transition: torch.Tensor
    fixed_start: torch.Tensor
    fixed_end: torch.Tensor

    def __init__(self, C: int, fixed: Chain) -> None:
        super().__init__()
        self.score = nn.Linear(C, len(fixed.transition))
        for name, part in zip(("transition", "start", "end"), fixed, strict=True):
            self.register_buffer(f"fixed_{name}", torch.from_numpy(part).float(), persistent=False)

    @abstractmethod
    def loss(self, hidden: torch.Tensor, tags: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
        """Σ -log p(tags | text) in nats over the sequences: a float32 scalar.

        Args:
            hidden: `(N, C)`; tags: `(N,)`, `UNKNOWN_TAG` where a tag is not known.
            lengths: `(S,)` positions of each sequence.
        """

    def fixed(self) -> Scores:
        """0, or -inf where a step is forbidden."""
        return self.fixed_transition, self.fixed_start, self.fixed_end

    def chain(self) -> Scores:
        """What steps score."""
        return self.fixed()

    @torch.inference_mode()
    def tag(self, hidden: torch.Tensor, lengths: Sequence[int]) -> list[Ids]:
        """The likeliest labels of each sequence, `(length,)` each."""
        chain, unary, offsets = self._scored(hidden, lengths)
        return list(np.split(viterbi(chain, unary, offsets).states, offsets[1:-1]))

    @torch.inference_mode()
    def marginals(self, hidden: torch.Tensor, lengths: Sequence[int]) -> list[Floats]:
        """The probability of each label at each position, `(length, K)` for each sequence."""
        chain, unary, offsets = self._scored(hidden, lengths)
        return list(np.split(posteriors(chain, unary, offsets).states, offsets[1:-1]))

    @torch.inference_mode()
    def best(self, hidden: torch.Tensor, n: int) -> list[tuple[float, Ids]]:
        """The `n` likeliest labelings of one sequence with their natural-log probabilities."""
        chain, unary, offsets = self._scored(hidden, [len(hidden)])
        log_z = float(log_partition(chain, unary, offsets)[0])
        ranked = n_best(chain, unary, n)
        return [
            (float(score) - log_z, states) for states, score in zip(ranked.states, ranked.scores, strict=True)
        ]

    def _unary(self, hidden: torch.Tensor, tags: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores `(N, K)`, and the same with all but the labels a position may have at -inf."""
        unary = self.score(hidden)
        unary = unary.float() if unary.dtype == torch.bfloat16 else unary
        labels = torch.arange(unary.shape[1], device=tags.device)
        allowed = (tags[:, None] == UNKNOWN_TAG) | (tags[:, None] == labels)
        return unary, unary.masked_fill(~allowed, float("-inf"))

    def _scored(self, hidden: torch.Tensor, lengths: Sequence[int]) -> tuple[Chain, Array, Array]:
        unary = self.score(hidden.to(self.score.weight.dtype)).double().cpu().numpy()
        chain = Chain.of(*(part.double().cpu().numpy() for part in self.chain()))
        return chain, unary, offsets_of(list(lengths))


class CRFHead(LabelHead):
    """A linear-chain CRF."""

    def __init__(self, C: int, fixed: Chain) -> None:
        super().__init__(C, fixed)
        K = len(fixed.transition)
        self.transition = nn.Parameter(torch.zeros(K, K))
        self.start = nn.Parameter(torch.zeros(K))
        self.end = nn.Parameter(torch.zeros(K))

    def loss(self, hidden: torch.Tensor, tags: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
        every, right = self._unary(hidden, tags)
        offsets, chain = offsets_of(list(lengths)), self.chain()
        total = log_partition_sum(every, *chain, offsets) - log_partition_sum(right, *chain, offsets)
        return total.float()

    def chain(self) -> Scores:
        transition, start, end = self.fixed()
        return self.transition + transition, self.start + start, self.end + end


class SoftmaxHead(LabelHead):
    """Each position learns alone; what is forbidden is left out when it tags."""

    def loss(self, hidden: torch.Tensor, tags: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
        every, right = self._unary(hidden, tags)
        return (every.logsumexp(1) - right.logsumexp(1)).sum().float()


HEADS: dict[Head, type[LabelHead]] = {"crf": CRFHead, "softmax": SoftmaxHead}
