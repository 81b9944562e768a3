"""One step of training, and the best model seen on the validation split."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec
import torch

from langue.base.errors import LangueError
from langue.base.progress import log
from langue.base.seeds import derive
from langue.nn.precision import autocast
from langue.tokens.batches import TrainingBatch
from langue.tokens.store import TokenStore
from langue.training import forward
from langue.training.distributed import World
from langue.training.optimizer import Average, Optimizer, Tensors, clip, copy, norms_by_layer, weights
from langue.training.recipe import Recipe
from langue.training.schedule import Budget, rate


class State(msgspec.Struct):
    """How far a run is: all of it that is not a tensor."""

    step: int = 0
    seconds: float = 0.0  # training, over all its sessions
    sessions: int = 0
    micro_batch_rows: int = 0  # of a batch that pass at a time, on each process
    micro_batch_tokens: int = 0  # the setting that this began from
    curve: list[dict[str, float]] = []  # the validation loss, in nats per token
    peak_bytes: int = 0


RENAMED = {"micro_rows": "micro_batch_rows", "micro_tokens": "micro_batch_tokens"}  # in an older `State`


class Step(NamedTuple):
    """What a step did."""

    loss: float  # nats per token, before the update
    rate: float
    norm: float  # of the gradient, before clipping
    norms: dict[str, float]  # by layer; empty on most steps


class Trainer:
    """A model in training.

    Raises:
        LangueError: the store has nothing to train on, or a batch cannot be shared by the processes.
    """

    def __init__(self, recipe: Recipe, model: Any, store: TokenStore, world: World) -> None:
        assert recipe.training is not None
        self.config = config = recipe.training
        self.model = model
        self.world = world

        def batches(split: str, rows: int) -> Any:
            return recipe.family.batches(
                store.split(split), model.vocabulary, recipe.model, rows, model.context, config.seed
            )

        self.source = batches("train", max(config.batch_tokens // model.context, 1))
        held_out = batches("valid", 1)
        self.validation = held_out.first(max(config.validation_tokens // held_out.context, 1))
        self.step_tokens: int = self.source.rows * self.source.context
        self.budget = Budget(config, self.step_tokens, self.source.per_epoch)
        micro = (
            max(config.micro_batch_tokens // self.source.context, 1) if config.micro_batch_tokens else None
        )
        self.state = State(
            micro_batch_rows=micro or -(-self.source.rows // world.size),
            micro_batch_tokens=config.micro_batch_tokens,
        )

        if config.gradient_checkpointing:
            forward.gradient_checkpointing(model)
        if config.compile:
            forward.compiled(model)
        self.loss = world.wrap(model)
        self.optimizer = Optimizer(model, config)
        self.average = Average(model, config.ema_decay)
        self.best = {name: tensor.clone() for name, tensor in weights(model).items()}

    @property
    def progress(self) -> float:
        return self.budget.progress(self.state.step, self.state.seconds)

    @property
    def tokens(self) -> int:
        return self.state.step * self.step_tokens

    def resume(self, state: State) -> None:
        """From where a checkpoint was: in pieces as large as then, unless others are asked for now."""
        if state.micro_batch_tokens != self.config.micro_batch_tokens:
            state.micro_batch_rows, state.micro_batch_tokens = (
                self.state.micro_batch_rows,
                self.state.micro_batch_tokens,
            )
        self.state = state

    def tensors(self) -> Mapping[str, Tensors]:
        """All that changes, by group, live."""
        return {
            "model": weights(self.model),
            "optimizer": self.optimizer.tensors(),
            "average": self.average.tensors,
            "best": self.best,
        }

    def step(self, *, detailed: bool = False) -> Step:
        """Update the weights by the gradient of the mean loss of one batch.

        Raises:
            LangueError: the loss or its gradient is not finite; the weights are those before.
        """
        self.model.train()
        batch = self.source.batch(self.state.step)
        loss = self._gradient(batch)
        norms = norms_by_layer(self.model) if detailed else {}
        norm = clip(self.model, self.config.clip)
        if not math.isfinite(loss) or not math.isfinite(norm):
            raise LangueError(self._diverged(loss, norm))
        now = rate(self.config, self.progress)
        self.optimizer.step(now)
        self.average.update(self.state.step)
        self.state.step += 1
        return Step(loss, now, norm, norms)

    def _gradient(self, batch: TrainingBatch) -> float:
        """Add the gradient of a batch to the weights; its mean loss. Halves what passes at a time
        while memory runs out, which changes nothing of the result but its rounding."""
        carry = self.model.carry
        while True:
            try:
                total = self._accumulate(batch)
                return float(self.world.sum(total)[0] / batch.targets_count)
            except RuntimeError as error:
                if not _out_of_memory(error):
                    raise
            self.optimizer.zero_grad()
            torch.cuda.empty_cache()
            self.model.carry = carry
            if self.state.micro_batch_rows == 1:
                raise LangueError(
                    f"not enough memory for one row of {self.source.context} tokens; "
                    "try training.gradient_checkpointing = true, a shorter model.context, or a smaller model"
                )
            fewer = -(-self.state.micro_batch_rows // 2)
            if self.world.size > 1:  # the others are in the middle of an exchange
                raise LangueError(
                    f"process {self.world.rank} is out of memory with {self.state.micro_batch_rows} rows "
                    f"at once; set training.micro_batch_tokens to {fewer * self.source.context} or less, or "
                    "training.gradient_checkpointing = true; --resume goes on with such a change"
                )
            self.state.micro_batch_rows = fewer
            log.warning("out of memory: going on with %d rows at a time", self.state.micro_batch_rows)

    def _accumulate(self, batch: TrainingBatch) -> float:
        """Gradients of this process's rows, a few rows at a time: the sum of their losses."""
        mine = self.world.local_rows(batch)
        carry, after = self.model.carry, []
        total = torch.zeros((), device=self.world.device)
        for begin in range(0, mine.rows, self.state.micro_batch_rows):
            end = min(begin + self.state.micro_batch_rows, mine.rows)
            self.model.carry = {name: rows[begin:end] for name, rows in carry.items()}
            seed = derive(self.config.seed, "dropout", self.state.step, self.world.rank, begin)
            torch.manual_seed(seed % 2**63)
            with self.world.exchanging(end == mine.rows):
                with autocast(self.model.device, self.config.precision):
                    loss = self.loss(mine.cut(begin, end))
                # The processes' gradients are averaged: times their number, that is their sum.
                (loss * (self.world.size / batch.targets_count)).backward()
            total += loss.detach()
            after.append(self.model.carry)
        self.model.carry = {name: torch.cat([part[name] for part in after]) for name in after[-1]}
        return float(total)

    def measure(self) -> float:
        """Add a point to the validation curve, and keep the weights if they are the best so far.

        Returns:
            The loss in nats per token.

        Raises:
            LangueError: it is not finite.
        """
        with self._measured_weights():
            loss = self._validation_loss()
        if not math.isfinite(loss):
            raise LangueError(self._diverged(loss, 0.0))
        if not self.state.curve or loss < min(point["loss"] for point in self.state.curve):
            copy(self.average.tensors or weights(self.model), self.best)
        point = {"step": self.state.step, "seconds": round(self.state.seconds, 3), "loss": loss}
        self.state.curve.append(point)
        return loss

    def _validation_loss(self) -> float:
        """Nats per token, no more at a time than in training: rows of a stream may be longer here."""
        whole = self.validation
        longer = max(whole.targets_count / (whole.rows * self.source.context), 1.0)
        rows = max(int(self.state.micro_batch_rows / longer), 1)
        total = 0.0
        for begin in range(0, whole.rows, rows):
            with evaluating(self.model), autocast(self.model.device, self.config.precision):
                total += float(self.model.loss(whole.cut(begin, min(begin + rows, whole.rows))))
        return float(total / whole.targets_count)

    @contextmanager
    def _measured_weights(self) -> Iterator[None]:
        """The averaged weights, where there are any."""
        if not self.config.ema_decay:
            yield
        else:
            with self.average.applied():
                yield

    def finish(self) -> None:
        """Leave the model with the best weights, as it was before training but for those."""
        if self.state.curve:
            copy(self.best, weights(self.model))
        elif self.config.ema_decay:
            copy(self.average.tensors, weights(self.model))
        self.model.carry = {}
        forward.restore(self.model)
        self.model.eval()

    def _diverged(self, loss: float, norm: float) -> str:
        config = self.config
        what = f"the loss is {loss}" if not math.isfinite(loss) else f"the norm of its gradient is {norm}"
        return (
            f"{what} at step {self.state.step:,}. Try a lower learning_rate (now {config.learning_rate:g}), "
            f"a longer warmup (now {config.warmup:g} of the run), a smaller clip (now {config.clip:g}), or "
            "training.precision = float32; --resume goes on with such a change, from the last checkpoint "
            "if there is one"
        )


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """The model without dropout or gradients, its memory of the training text put aside."""
    carry, model.carry = model.carry, {}
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.carry = carry


def _out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "not enough memory" in str(error)
