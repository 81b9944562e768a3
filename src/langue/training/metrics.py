"""What one sees of a run: the line of the bar, metrics as JSON lines, and the ledger of its cost."""

import contextlib
import json
import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from langue.base.errors import MissingExtra
from langue.base.files import atomic_file
from langue.base.progress import log
from langue.nn.device import peak_flops
from langue.protocols import Masked
from langue.training.run_folder import BOARD
from langue.training.tensors import full_tensor

SMOOTHING = 0.9  # of the loss shown: about the last ten steps


class Figures:
    """Turns the counters of a run into what people ask for.

    Args:
        bytes_per_token: of the training text, the end of each document counted as a token; None
            where there are no bits per byte: a closed vocabulary hides what it cannot spell, and a
            model that reads both ways predicts hidden tokens.
        flops_per_token: of a training step; None where the family does not say.
    """

    def __init__(
        self,
        bytes_per_token: float | None = None,
        flops_per_token: float | None = None,
        peak: float | None = None,
    ) -> None:
        self.bytes_per_token = bytes_per_token
        self.flops_per_token = flops_per_token
        self.peak = peak  # FLOP/s of all devices together
        self.loss = math.nan

    def smooth(self, loss: float) -> float:
        self.loss = loss if math.isnan(self.loss) else SMOOTHING * self.loss + (1 - SMOOTHING) * loss
        return self.loss

    def bits_per_byte(self, nats_per_token: float) -> float | None:
        return nats_per_token / math.log(2) / self.bytes_per_token if self.bytes_per_token else None

    def share_of_peak(self, tokens_per_second: float) -> float | None:
        if not self.flops_per_token or not self.peak:
            return None
        return tokens_per_second * self.flops_per_token / self.peak

    def line(self, tokens_per_second: float, validation: float | None) -> str:
        """The figures of a run in a line."""
        shown = [f"loss {self.loss:.3f}"]
        if validation is not None:
            shown.append(f"validation {validation:.3f}")
        nearest = validation if validation is not None else self.loss
        bits = self.bits_per_byte(nearest)
        if bits is not None:
            shown.append(f"{bits:.3f} bits/byte")
        shown.append(f"{tokens_per_second:,.0f} tokens/s")
        share = self.share_of_peak(tokens_per_second)
        if share is not None:
            shown.append(f"{share:.0%} of peak")
        return ", ".join(shown)


def clock(seconds: float) -> str:
    """`1:02:03`, or `2:03` below an hour."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Metrics:
    """A file of JSON lines, each about one step, and TensorBoard's log beside it if wanted.

    A run that goes on from step n first drops the lines of later steps: they will come again. A full
    disk costs the lines that did not fit, and stops nothing.
    """

    def __init__(self, path: Path, *, after: int, tensorboard: bool = False) -> None:
        self._board = _tensorboard(path.parent / BOARD, after) if tensorboard else None
        kept = b"".join(_lines_until(path, after)) if path.exists() else b""
        with atomic_file(path) as file:
            file.write(kept)
        self._path = path
        self._file = path.open("ab", buffering=0)
        self._size = len(kept)  # of the whole lines
        self._fits = True

    def write(self, step: int, **figures: Any) -> None:
        """One line; what is not finite becomes null."""
        table = {"step": step, **figures}
        line = json.dumps({name: _finite(value) for name, value in table.items()}) + "\n"
        fits = self._append(line.encode())
        if self._fits and not fits:
            log.warning("%s does not grow (is the disk full?): going on without these lines", self._path)
        self._fits = fits
        if self._board is not None:
            for name, value in figures.items():
                if isinstance(value, dict):
                    for part, one in value.items():
                        self._board.add_scalar(f"{name}/{part}", one, step)
                elif value is not None:
                    self._board.add_scalar(name, value, step)

    def _append(self, line: bytes) -> bool:
        """Whether the file has grown by the line; it is whole there or not at all."""
        with contextlib.suppress(OSError):
            if self._file.write(line) == len(line):
                self._size += len(line)
                return True
        self._file.truncate(self._size)
        return False

    def close(self) -> None:
        self._file.close()
        if self._board is not None:
            self._board.close()


def _lines_until(path: Path, step: int) -> Iterator[bytes]:
    """The lines of steps up to that one; what a crash left of a line is none."""
    for line in path.read_bytes().splitlines(keepends=True):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            if line.endswith(b"\n") and json.loads(line)["step"] <= step:
                yield line


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _tensorboard(folder: Path, after: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise MissingExtra("tensorboard", "tensorboard", "training.tensorboard = true") from None
    return SummaryWriter(str(folder), purge_step=after + 1)


def norms_by_layer(model: nn.Module) -> dict[str, float]:
    """Norm of the gradient of each layer: of `h.0.attn.c_attn.weight` and its siblings as `h.0`."""
    squares: dict[str, float] = {}
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            match = re.match(r"(?:[^.]+\.)*?\d+|[^.]+", name)
            layer = match.group() if match else name
            square = float(full_tensor(parameter.grad.detach().float().square().sum()))
            squares[layer] = squares.get(layer, 0.0) + square
    return {layer: square**0.5 for layer, square in squares.items()}


def peak_memory() -> int:
    """Most bytes in use so far: of the GPU if there is one, else of this process."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    described = Path("/proc/self/status")
    if described.exists():  # `getrusage` would say the parent's where that had more
        return int(described.read_text().split("VmHWM:")[1].split()[0]) * 1024
    import resource  # which Windows lacks

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def figures_for(model: Any, manifest: dict[str, Any], precision: str, devices: int) -> Figures:
    train = manifest["splits"]["train"]
    comparable = not manifest["tokenizer"].get("closed") and train["tokens"] and not isinstance(model, Masked)
    flops = model.flops_per_token()
    peak = peak_flops(model.device, precision) * devices if flops else None
    return Figures(train["bytes"] / train["tokens"] if comparable else None, flops, peak)
