"""A session of a run: from where it stands until its budget is spent or someone stops it."""

import time
from pathlib import Path
from typing import Any

import msgspec

from langue.base.deprecated import rename_keys
from langue.base.errors import LangueError
from langue.base.progress import Bar, bar, log
from langue.base.stop import Stop
from langue.nn.device import keep_freed_memory
from langue.training.checkpoint import Checkpoints
from langue.training.metrics import Figures, Metrics, clock, peak_memory
from langue.training.run_folder import METRICS
from langue.training.state import RENAMED, State, Step
from langue.training.tensors import weights
from langue.training.trainer import Trainer
from langue.training.validation import Best, Validation


def fit(
    trainer: Trainer,
    validation: Validation,
    folder: Path,
    figures: Figures,
    *,
    resume: bool,
    name: str = "training",
) -> dict[str, Any]:
    """Train in place, and leave the model with the weights that were best on the validation data.

    Ctrl-C, SIGTERM and SIGHUP end the session with a checkpoint; `interrupted` in what is returned says so.

    Args:
        folder: of the run, which exists.
        figures: how its counters are told.
        resume: go on from its last checkpoint, if it has one.
        name: of the run, for the bar.

    Returns:
        What was measured: the validation curve, and the ledger of the cost.
    """
    keep_freed_memory()
    session = Session(trainer, validation, folder, figures, resume=resume)
    try:
        with Stop() as stop:
            interrupted = session.run(stop, name)
    finally:
        session.close()
    session.best.restore()
    return session.ledger() | {"interrupted": interrupted}


