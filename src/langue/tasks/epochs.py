"""Learning from labeled examples: epochs, the best one kept, and several seeds with their spread.

The recipe is that of Devlin et al. 2019, section 4 and appendix A.3: AdamW, a few epochs, the rate
rising over the first tenth and falling in a line to zero. It serves a recurrent tagger from scratch too.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from langue.base.errors import LangueError
from langue.base.progress import bar, log
from langue.base.seeds import derive, generator

WARMUP = 0.1  # share of the steps
POOL = 16  # batches whose examples are sorted by length, where that is told
CLIP = 1.0  # largest norm of the gradient
HELD_OUT = 0.1  # of the training file, where no validation file is given

S = TypeVar("S")
R = TypeVar("R")
Example = TypeVar("Example")


class LoopSettings(Protocol):
    """The settings of the loop, which a configuration has."""

    @property
    def epochs(self) -> int: ...
    @property
    def batch_size(self) -> int: ...  # examples
    @property
    def learning_rate(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...
    @property
    def seeds(self) -> int: ...
    @property
    def seed(self) -> int: ...  # the first


class Problem(NamedTuple, Generic[S]):
    """A model, its loss on training examples, and how it is measured on validation ones."""

    model: Any  # a `torch.nn.Module`
    examples: int
    loss: Callable[[npt.NDArray[np.int64]], torch.Tensor]  # of the examples of these numbers, their mean
    measure: Callable[[], S]  # on the validation examples
    worth: Callable[[S], float]  # the larger, the better
    lengths: Sequence[int] = ()  # of the examples: batches then hold some of like length


class SeedResult(NamedTuple, Generic[S]):
    """What came of one seed; its model has the weights of the best epoch."""

    score: S  # of the best epoch
    epoch: int  # from 1
    interrupted: bool


def train_epochs(problem: Problem[S], settings: LoopSettings, seed: int) -> SeedResult[S]:
    """Train in place, and leave the model with the epoch that was best on the validation examples.

    Ctrl-C ends it with what was best so far.

    Raises:
        LangueError: the loss is not finite.
        KeyboardInterrupt: no epoch is complete.
    """
    model = problem.model
    optimizer = torch.optim.AdamW(
        model.parameters(), betas=(0.9, 0.999), weight_decay=settings.weight_decay, fused=True
    )
    size = problem.examples, settings.batch_size, problem.lengths
    steps = settings.epochs * len(batches(*size, seed, 1))
    best: tuple[S, int, dict[str, torch.Tensor]] | None = None
    interrupted = False
    step = 0
    with bar(f"seed {seed}", total=steps) as shown:
        try:
            for epoch in range(1, settings.epochs + 1):
                model.train()
                for chosen in batches(*size, seed, epoch):
                    optimizer.param_groups[0]["lr"] = settings.learning_rate * _rate(step, steps)
                    _step(problem, optimizer, chosen)
                    step += 1
                    shown.advance()
                model.eval()
                score = problem.measure()
                log.info("seed %d, epoch %d: %.2f%% on valid", seed, epoch, 100 * problem.worth(score))
                if best is None or problem.worth(score) > problem.worth(best[0]):
                    best = score, epoch, {name: part.clone() for name, part in model.state_dict().items()}
        except KeyboardInterrupt:
            if best is None:
                raise
            interrupted = True
    assert best is not None
    model.load_state_dict(best[2])
    model.eval()
    return SeedResult(best[0], best[1], interrupted)


def batches(
    examples: int, batch: int, lengths: Sequence[int], seed: int, epoch: int
) -> list[npt.NDArray[np.int64]]:
    """The numbers of all examples in the order of an epoch, in batches of nearly equal size.

    Args:
        lengths: of the examples. Those of `POOL` batches are then sorted by it, and the batches shuffled: a
            recurrent network takes as many steps as the longest of a batch has.
    """
    draw = generator(seed, "finetune", epoch - 1)
    order = draw.permutation(examples)
    count = -(-examples // batch)
    if not lengths:
        return np.array_split(order, count)
    found = []
    for pool in np.array_split(order, -(-count // POOL)):
        by_length = pool[np.argsort([lengths[index] for index in pool], kind="stable")]
        found += np.array_split(by_length, -(-len(pool) // batch))
    return [found[index] for index in draw.permutation(len(found))]


def _rate(step: int, steps: int) -> float:
    share = step / steps
    return min(min(share / WARMUP, (1 - share) / (1 - WARMUP)) + 1 / steps, 1.0)


def _step(problem: Problem[Any], optimizer: torch.optim.Optimizer, chosen: npt.NDArray[np.int64]) -> None:
    loss = problem.loss(chosen)
    if not torch.isfinite(loss):
        raise LangueError(f"the loss is {float(loss)}; try a lower learning_rate")
    loss.backward()
    torch.nn.utils.clip_grad_norm_(problem.model.parameters(), CLIP)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def every_seed(
    run: Callable[[int], tuple[SeedResult[S], R]], settings: LoopSettings
) -> list[tuple[SeedResult[S], R]]:
    """`run` for one seed after the other; Ctrl-C ends it with those that have anything to show."""
    found: list[tuple[SeedResult[S], R]] = []
    for seed in range(settings.seed, settings.seed + settings.seeds):
        torch.manual_seed(derive(seed, "dropout") % 2**63)
        try:
            found.append(run(seed))
        except KeyboardInterrupt:
            if not found:
                raise
            found[-1] = found[-1][0]._replace(interrupted=True), found[-1][1]
        if found[-1][0].interrupted:
            break
    return found


def held_out(
    examples: Sequence[Example], text: Callable[[Example], Sequence[Hashable]], where: str
) -> tuple[list[Example], list[Example]]:
    """The examples without a tenth of them, and that tenth: chosen by their text alone, so that copies
    stand on one side.

    Raises:
        LangueError: there are too few to do so.
    """
    held = [derive(0, "held out", *map(str, text(example))) % 1000 < 1000 * HELD_OUT for example in examples]
    if not any(held) or all(held):
        raise LangueError(f"{where} has too few examples to hold some out; give a validation file: --valid")
    kept = [example for example, out in zip(examples, held, strict=True) if not out]
    return kept, [example for example, out in zip(examples, held, strict=True) if out]


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation of shares; of one alone, that."""
    if len(values) == 1:
        return f"{values[0]:7.2%}{'':9}"
    return f"{np.mean(values):7.2%} ± {np.std(values, ddof=1):6.2%}"
