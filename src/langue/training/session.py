"""A session of a run: from where it stands until its budget is spent or someone stops it."""

import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec

from langue.base.deprecated import rename_keys
from langue.base.errors import LangueError
from langue.base.progress import Bar, bar, log
from langue.nn.device import keep_freed_memory
from langue.tokens.store import TokenStore
from langue.training.checkpoint import Checkpoints
from langue.training.distributed import World
from langue.training.loop import RENAMED, State, Step, Trainer
from langue.training.recipe import Recipe
from langue.training.report import Metrics, clock, figures_for, peak_memory
from langue.training.run import METRICS


def run(
    recipe: Recipe, model: Any, store: TokenStore, folder: Path, world: World, *, resume: bool
) -> dict[str, Any]:
    """Train in place, and leave the model with the weights that were best on the validation split.

    Ctrl-C and SIGTERM end the session with a checkpoint; `interrupted` in what is returned says so.

    Args:
        folder: of the run, which exists.
        resume: go on from its last checkpoint, if it has one.

    Returns:
        What was measured: the validation curve in nats per token, and the ledger of the cost.
    """
    keep_freed_memory()
    trainer = Trainer(recipe, model, store, world)
    checkpoints = Checkpoints(folder, trainer.tensors(), world, trainer.config.keep_checkpoints)
    found = checkpoints.read() if resume else None
    if found is not None:
        trainer.resume(msgspec.convert(rename_keys(found[0], RENAMED), State))
        model.carry = found[1]
        log.info("going on from step %d", trainer.state.step)
    trainer.state.sessions += 1
    session = Session(trainer, checkpoints, store)
    try:
        with Stop() as stop:
            interrupted = session.run(stop)
    finally:
        session.close()
    trainer.finish()
    return session.ledger() | {"interrupted": interrupted}


class Session:
    """Steps, and what happens between them."""

    def __init__(self, trainer: Trainer, checkpoints: Checkpoints, store: TokenStore) -> None:
        self.trainer = trainer
        self.checkpoints = checkpoints
        self.world = trainer.world
        self.config = trainer.config
        self.figures = figures_for(trainer.model, store.manifest, self.config.precision, self.world.size)
        state = trainer.state
        path = checkpoints.folder / METRICS
        self.metrics = (
            Metrics(path, after=state.step, tensorboard=self.config.tensorboard) if self.world.first else None
        )
        self.before = (state.seconds, trainer.tokens)
        self.started = time.perf_counter()
        self.written = state.seconds  # when the last checkpoint was

    def run(self, stop: "Stop") -> bool:
        """Until the budget is spent, or True once a stop was asked for and a checkpoint is written."""
        trainer, state = self.trainer, self.trainer.state
        with bar("training", total=1.0) as shown:
            shown.advance(trainer.progress)
            while (progress := trainer.progress) < 1:
                done = trainer.step(detailed=(state.step + 1) % self.config.log_every == 0)
                state.seconds, asked = self._agree(stop.asked)
                self._show(done, shown)
                shown.advance(trainer.progress - progress)
                if trainer.progress >= (len(state.curve) + 1) / self.config.evaluations:
                    self._measure()
                if asked or state.seconds - self.written >= 60 * self.config.checkpoint_minutes:
                    self._checkpoint()
                if asked:
                    return True
            if not state.curve or state.curve[-1]["step"] != state.step:
                self._measure()
        return False

    def _agree(self, asked: bool) -> tuple[float, bool]:
        """The clock of the first process, and whether any was asked to stop."""
        own = self.before[0] + time.perf_counter() - self.started
        seconds, stops = self.world.sum(own if self.world.first else 0.0, float(asked))
        return seconds, stops > 0

    @property
    def speed(self) -> float:
        """Tokens a second in this session, evaluations and checkpoints included."""
        seconds, tokens = self.before
        return (self.trainer.tokens - tokens) / max(self.trainer.state.seconds - seconds, 1e-9)

    def _show(self, done: Step, shown: Bar) -> None:
        curve = self.trainer.state.curve
        self.figures.smooth(done.loss)
        shown.note(self.figures.line(self.speed, curve[-1]["loss"] if curve else None))
        if self.metrics and done.norms:
            self.metrics.write(
                self.trainer.state.step,
                tokens=self.trainer.tokens,
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
        loss = trainer.measure()
        left = state.seconds * (1 / max(trainer.progress, 1e-9) - 1)
        line = self.figures.line(self.speed, loss)
        log.info(
            "step %d (%.0f %%): %s, %s left",
            state.step,
            100 * min(trainer.progress, 1),
            line,
            clock(max(left, 0)),
        )
        if self.metrics:
            self.metrics.write(
                state.step,
                seconds=round(state.seconds, 3),
                validation=loss,
                validation_bits_per_byte=self.figures.bits_per_byte(loss),
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
        trainer, state = self.trainer, self.trainer.state
        flops = self.figures.flops_per_token
        return {
            "steps": state.step,
            "tokens": trainer.tokens,
            "seconds": round(state.seconds, 3),
            "devices": self.world.size,
            "device_seconds": round(state.seconds * self.world.size, 3),
            "flops": flops * trainer.tokens if flops else None,
            "tokens_per_second": round(trainer.tokens / max(state.seconds, 1e-9), 1),
            "share_of_peak": self.figures.share_of_peak(self.speed),
            "peak_memory_bytes": max(state.peak_bytes, peak_memory()),
            "sessions": state.sessions,
            "validation": state.curve,
        }

    def close(self) -> None:
        if self.metrics:
            self.metrics.close()


class Stop:
    """Ctrl-C or SIGTERM ask for a stop at the end of the step; a second Ctrl-C stops at once."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Stop":
        if threading.current_thread() is threading.main_thread():  # elsewhere signals do not arrive
            for kind in (signal.SIGINT, signal.SIGTERM):
                self._before[kind] = signal.signal(kind, self._ask)
        return self

    def __exit__(self, *exception: object) -> None:
        for kind, handler in self._before.items():
            signal.signal(kind, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = True
        log.warning("stopping after this step; Ctrl-C once more stops at once, without a checkpoint")
