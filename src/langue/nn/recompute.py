"""Selective activation recomputation (Korthikanti et al. 2022, section 5): what is large and quick to make is
made again for the gradient, and not kept until then."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

_by_block: ContextVar[bool] = ContextVar("by_block", default=False)


@contextmanager
def recomputed_by_block() -> Iterator[None]:
    """Within gradient checkpointing, which keeps nothing of a block, and has hooks of its own."""
    token = _by_block.set(True)
    try:
        yield
    finally:
        _by_block.reset(token)


def recomputed(make: Callable[[Tensor], Tensor], x: Tensor, use: Callable[[Tensor], Tensor]) -> Tensor:
    """`use(make(x))`, bit for bit, and its gradient; `make`, which draws nothing at random, is called again
    for that, and its result is not kept. What `use` makes of it first (another type, under autocast) is."""
    y = make(x)
    if not (torch.is_grad_enabled() and y.requires_grad) or _by_block.get() or torch.compiler.is_compiling():
        return use(y)
    begin, size, dtype = y.data_ptr(), y.numel(), y.dtype  # not y, for that would keep it

    def pack(saved: Tensor) -> Tensor | torch.Size:
        same = (saved.data_ptr(), saved.numel(), saved.dtype) == (begin, size, dtype)
        return saved.shape if same and saved.is_contiguous() else saved

    def unpack(packed: Tensor | torch.Size) -> Tensor:
        if isinstance(packed, Tensor):
            return packed
        with torch.no_grad():
            return make(x.detach()).view(packed)

    with saved_tensors_hooks(pack, unpack):
        return use(y)
