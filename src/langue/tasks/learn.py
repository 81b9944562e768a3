"""Training on labeled examples: epochs, of each run the best one kept, several seeds and their spread.

The recipe is that of Devlin et al. 2019, section 4 and appendix A.3: AdamW, a few epochs, the rate
rising over the first tenth and falling in a line to zero. It serves a recurrent tagger from scratch too.
All else is the trainer's: micro-batches, several processes, checkpoints, resuming to the same bits.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from torch import nn

from langue.base.config import encode
from langue.base.progress import log
from langue.base.seeds import derive
from langue.base.staging import discard
from langue.base.stop import Stop
from langue.nn.device import best_device
from langue.protocols import Trainable
from langue.tasks.examples import ExampleBatches
from langue.training.checkpoint import Checkpoints
from langue.training.config import RunConfig, TrainingConfig
from langue.training.fit import fit
from langue.training.metrics import Figures
from langue.training.tensors import weights
from langue.training.trainer import Trainer
from langue.training.validation import Validation
from langue.training.world import World

RESULT = "result"  # folder of what a run that is finished came to: its best weights

E = TypeVar("E")  # an example, as the network reads it
N = TypeVar("N", bound=nn.Module)


class Scores(Protocol):
    """What a metric gives: a NamedTuple of figures. Those that are `float` are shares."""

    def _asdict(self) -> dict[str, Any]: ...


class Settings(Protocol):
    """How long and how fast is learned, and how often: which a configuration has."""

    @property
    def epochs(self) -> int: ...
    @property
    def batch_size(self) -> int: ...  # examples
    @property
    def learning_rate(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...
    @property
    def patience(self) -> int: ...  # epochs that are no better, after which a seed stops; 0: it goes on
    @property
    def seeds(self) -> int: ...
    @property
    def seed(self) -> int: ...  # the first


@dataclass(frozen=True)
class Problem(Generic[E, N]):
    """A network, and labeled examples that it is to get right."""

    build: Callable[[int], N]  # with the first weights of a seed
    loss: Callable[[N, Sequence[E]], torch.Tensor]  # summed over the targets of examples
    metric: Callable[[N, Sequence[E]], Any]  # `Scores` of examples
    figure: str  # of the scores, by which epoch and seed are chosen: the larger, the better
    targets: Callable[[E], int]  # of an example
    tokens: Callable[[E], int]  # of an example
    training: Sequence[E]
    validation: Sequence[E]
    test: Sequence[E] = ()
    calibrate: Callable[[N, Sequence[E]], None] | None = None  # what is set by the validation examples
    by_length: bool = False  # batches are to hold examples of like length
    all_used: bool = True  # every parameter of the network has a part in the loss


class SeedResult(NamedTuple):
    """What came of one seed."""

    seed: int
    epoch: int  # the best, from 1
    valid: Any  # `Scores` of that epoch
    test: Any  # the same, or None
    ledger: dict[str, Any]  # what it cost


class Learned(NamedTuple, Generic[N]):
    """What came of all seeds."""

    model: N | None  # of the best one; None: stopped before there was any
    best: int  # which that is
    seeds: list[SeedResult]
    interrupted: bool


def learn(
    problem: Problem[E, N], settings: Settings, run: RunConfig, folder: Path, world: World, *, resume: bool
) -> Learned[N]:
    """Train a network once for each seed. A stop ends it with the seeds that have anything to show.

    Args:
        run: how a run is computed and kept.
        folder: of the runs, which exists: each has one of its own there.
        resume: go on from where it was stopped.

    Raises:
        LangueError: a loss is not finite, or a batch cannot be shared by the processes.
    """
    results: list[SeedResult] = []
    kept: N | None = None
    best, interrupted = 0, False
    with Stop() as stop:
        for seed in range(settings.seed, settings.seed + settings.seeds):
            config, own = training_of(settings, run, seed), folder / f"seed-{seed}"
            network, ledger = _train_seed(problem, settings, config, own, world, resume=resume)
            if ledger["validation"]:
                results.append(_result(problem, network, seed, ledger))
                figure = getattr(results[-1].valid, problem.figure)
                if kept is None or figure > getattr(results[best].valid, problem.figure):
                    kept, best = network, len(results) - 1
            more = seed + 1 < settings.seed + settings.seeds
            interrupted = ledger["interrupted"] or (more and world.sum(float(stop.asked))[0] > 0)
            if interrupted:
                break
    if len(results) > 1:
        values = [getattr(result.valid, problem.figure) for result in results]
        log.info("%s on valid, %d seeds: %s", problem.figure, len(values), spread(values))
    return Learned(kept, best, results, interrupted)


def _result(problem: Problem[E, N], network: N, seed: int, ledger: dict[str, Any]) -> SeedResult:
    figures = [point[problem.figure] for point in ledger["validation"]]
    if problem.calibrate is not None:
        problem.calibrate(network, problem.validation)
    valid = problem.metric(network, problem.validation)
    test = problem.metric(network, problem.test) if problem.test else None
    return SeedResult(seed, figures.index(max(figures)) + 1, valid, test, ledger)


def training_of(settings: Settings, run: RunConfig, seed: int) -> TrainingConfig:
    """The recipe, as the trainer reads it."""
    shared = {name: value for name, value in encode(run).items() if name in RunConfig.__struct_fields__}
    return TrainingConfig(
        epochs=settings.epochs,
        evaluations=settings.epochs,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        beta2=0.999,
        schedule="linear",
        warmup=0.1,
        min_lr_ratio=0.0,
        clip=1.0,
        seed=seed,
        **shared,
    )


def _train_seed(
    problem: Problem[E, N],
    settings: Settings,
    config: TrainingConfig,
    folder: Path,
    world: World,
    *,
    resume: bool,
) -> tuple[N, dict[str, Any]]:
    """The network of a seed with the weights of its best epoch, and what was measured."""
    torch.manual_seed(derive(config.seed, "weights") % 2**63)  # of a network that leaves them to PyTorch
    network = problem.build(config.seed).to(best_device())
    model = TaskModel(network, problem.loss)
    result = Checkpoints(folder / RESULT, {"best": weights(model)}, world, keep=1)
    finished = result.read() if resume else None
    if finished is not None:
        network.eval()
        return network, finished[0]
    source = ExampleBatches(
        problem.training,
        problem.targets,
        problem.tokens,
        by_length=problem.by_length,
        rows=settings.batch_size,
        seed=config.seed,
    )

    def measure(at_once: int) -> float:
        network.eval()
        return float(getattr(problem.metric(network, problem.validation), problem.figure))

    trainer = Trainer(config, model, source, world, all_used=problem.all_used)
    validation = Validation(measure, problem.figure, larger_is_better=True, patience=settings.patience)
    if world.first:
        (folder / RESULT).mkdir(parents=True, exist_ok=True)
    world.wait()
    ledger = fit(trainer, validation, folder, Figures(), resume=resume, name=f"seed {config.seed}")
    if not ledger["interrupted"]:
        result.write(trainer.state.step, ledger, {})
        if world.first:
            for checkpoint in folder.glob("step-*"):  # all that is needed of them is in the result
                discard(checkpoint)
    return network, ledger


class TaskModel(nn.Module, Trainable):
    """A network with the loss of its task: what the trainer sees (`protocols.Trainable`)."""

    def __init__(self, network: N, loss: Callable[[N, Sequence[E]], torch.Tensor]) -> None:
        super().__init__()
        self.network = network
        self.carry: dict[str, torch.Tensor] = {}
        self._loss: Callable[[Sequence[E]], torch.Tensor] = partial(loss, network)

    @property
    def device(self) -> torch.device:
        return next(self.network.parameters()).device

    def loss(self, batch: Any) -> torch.Tensor:
        return self._loss(batch.examples)


def label_of(figure: str) -> str:
    """A figure of scores as a table names it."""
    return figure.replace("_", "-").replace("f1", "F1")


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation of shares; of one alone, that."""
    if len(values) == 1:
        return f"{values[0]:7.2%}{'':9}"
    return f"{np.mean(values):7.2%} ± {np.std(values, ddof=1):6.2%}"
