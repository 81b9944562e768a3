"""Copying from the source: the pointer-generator (See et al. 2017, equations 8 and 9).

    p(w) = g · softmax(logits)[w]  +  (1 - g) · Σ_s a_s [source_s = w]        g = σ(u · h + b)

The attention a has queries and keys of its own, for here no one head of many layers stands for all of them.
It knows where a copy would go on, as CopyNet does by its selective read (Gu et al. 2016): a place whose
neighbor before is the token just written scores more by one learned number, and by another where the two
before it are the last two. So a network copies runs before it has learned to, and learns where they begin and
end. What ends a source or begins a document is not copied; where nothing is there to be copied, g is 1.
Deviates: no coverage; what repeats is kept from being written by `no_repeat_ngram_size`.
Letters: B batch, T time, S time of the memory, C channels, V vocabulary.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from langue.nn.linear import Linear, linear

CHUNK_ROWS = 1024  # of logits at a time
LEAST = 1e-30  # of a probability whose logarithm is taken: what is not there has no gradient
GOES_ON = (4.0, 3.0)  # at first: of two hundred places the one where a copy goes on has most of the weight


class Decoded(NamedTuple):
    """Hidden states, and what they were decoded from."""

    hidden: Tensor  # (B, T, C)
    inputs: Tensor  # (B, T) what was read last
    before: Tensor  # (B, T) and before that; -1: nothing
    ids: Tensor  # (B, S) of the memory
    mask: Tensor  # (B, T, S) or (B, 1, S), True where a target may look at it and copy


class Pointed(NamedTuple):
    """Where each target points, and how much it counts."""

    gate: Tensor  # (B, T) the logit of g
    attention: Tensor  # (B, T, S), of which each row sums to one, or to none where nothing is to be copied
    some: Tensor  # (B, T) whether anything is
    ids: Tensor  # (B, S) of the source


class Pointer(nn.Module):
    """The attention and the gate."""

    def __init__(self, C: int) -> None:
        super().__init__()
        self.query = Linear(C, C)
        self.key = Linear(C, C)
        self.gate = Linear(C, 1)
        self.goes_on = nn.Parameter(torch.tensor(GOES_ON))

    @torch.no_grad()
    def initialize(self) -> None:
        """What does not begin as other weights do: as much is written as copied, and copies go on."""
        self.gate.weight.zero_()
        self.goes_on.copy_(torch.tensor(GOES_ON))

    def forward(self, decoded: Decoded, keys: Tensor) -> Pointed:
        """Where targets point, given keys `(B, S, C)` of the memory."""
        hidden, inputs, before, ids, mask = decoded
        scores = (self.query(hidden) @ keys.transpose(1, 2)).float() * keys.shape[-1] ** -0.5
        one = _follows(ids, inputs, mask, 1)
        scores = scores + self.goes_on[0] * one + self.goes_on[1] * (one & _follows(ids, before, mask, 2))
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
        attention = F.softmax(scores, -1).masked_fill(~mask, 0.0)
        some = mask.any(-1).expand(attention.shape[:2])
        return Pointed(self.gate(hidden)[..., 0].float(), attention, some, ids)


def _follows(ids: Tensor, read: Tensor, mask: Tensor, distance: int) -> Tensor:
    """Whether so far before a place of the source stands what was read, `(B, T, S)`."""
    there = (ids[:, None] == read[:, :, None]) & mask
    return F.pad(there, (distance, 0))[:, :, :-distance]


def target_log_probs(pointed: Pointed, generated: Tensor, targets: Tensor) -> Tensor:
    """log p of targets `(B, T)`, given those by the logits alone."""
    copied = (pointed.attention * (pointed.ids[:, None] == targets[:, :, None])).sum(-1)
    both = torch.logaddexp(
        F.logsigmoid(pointed.gate) + generated,
        F.logsigmoid(-pointed.gate) + copied.clamp_min(LEAST).log(),
    )
    return torch.where(pointed.some, both, generated)


def mix(gate: Tensor, attention: Tensor, some: Tensor, ids: Tensor, logits: Tensor) -> Tensor:
    """log p of every token `(N, V)`: gates and `some` `(N,)`, attention and ids `(N, S)`."""
    generated = F.log_softmax(logits.float(), -1)
    copied = torch.zeros_like(generated).scatter_add_(1, ids, attention).log()
    both = torch.logaddexp(F.logsigmoid(gate)[:, None] + generated, F.logsigmoid(-gate)[:, None] + copied)
    return torch.where(some[:, None], both, generated)


def log_probs_of(hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor) -> Tensor:
    """log p of targets `(N,)` by the softmax of hidden states `(N, C)` alone."""
    weight = weight.to(hidden.dtype)
    scores = []
    for part, target in zip(torch.split(hidden, CHUNK_ROWS), torch.split(targets, CHUNK_ROWS), strict=True):
        logits = linear(part, weight).float()
        scores.append(-F.cross_entropy(logits if bias is None else logits + bias, target, reduction="none"))
    return torch.cat(scores)
