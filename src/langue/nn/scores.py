"""What a network says of given tokens: their log-probabilities, and how sure it was.

A rule takes logits `(N, V)` and targets `(N,)`, and gives rows of figures `(figures, N)`.
"""

from collections.abc import Callable
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

Scores: TypeAlias = Callable[[Tensor, Tensor], Tensor]


def token_scores(logits: Tensor, targets: Tensor) -> Tensor:
    """Log-probability of each target, `(1, N)`."""
    return -F.cross_entropy(logits, targets, reduction="none")[None]


def scores_and_entropies(logits: Tensor, targets: Tensor) -> Tensor:
    """Below the log-probabilities, the entropies of the distributions in nats, `(2, N)`."""
    log_probs = F.log_softmax(logits, -1)
    entropies = -(log_probs.exp() * log_probs).nan_to_num(0.0).sum(-1)  # 0 log 0 is 0
    return torch.stack([token_scores(logits, targets)[0], entropies])
