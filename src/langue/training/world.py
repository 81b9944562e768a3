"""What a step asks of the processes that train together; here, where this one is alone, that is little."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from langue.base.files import atomic_folder
from langue.nn.device import best_device
from langue.protocols import Trainable
from langue.tokens.batches import TrainingBatch

Loss = Callable[[Any], torch.Tensor]
B = TypeVar("B", bound=TrainingBatch)
Context = contextlib.AbstractContextManager[None]


class World:
    """This process alone; `distributed.Processes` is one of several. A context manager."""

    size = 1
    rank = 0
    first = True  # whether this process speaks and writes for all
    sharded = False  # whether each process holds but a part of every weight

    def __init__(self) -> None:
        self.device = best_device()

    def __enter__(self) -> "World":
        return self

    def __exit__(self, *exception: object) -> None: ...

    def wrap(self, model: Trainable, *, all_used: bool = True) -> Loss:
        """The loss of this process's rows, in which every parameter has a part, or not `all_used`."""
        return model.loss

    def local_rows(self, batch: B) -> B:
        """The rows of a batch that are this process's."""
        return batch

    def exchanging(self, now: bool) -> Context:
        """Gradients made in the block are exchanged, or wait for the next part of the batch."""
        return contextlib.nullcontext()

    def sum(self, *values: float) -> list[float]:
        """Sums over all processes, the same on each."""
        return list(values)

    def clip(self, model: nn.Module, largest: float) -> float:
        """Scale the gradient down to that norm; the norm it had."""
        return float(nn.utils.clip_grad_norm_(model.parameters(), largest))

    def rows(self, tensor: torch.Tensor) -> torch.Tensor:
        """The rows of a tensor that are this process's."""
        return tensor

    def gather_rows(self, tensor: torch.Tensor) -> torch.Tensor:
        """The rows of all processes."""
        return tensor

    def folder(self, path: Path, marker: str) -> contextlib.AbstractContextManager[Path]:
        """A folder all processes write in, which takes the place of `path` when all are done."""
        return atomic_folder(path, marker=marker, overwrite=True)

    def wait(self) -> None:
        """Until all processes are here."""
