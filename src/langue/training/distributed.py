"""Many processes, one model: what the loop asks of the others, and nothing a model file has to know.

`torchrun --nproc-per-node 2 -m langue train …` starts processes that find each other through the
environment. Each takes its rows of every batch, so the batch, the loss and the update are those of
one process. DDP keeps the model whole on each; FSDP2 cuts weights, gradients and optimizer state.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import distributed, nn

from langue.base.errors import LangueError
from langue.base.files import atomic_folder
from langue.nn.device import best_device
from langue.tokens.batches import TrainingBatch
from langue.training.optimizer import copy, full_tensor, weights

Loss = Callable[[Any], torch.Tensor]
B = TypeVar("B", bound=TrainingBatch)


class World:
    """The processes that train together; without `torchrun`, this one alone. A context manager.

    Args:
        fsdp: FSDP2 rather than DDP.
    """

    def __init__(self, *, fsdp: bool = False) -> None:
        self.size = int(os.environ.get("WORLD_SIZE", "1"))
        self.rank = int(os.environ.get("RANK", "0"))
        self.sharded = fsdp and self.size > 1
        self.device = best_device()
        self._wrapped: Any = None

    def __enter__(self) -> "World":
        if self.size > 1:
            if "MASTER_ADDR" not in os.environ:
                raise LangueError(
                    f"the environment has WORLD_SIZE={self.size}, but not where the other processes are; "
                    "start them by torchrun, or unset WORLD_SIZE"
                )
            if self.device.type == "cuda":
                torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
            distributed.init_process_group("nccl" if self.device.type == "cuda" else "gloo")
        return self

    def __exit__(self, *exception: object) -> None:
        if self.size > 1:
            distributed.destroy_process_group()

    @property
    def first(self) -> bool:
        """Whether this process speaks and writes for all."""
        return self.rank == 0

    def local_rows(self, batch: B) -> B:
        """The rows of a batch that are this process's."""
        return batch.cut(*self._range(batch.rows))

    def rows(self, tensor: torch.Tensor) -> torch.Tensor:
        """The rows of a tensor that are this process's."""
        begin, end = self._range(len(tensor))
        return tensor[begin:end]

    def _range(self, rows: int) -> tuple[int, int]:
        if rows % self.size:
            raise LangueError(
                f"a batch of {rows} rows cannot be shared by {self.size} processes; set batch_tokens so "
                f"that batch_tokens / context is a multiple of {self.size}"
            )
        return rows * self.rank // self.size, rows * (self.rank + 1) // self.size

    def wrap(self, model: Any) -> Loss:
        """The loss of the rows of this process, whose gradient is the mean over the processes."""
        if self.size == 1:
            return model.loss
        if self.sharded:
            from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

            for block in blocks(model):
                fully_shard(block)
            self._wrapped = fully_shard(model)
            register_fsdp_forward_method(model, "loss")
            return model.loss
        self._wrapped = nn.parallel.DistributedDataParallel(_LossOf(model))
        return self._wrapped

    @contextlib.contextmanager
    def exchanging(self, now: bool) -> Iterator[None]:
        """Gradients made in the block are exchanged, or wait for the next part of the batch."""
        if self.sharded:
            self._wrapped.set_requires_gradient_sync(now)
            yield
        elif self._wrapped is not None and not now:
            with self._wrapped.no_sync():
                yield
        else:
            yield

    def sum(self, *values: float) -> list[float]:
        """Sums over all processes, the same on each."""
        if self.size == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        distributed.all_reduce(total)
        return [float(value) for value in total]

    def gather_rows(self, tensor: torch.Tensor) -> torch.Tensor:
        """The rows of all processes."""
        if self.size == 1:
            return tensor
        parts = [torch.empty_like(tensor) for _ in range(self.size)]
        distributed.all_gather(parts, tensor.contiguous())
        return torch.cat(parts)

    @contextlib.contextmanager
    def folder(self, path: Path, marker: str) -> Iterator[Path]:
        """A folder all processes write in, which takes the place of `path` when all are done."""
        name = [""]
        with contextlib.ExitStack() as stack:
            if self.first:
                name = [str(stack.enter_context(atomic_folder(path, marker=marker, overwrite=True)))]
            if self.size > 1:
                distributed.broadcast_object_list(name)
            yield Path(name[0])
            self.wait()
        self.wait()

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            distributed.barrier()


class _LossOf(nn.Module):
    """DDP exchanges gradients of what `forward` computes; the trainer computes `loss`."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Any) -> torch.Tensor:
        return self.model.loss(batch)


def unsharded(model: nn.Module, other: Any) -> Any:
    """`other`, an instance of the same network, with the weights of a model that FSDP cut up."""
    copy({name: full_tensor(tensor) for name, tensor in weights(model).items()}, weights(other))
    return other.eval()


def blocks(model: nn.Module) -> list[nn.Module]:
    """The layers of a network that repeat: members of its lists, not of lists within them."""
    found: list[nn.Module] = []
    for child in model.children():
        found += list(child) if isinstance(child, nn.ModuleList) else blocks(child)
    return found
