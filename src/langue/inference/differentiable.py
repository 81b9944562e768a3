"""The sum over all paths as a PyTorch function: its gradient is what forward–backward finds.

∂ log z / ∂ score of a state, or of a transition, is its posterior probability, or expected number; so
the inference of the CRF and the HMM serves a neural network as it is, in float64 on the CPU, and no
graph is kept of the recursion.
"""

from typing import Any

import torch

from langue.base.arrays import Array
from langue.inference.chain import Chain
from langue.inference.sumproduct import posteriors


class _LogPartition(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        unary: torch.Tensor,
        transition: torch.Tensor,
        start: torch.Tensor,
        end: torch.Tensor,
        offsets: Array,
    ) -> torch.Tensor:
        parts = [part.detach().double().cpu().numpy() for part in (unary, transition, start, end)]
        some = offsets[:-1] < offsets[1:]  # sequences with any position at all
        begins, ends = offsets[:-1][some], offsets[1:][some] - 1
        sums = posteriors(Chain.of(*parts[1:]), parts[0], offsets)
        gradients = (sums.states, sums.pairs, sums.states[begins].sum(0), sums.states[ends].sum(0))
        ctx.save_for_backward(
            *(
                torch.from_numpy(gradient).to(part.device, part.dtype)
                for gradient, part in zip(gradients, (unary, transition, start, end), strict=True)
            )
        )
        return torch.tensor(sums.log_z.sum(), dtype=torch.float64, device=unary.device)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return *(saved * gradients[0].to(saved.dtype) for saved in ctx.saved_tensors), None


def log_partition_sum(
    unary: torch.Tensor, transition: torch.Tensor, start: torch.Tensor, end: torch.Tensor, offsets: Array
) -> torch.Tensor:
    """Σ log z over all sequences, a float64 scalar.

    Args:
        unary: `(N, K)`; transition: `(K, K)`; start, end: `(K,)`; natural-log scores.
        offsets: `(S + 1,)`, where the sequences begin in `unary`.
    """
    total: torch.Tensor = _LogPartition.apply(unary, transition, start, end, offsets)  # type: ignore[no-untyped-call]
    return total
