"""A CRF as the head of an encoder: `head = "crf"` (Collobert et al. 2011; Huang et al. 2015).

A linear layer scores each label at each position, a matrix each pair of neighbours; the loss is
-log p(tags | text) of the whole sentence, by the inference of `models/chain`. Forbidden steps may be
given; a tag may be unknown. Letters: B batch, T time, C channels, K labels.
"""

import numpy as np
import torch
from torch import nn

from langue.models.chain.chain import Chain, Numbers, offsets_of
from langue.models.chain.differentiable import log_partition_sum
from langue.models.chain.maxproduct import viterbi
from langue.models.chain.sumproduct import posteriors
from langue.models.labels import UNKNOWN_TAG
from langue.models.protocol import Floats, Ids


class CRFHead(nn.Module):
    """Labels of sequences of hidden states.

    Args:
        C: width of the hidden states.
        fixed: scores beside the learned ones: 0, or -inf where a step is forbidden (`Labels.chain`).
    """

    fixed_transition: torch.Tensor
    fixed_start: torch.Tensor
    fixed_end: torch.Tensor

    def __init__(self, C: int, fixed: Chain) -> None:
        super().__init__()
        K = len(fixed.transition)
        self.score = nn.Linear(C, K)
        self.transition = nn.Parameter(torch.zeros(K, K))
        self.start = nn.Parameter(torch.zeros(K))
        self.end = nn.Parameter(torch.zeros(K))
        for name, part in zip(("transition", "start", "end"), fixed, strict=True):
            self.register_buffer(f"fixed_{name}", torch.from_numpy(part).float(), persistent=False)

    def loss(self, hidden: torch.Tensor, tags: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Σ -log p(tags | text) in nats over the sequences of a batch: a float32 scalar.

        Args:
            hidden: `(B, T, C)`; tags: `(B, T)`, `UNKNOWN_TAG` where a tag is not known.
            lengths: `(B,)` positions of each sequence; what stands beyond is not looked at.
        """
        inside = self._inside(hidden, lengths)
        unary = self.score(hidden[inside])  # (N, K)
        known = tags[inside]
        allowed = (known[:, None] == UNKNOWN_TAG) | (known[:, None] == torch.arange(unary.shape[1]).to(known))
        offsets = offsets_of(lengths.tolist())
        chain = self._chain()
        every = log_partition_sum(unary, *chain, offsets)
        right = log_partition_sum(unary.masked_fill(~allowed, float("-inf")), *chain, offsets)
        return (every - right).float()

    @torch.inference_mode()
    def tag(self, hidden: torch.Tensor, lengths: torch.Tensor) -> list[Ids]:
        """The likeliest labels of each sequence, `(length,)` each."""
        chain, unary, offsets = self._scored(hidden, lengths)
        return list(np.split(viterbi(chain, unary, offsets).states, offsets[1:-1]))

    @torch.inference_mode()
    def marginals(self, hidden: torch.Tensor, lengths: torch.Tensor) -> list[Floats]:
        """The probability of each label at each position, `(length, K)` for each sequence."""
        chain, unary, offsets = self._scored(hidden, lengths)
        return list(np.split(posteriors(chain, unary, offsets).states, offsets[1:-1]))

    def _inside(self, hidden: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return torch.arange(hidden.shape[1], device=hidden.device) < lengths[:, None].to(hidden.device)

    def _chain(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return (
            self.transition + self.fixed_transition,
            self.start + self.fixed_start,
            self.end + self.fixed_end,
        )

    def _scored(self, hidden: torch.Tensor, lengths: torch.Tensor) -> tuple[Chain, Numbers, Numbers]:
        unary = self.score(hidden[self._inside(hidden, lengths)]).double().cpu().numpy()
        chain = Chain.of(*(part.double().cpu().numpy() for part in self._chain()))
        return chain, unary, offsets_of(lengths.tolist())
