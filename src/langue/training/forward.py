"""Two ways to change how a model computes, and nothing of what it computes."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from langue.base.progress import log
from langue.nn.recompute import recomputed_by_block
from langue.training.distributed import blocks

Forward = Callable[..., Any]


def gradient_checkpointing(model: nn.Module) -> None:
    """Keep only what enters each block, and compute the rest again on the way back (Chen et al. 2016)."""
    for block in blocks(model):
        block.forward = _recomputed(block.forward)


def _recomputed(forward: Forward) -> Forward:
    def whole(*inputs: Any, **named: Any) -> Any:
        with recomputed_by_block():
            return forward(*inputs, **named)

    def run(*inputs: Any, **named: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*inputs, **named)
        return checkpoint(whole, *inputs, use_reentrant=False, **named)

    return run


def compiled(model: nn.Module) -> None:
    """Compile the forward pass; where that fails, say so and go on without."""
    plain = model.forward
    chosen = [torch.compile(plain)]

    def run(*inputs: Any) -> Any:
        try:
            return chosen[0](*inputs)
        except Exception as error:
            if chosen[0] is plain or not _by_compiler(error):
                raise
        log.warning("cannot compile here, going on without (langue doctor says what is missing)")
        chosen[0] = plain
        return plain(*inputs)

    model.forward = run


def _by_compiler(error: Exception) -> bool:
    return type(error).__module__.startswith(("torch._dynamo", "torch._inductor"))


def restore(model: nn.Module) -> None:
    """Undo both."""
    for module in (model, *blocks(model)):
        vars(module).pop("forward", None)
