"""Is this machine fit? What `langue doctor` looks at, and what to do where it is not."""

import importlib.metadata
import importlib.util
import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import torch

from langue.base.errors import LangueError
from langue.base.files import atomic_file
from langue.base.parallel import processors
from langue.nn.device import best_device, measured_flops
from langue.nn.precision import fast_dtype

# extra → a package it brings, what it is for
EXTRAS = {
    "data": ("pyarrow", "reading parquet and zst"),
    "eval": ("seqeval", "metrics of taggers and classifiers"),
    "hf": ("transformers", "tests beside Hugging Face's library; models go in and out without it"),
    "tensorboard": ("tensorboard", "curves in TensorBoard"),
}
LITTLE_MEMORY = 2 << 30  # bytes: a GPT-2 of three million parameters takes one
LITTLE_DISK = 1 << 30


class Finding(NamedTuple):
    """One thing looked at. A `note` is for information, `fail` keeps langue from working."""

    name: str
    verdict: Literal["ok", "note", "fail"]
    value: str
    advice: str = ""

    def __str__(self) -> str:
        mark = {"ok": "ok  ", "note": "note", "fail": "FAIL"}[self.verdict]
        return f"{mark}  {self.name:10} {self.value}" + (f": {self.advice}" if self.advice else "")


def diagnose(folder: Path) -> Iterator[Finding]:
    """Look at the machine, a finding at a time; `folder` is where models would be written."""
    yield Finding(
        "langue", "ok", f"{importlib.metadata.version('langue')}, Python {platform.python_version()}"
    )
    yield _processor()
    yield from _speeds()
    yield _memory()
    yield _disk(folder)
    yield _writing(folder)
    yield _compiler()
    for extra, (package, purpose) in EXTRAS.items():
        if importlib.util.find_spec(package) is None:
            yield Finding(
                "extra", "note", f"{extra} is absent", f"pip install 'langue[{extra}]' for {purpose}"
            )


def _processor() -> Finding:
    used = torch.get_num_threads()
    allowed = processors()
    value = f"torch {torch.__version__}, {used} threads on {allowed} processors"
    if used > allowed:
        return Finding("processor", "note", value, f"set OMP_NUM_THREADS={allowed}: more only wait")
    return Finding("processor", "ok", value)


def _speeds() -> Iterator[Finding]:
    device = best_device()
    if device.type == "cuda":
        for index in range(torch.cuda.device_count()):
            card = torch.cuda.get_device_properties(index)
            yield Finding("gpu", "ok", f"{card.name}, {card.total_memory / 1e9:.0f} GB")
    else:
        yield Finding("gpu", "note", "none", "models train on the processor")
    types = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    speeds = [f"{name} {measured_flops(device, dtype) / 1e9:,.0f}" for name, dtype in types.items()]
    chosen = "bfloat16" if fast_dtype(device) else "float32"
    yield Finding("products", "ok", f"{', '.join(speeds)} GFLOP/s; training takes {chosen}")


def _memory() -> Finding:
    described = Path("/proc/meminfo")
    if not described.exists():
        return Finding("memory", "note", "unknown on this system")
    free = int(described.read_text().split("MemAvailable:")[1].split()[0]) * 1024
    if free < LITTLE_MEMORY:
        return Finding("memory", "note", f"{free / 1e9:.1f} GB free", "keep to small models and batches")
    return Finding("memory", "ok", f"{free / 1e9:.1f} GB free")


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    if free < LITTLE_DISK:
        return Finding("disk", "note", f"{free / 1e9:.1f} GB free in {folder}", "checkpoints may not fit")
    return Finding("disk", "ok", f"{free / 1e9:.1f} GB free in {folder}")


def _writing(folder: Path) -> Finding:
    trial = folder / ".langue-doctor"
    try:
        with atomic_file(trial) as file:
            file.write(b"written, synced, renamed")
        trial.unlink()
    except LangueError as error:
        return Finding("writing", "fail", str(error), "run langue where you may write")
    return Finding("writing", "ok", "write, sync and rename work")


def _compiler() -> Finding:
    name = os.environ.get("CXX", "g++")
    if shutil.which(name) is None:
        return Finding("compiler", "note", f"no {name}", "only training.compile = true needs it")
    return Finding("compiler", "ok", f"{name}, for training.compile = true")
