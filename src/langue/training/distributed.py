"""Many processes, one model: what the trainer asks of the others, and nothing a model file has to know.

`torchrun --nproc-per-node 2 -m langue train …` starts processes that find each other through the
environment. Each takes its rows of every batch, so the batch, the loss and the update are those of
one process. DDP keeps the model whole on each; FSDP2 cuts weights, gradients and optimizer state.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import distributed, nn

from langue.base.errors import LangueError
from langue.base.files import atomic_folder
from langue.protocols import Trainable
from langue.training.tensors import as_module, copy, full_tensor, weights
from langue.training.world import B, Context, Loss, World


def world(*, fsdp: bool = False) -> World:
    """The processes that torchrun started; without it, this one alone.

    Args:
        fsdp: FSDP2 rather than DDP; of a single process that torchrun started too, so that it can be tried.
    """
    size = int(os.environ.get("WORLD_SIZE", "0"))
    return Processes(fsdp=fsdp) if size > 1 or (fsdp and size) else World()


class Processes(World):
    """One of several processes that train together."""

    def __init__(self, *, fsdp: bool = False) -> None:
        super().__init__()
        self.size = int(os.environ.get("WORLD_SIZE", "1"))
        self.rank = int(os.environ.get("RANK", "0"))
        self.first = self.rank == 0
        self.sharded = fsdp
        self._wrapped: Any = None

    def __enter__(self) -> "Processes":
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
        # gloo's threads let go of the last exchange's tensors under Python's lock, and FSDP's caches keep
        # them. One that waits for the lock when the interpreter ends has the process end by SIGABRT.
        time.sleep(0.1)
        distributed.destroy_process_group()

    def wrap(self, model: Trainable, *, all_used: bool = True) -> Loss:
        """The same, but its gradient is the mean over the processes."""
        module = as_module(model)
        if self.sharded:
            from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

            for block in blocks(module):
                fully_shard(block)
            self._wrapped = fully_shard(module)
            register_fsdp_forward_method(module, "loss")
            return model.loss
        loss = LossOf(model)
        self._wrapped = nn.parallel.DistributedDataParallel(loss, find_unused_parameters=not all_used)
        return self._wrapped

    def local_rows(self, batch: B) -> B:
        if batch.rows < self.size:
            raise LangueError(
                f"a batch of {batch.rows} rows cannot be shared by {self.size} processes; start fewer, or "
                "take larger batches"
            )
        return batch.cut(*self._range(batch.rows))

    def rows(self, tensor: torch.Tensor) -> torch.Tensor:
        check_shared(len(tensor), self)
        begin, end = self._range(len(tensor))
        return tensor[begin:end]

    def _range(self, rows: int) -> tuple[int, int]:
        return rows * self.rank // self.size, rows * (self.rank + 1) // self.size

    def exchanging(self, now: bool) -> Context:
        if self.sharded:
            self._wrapped.set_requires_gradient_sync(now)
        elif not now:
            return self._wrapped.no_sync()
        return contextlib.nullcontext()

    def sum(self, *values: float) -> list[float]:
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        distributed.all_reduce(total)
        return [float(value) for value in total]

    def clip(self, model: nn.Module, largest: float) -> float:
        return float(full_tensor(nn.utils.clip_grad_norm_(model.parameters(), largest)))

    def gather_rows(self, tensor: torch.Tensor) -> torch.Tensor:
        parts = [torch.empty_like(tensor) for _ in range(self.size)]
        distributed.all_gather(parts, tensor.contiguous())
        return torch.cat(parts)

    @contextlib.contextmanager
    def folder(self, path: Path, marker: str) -> Iterator[Path]:
        name = [""]
        with contextlib.ExitStack() as stack:
            if self.first:
                name = [str(stack.enter_context(atomic_folder(path, marker=marker, overwrite=True)))]
            distributed.broadcast_object_list(name)
            yield Path(name[0])
            self.wait()
        self.wait()

    def wait(self) -> None:
        distributed.barrier()


class LossOf(nn.Module):
    """DDP exchanges gradients of what `forward` computes; the trainer computes `loss`."""

    def __init__(self, model: Trainable) -> None:
        super().__init__()
        self.model = as_module(model)
        self._loss = model.loss

    def forward(self, batch: Any) -> torch.Tensor:
        return self._loss(batch)


def check_shared(rows: int, world: World) -> None:
    """See that the rows of a batch, of which each process remembers its own, are as many on each.

    Raises:
        LangueError: they are not.
    """
    if rows % world.size:
        raise LangueError(
            f"a batch of {rows} rows cannot be shared by {world.size} processes; set batch_tokens so "
            f"that batch_tokens / context is a multiple of {world.size}"
        )


def unsharded(model: Trainable, other: Any) -> Any:
    """`other`, an instance of the same network, with the weights of a model that FSDP cut up."""
    whole = {name: full_tensor(tensor) for name, tensor in weights(as_module(model)).items()}
    copy(whole, weights(other))
    return other.eval()


def blocks(model: nn.Module) -> list[nn.Module]:
    """The layers of a network that repeat: members of its lists, not of lists within them."""
    layers: list[nn.Module] = []
    for child in model.children():
        layers += list(child) if isinstance(child, nn.ModuleList) else blocks(child)
    return layers