class Session:
    """Steps, and what happens between them."""

    def __init__(
        self, trainer: Trainer, validation: Validation, folder: Path, figures: Figures, *, resume: bool
    ) -> None:
        self.trainer = trainer
        self.world = trainer.world
        self.config = trainer.config
        self.figures = figures
        self.best = Best(trainer, validation)
        groups = {
            "model": weights(trainer.module),
            "optimizer": trainer.optimizer.tensors(),
            "average": trainer.average.tensors if trainer.average is not None else {},
            "best": self.best.weights,
        }
        self.checkpoints = Checkpoints(folder, groups, self.world, self.config.keep_checkpoints)
        if resume:
            self._resume()
        state = trainer.state
        state.sessions += 1
        self.metrics = (
            Metrics(folder / METRICS, after=state.step, tensorboard=self.config.tensorboard)
            if self.world.first
            else None
        )
        self.before = (state.seconds, self.tokens)
        self.devices_before = state.device_seconds
        self.started = time.perf_counter()
        self.written = state.seconds  # when the last checkpoint was

    def _resume(self) -> None:
        """From the last checkpoint, in pieces as large as then, unless others are asked for now."""
        checkpoint = self.checkpoints.read()
        if checkpoint is None:
            return
        now, state = self.trainer.state, msgspec.convert(rename_keys(checkpoint[0], RENAMED), State)
        if state.micro_batch_tokens != self.config.micro_batch_tokens:
            state.micro_batch_rows, state.micro_batch_tokens = now.micro_batch_rows, now.micro_batch_tokens
        state.device_seconds = state.device_seconds or state.seconds  # which earlier versions did not write
        self.trainer.state, self.trainer.model.carry = state, checkpoint[1]
        log.info("going on from step %d", state.step)

    def run(self, stop: Stop, name: str = "training") -> bool:
        """Until the budget is spent, or True once a stop was asked for and a checkpoint is written."""
        trainer, state = self.trainer, self.trainer.state
        with bar(name, total=1.0) as shown:
            shown.advance(trainer.progress)
            while (progress := trainer.progress) < 1 and not self.best.exhausted:
                done = trainer.step(detailed=(state.step + 1) % self.config.log_every == 0)
                state.seconds, asked = self._agree(stop.asked)
                state.device_seconds = self.devices_before + self.world.size * (
                    state.seconds - self.before[0]
                )
                self._show(done, shown)
                shown.advance(trainer.progress - progress)
                if trainer.progress >= (len(state.curve) + 1) / self.config.evaluations:
                    self._measure()
                if asked or state.seconds - self.written >= 60 * self.config.checkpoint_minutes:
                    self._checkpoint()
                if asked:
                    return True
            if self.best.exhausted:
                rule = self.best.validation
                log.info("%s was no better %d times in a row: stopped early", rule.figure, rule.patience)
            if not state.curve or state.curve[-1]["step"] != state.step:
                self._measure()
        return False

    def _agree(self, asked: bool) -> tuple[float, bool]:
        """The clock of the first process, and whether any was asked to stop."""
        own = self.before[0] + time.perf_counter() - self.started
        seconds, stops = self.world.sum(own if self.world.first else 0.0, float(asked))
        return seconds, stops > 0

    @property
    def tokens(self) -> int:
        """That were learned from so far."""
        return self.trainer.state.step * self.trainer.step_tokens

    @property
    def speed(self) -> float:
        """Tokens a second in this session, evaluations and checkpoints included."""
        seconds, tokens = self.before
        return (self.tokens - tokens) / max(self.trainer.state.seconds - seconds, 1e-9)

    @property
    def measured(self) -> float | None:
        """The last figure of the validation curve."""
        curve = self.trainer.state.curve
        return curve[-1][self.best.validation.figure] if curve else None

    def _show(self, done: Step, shown: Bar) -> None:
        self.figures.smooth(done.loss)
        shown.note(self.figures.line(self.speed, self.measured))
        if self.metrics and done.norms:
            self.metrics.write(
                self.trainer.state.step,
                tokens=self.tokens,
                seconds=round(self.trainer.state.seconds, 3),
                loss=done.loss,
                learning_rate=done.rate,
                gradient_norm=done.norm,
                gradient_norms=done.norms,
                tokens_per_second=round(self.speed, 1),
                share_of_peak=self.figures.share_of_peak(self.speed),
            )

    def _measure(self) -> None:
        trainer, state = self.trainer, self.trainer.state
        value = self.best.measure()
        left = state.seconds * (1 / max(trainer.progress, 1e-9) - 1)
        log.info(
            "step %d (%.0f %%): %s, %s left",
            state.step,
            100 * min(trainer.progress, 1),
            self.figures.line(self.speed, value),
            clock(max(left, 0)),
        )
        if self.metrics:
            self.metrics.write(
                state.step,
                seconds=round(state.seconds, 3),
                validation=value,
                validation_bits_per_byte=self.figures.bits_per_byte(value),
            )

    def _checkpoint(self) -> None:
        """Write one; a full disk costs the new one and stops nothing."""
        state = self.trainer.state
        state.peak_bytes = max(state.peak_bytes, peak_memory())
        try:
            self.checkpoints.write(state.step, msgspec.to_builtins(state), self.trainer.model.carry)
        except LangueError as error:
            if self.world.size > 1:
                raise  # the others wait in the middle of writing
            log.warning("no checkpoint of step %d, those before are intact: %s", state.step, error)
        self.written = state.seconds

    def ledger(self) -> dict[str, Any]:
        """What the run cost, over all its sessions."""
        state = self.trainer.state
        flops = self.figures.flops_per_token
        return {
            "steps": state.step,
            "tokens": self.tokens,
            "seconds": round(state.seconds, 3),
            "devices": self.world.size,
            "device_seconds": round(state.device_seconds, 3),
            "flops": flops * self.tokens if flops else None,
            "tokens_per_second": round(self.tokens / max(state.seconds, 1e-9), 1),
            "share_of_peak": self.figures.share_of_peak(self.speed),
            "peak_memory_bytes": max(state.peak_bytes, peak_memory()),
            "sessions": state.sessions,
            "validation": state.curve,
        }

    def close(self) -> None:
        if self.metrics:
            self.metrics.close()
