"""One step of training, whatever the model and the data: a gradient in parts, clipped, and an update."""

import math

import torch

from langue.base.errors import is_out_of_memory
from langue.base.seeds import derive
from langue.nn.precision import autocast, warn_if_slow
from langue.protocols import Trainable
from langue.tokens.batches import BatchSource, TrainingBatch
from langue.training import failures, forward
from langue.training.average import Average
from langue.training.config import TrainingConfig
from langue.training.metrics import norms_by_layer
from langue.training.optimizer import Optimizer
from langue.training.schedule import Budget, rate
from langue.training.state import State, Step
from langue.training.tensors import as_module
from langue.training.world import World


class Trainer:
    """A model in training: it sums `loss(batch)` over the rows of a batch and divides by its targets.

    Args:
        source: its batch k is a pure function of the data, the settings and k; so is what step k draws.
        all_used: every parameter has a part in the loss.

    Raises:
        LangueError: the optimizer does not suit the model.
    """

    def __init__(
        self,
        config: TrainingConfig,
        model: Trainable,
        source: BatchSource,
        world: World,
        *,
        all_used: bool = True,
    ) -> None:
        self.config, self.model, self.source, self.world = config, model, source, world
        self.module = as_module(model)
        self.step_tokens = source.rows * source.context
        self.budget = Budget(config, self.step_tokens, source.per_epoch)
        micro = max(config.micro_batch_tokens // source.context, 1) if config.micro_batch_tokens else None
        self.state = State(
            micro_batch_rows=micro or -(-source.rows // world.size),
            micro_batch_tokens=config.micro_batch_tokens,
        )
        if config.gradient_checkpointing:
            forward.gradient_checkpointing(self.module)
        if config.compile:
            forward.compiled(self.module)
        self.loss = world.wrap(model, all_used=all_used)
        self.optimizer = Optimizer(self.module, config, model.vocabulary)
        self.average = Average(self.module, config.ema_decay) if config.ema_decay else None
        warn_if_slow(model.device, config.precision)
        self._autocast = autocast(model.device, config.precision)

    @property
    def progress(self) -> float:
        return self.budget.progress(self.state.step, self.state.seconds)

    def step(self, batch: TrainingBatch | None = None, *, detailed: bool = False) -> Step:
        """Update the weights by the gradient of the mean loss of the next batch, or of another one.

        Raises:
            LangueError: the loss or its gradient is not finite; the weights are those before.
        """
        self.model.train()
        loss = self._gradient(self.source.batch(self.state.step) if batch is None else batch)
        norms = norms_by_layer(self.module) if detailed else {}
        norm = self.world.clip(self.module, self.config.clip)
        if not math.isfinite(loss) or not math.isfinite(norm):
            raise failures.diverged(self.config, self.state.step, loss, norm)
        now = rate(self.config, self.progress)
        self.optimizer.step(now)
        if self.average is not None:
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
                if not is_out_of_memory(error):
                    raise
            self.optimizer.zero_grad()
            self.model.carry = carry
            self.state.micro_batch_rows = failures.fewer_rows(
                min(self.state.micro_batch_rows, batch.rows), self.source.context, self.world
            )

    def _accumulate(self, batch: TrainingBatch) -> float:
        """Gradients of this process's rows, a few rows at a time: the sum of their losses."""
        local = self.world.local_rows(batch)
        carry, after = self.model.carry, []
        total = torch.zeros((), device=self.world.device)
        for begin in range(0, local.rows, self.state.micro_batch_rows):
            end = min(begin + self.state.micro_batch_rows, local.rows)
            self.model.carry = {name: rows[begin:end] for name, rows in carry.items()}
            seed = derive(self.config.seed, "dropout", self.state.step, self.world.rank, begin)
            torch.manual_seed(seed % 2**63)
            with self.world.exchanging(end == local.rows):
                with self._autocast:
                    loss = self.loss(local.cut(begin, end))
                # The processes' gradients are averaged: times their number, that is their sum.
                (loss * (self.world.size / batch.targets_count)).backward()
            total += loss.detach()
            after.append(self.model.carry)
        self.model.carry = {name: torch.cat([part[name] for part in after]) for name in after[-1]}
        return float(total)
