"""What a network says of given tokens: their log-probabilities, and how sure it was.

A rule takes logits `(N, V)` and targets `(N,)`, and gives rows of figures `(figures, N)` in float32,
whatever the weights are kept in.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from langue.base.arrays import Floats, Ids

Rule: TypeAlias = Callable[[Tensor, Tensor], Tensor]


def token_scores(logits: Tensor, targets: Tensor) -> Tensor:
    """Log-probability of each target, `(1, N)`."""
    return -F.cross_entropy(logits.float(), targets, reduction="none")[None]


def scores_and_entropies(logits: Tensor, targets: Tensor) -> Tensor:
    """Below the log-probabilities, the entropies of the distributions in nats, `(2, N)`."""
    log_probs = F.log_softmax(logits.float(), -1)
    entropies = -(log_probs.exp() * log_probs).nan_to_num(0.0).sum(-1)  # 0 log 0 is 0
    return torch.stack([token_scores(logits, targets)[0], entropies])


class Scored(ABC):
    """The scores of a `Causal` network that says how it applies a rule to sequences."""

    @abstractmethod
    def scores(self, sequences: Sequence[Ids], rule: Rule, figures: int) -> list[Floats]:
        """The figures of each token of each sequence, `(figures, tokens)`."""

    def log_probs(self, sequences: Sequence[Ids]) -> list[Floats]:
        return [row for (row,) in self.scores(sequences, token_scores, 1)]

    def log_probs_and_entropies(self, sequences: Sequence[Ids]) -> tuple[list[Floats], list[Floats]]:
        both = self.scores(sequences, scores_and_entropies, 2)
        return [log_probs for log_probs, _ in both], [entropies for _, entropies in both]
