"""Rows cut where documents begin: torch's recurrent kernels can't reset a state within a row, but read the
runs between side by side, as a packed batch."""

from typing import NamedTuple

import torch
from torch import Tensor


class Runs(NamedTuple):
    """A batch `(B, T)` cut where documents begin, packed step by step, the longest run first (N runs)."""

    cells: Tensor  # (B T,) index in the flattened batch of each packed cell
    sizes: Tensor  # (longest,) runs that are still going at each step, on the CPU
    goes_on: Tensor  # (N,) whether a run continues the row of the batch before
    row: Tensor  # (N,) the row a run stands in
    last: Tensor  # (B,) number of the last run of each row


def pack_runs(begins: Tensor) -> Runs:
    """The runs of a batch; `begins` `(B, T)` is true at the first token of a document."""
    B, T = begins.shape
    edge = begins.clone()
    edge[:, 0] = True
    start = edge.flatten().nonzero()[:, 0]  # (N,) in reading order
    length = torch.diff(start, append=start.new_tensor([B * T]))
    length, order = torch.sort(length, descending=True, stable=True)
    start = start[order]
    step = torch.arange(int(length[0]), device=start.device)
    going = length > step[:, None]  # (longest, N)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=order.device)
    return Runs(
        cells=(start + step[:, None])[going],
        sizes=going.sum(1).cpu(),
        goes_on=~begins.flatten()[start],
        row=start // T,
        last=rank[edge.sum(1).cumsum(0) - 1],
    )
