"""What a step says when it cannot be made: the loss is no number, or memory ran out."""

import math

import torch

from langue.base.errors import LangueError
from langue.base.progress import log
from langue.training.config import TrainingConfig
from langue.training.world import World


def diverged(config: TrainingConfig, step: int, loss: float, norm: float = 0.0) -> LangueError:
    """That the loss, or the norm of its gradient, is not finite."""
    what = f"the loss is {loss}" if not math.isfinite(loss) else f"the norm of its gradient is {norm}"
    return LangueError(
        f"{what} at step {step:,}. Try a lower learning_rate (now {config.learning_rate:g}), "
        f"a longer warmup (now {config.warmup:g} of the run), a smaller clip (now {config.clip:g}), or "
        "training.precision = float32; --resume goes on with such a change, from the last checkpoint "
        "if there is one"
    )


def is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "not enough memory" in str(error)


def fewer_rows(rows: int, row_tokens: int, world: World) -> int:
    """How many rows are to pass at a time after memory ran out with so many.

    Raises:
        LangueError: it was one, or the other processes are in the middle of an exchange.
    """
    if rows == 1:
        raise LangueError(
            f"not enough memory for one row of {row_tokens} tokens; "
            "try training.gradient_checkpointing = true, a shorter model.context, or a smaller model"
        )
    fewer = -(-rows // 2)
    if world.size > 1:
        raise LangueError(
            f"process {world.rank} is out of memory with {rows} rows at once; "
            f"set training.micro_batch_tokens to {fewer * row_tokens} or less, or "
            "training.gradient_checkpointing = true; --resume goes on with such a change"
        )
    log.warning("out of memory: going on with %d rows at a time", fewer)
    torch.cuda.empty_cache()
    return fewer
