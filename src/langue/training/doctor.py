"""Is this machine fit? What `langue doctor` looks at, and what to do where it is not."""

import importlib.metadata
import importlib.util
import math
import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import torch

from langue.base.errors import LangueError
from langue.base.files import atomic_file
from langue.base.limits import group_limits
from langue.base.parallel import cgroup_quota, processors
from langue.base.staging import make_folder, release, remove
from langue.nn.device import best_device, measured_flops
from langue.nn.fast.paths import fast_paths
from langue.nn.machine_class import machine_class

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
    yield _kept_code()
    yield _compiler()
    for extra, (package, purpose) in EXTRAS.items():
        if importlib.util.find_spec(package) is None:
            yield Finding(
                "extra", "note", f"{extra} is absent", f"pip install 'langue[{extra}]' for {purpose}"
            )


def _processor() -> Finding:
    used = torch.get_num_threads()
    allowed, quota = processors(), cgroup_quota()
    value = f"torch {torch.__version__}, {used} threads on {allowed} processors"
    if math.isfinite(quota):
        value += f", the time of {quota:g} in this container"
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
    yield from _class(device)


def _class(device: torch.device) -> Iterator[Finding]:
    """What the machine is fast in, by its class; and the measured speed of products: it decides nothing."""
    kind, paths = machine_class(device), fast_paths(device)
    half = kind.fast_dtype == torch.bfloat16
    yield Finding("class", "ok", f"{kind.value}; products are made in {'bfloat16' if half else 'float32'}")
    yield Finding("paths", "ok", ", ".join(path.name for path in paths if path.taken))
    missing = [f"{path.name} (needs {path.needs})" for path in paths if not path.taken]
    if missing:
        yield Finding("paths", "note", f"not taken: {', '.join(missing)}")
    # An emulated type would take a hundred times as long to measure.
    types = {"float32": torch.float32} | ({"bfloat16": torch.bfloat16} if half else {})
    peaks = [f"{name} {measured_flops(device, dtype) / 1e9:,.0f}" for name, dtype in types.items()]
    yield Finding("products", "ok", f"{', '.join(peaks)} GFLOP/s, the best of a few large ones")


def _memory() -> Finding:
    described = Path("/proc/meminfo")
    machine = None
    if described.exists():
        machine = int(described.read_text().split("MemAvailable:")[1].split()[0]) * 1024
    group = group_limits().memory
    known = [size for size in (machine, group) if size is not None]
    if not known:
        return Finding("memory", "note", "unknown on this system")
    free = min(known)
    value = (
        f"{free / 1e9:.1f} GB free" if free == machine else f"{free / 1e9:.1f} GB, all this container may use"
    )
    if free < LITTLE_MEMORY:
        return Finding("memory", "note", value, "keep to small models and batches")
    return Finding("memory", "ok", value)


def _kept_code() -> Finding:
    """The cache of compiled code, which n-grams, HMMs and CRFs run."""
    try:
        from langue.base.compiled import cache_folder, check_own

        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        check_own(folder, folder.stat())
        trial, lock = make_folder(folder, "doctor")
        remove(trial)
        release(lock)
        size = 0
        for file in folder.glob("*.code"):
            status = file.lstat()
            check_own(file, status)
            size += status.st_size
    except LangueError as error:
        return Finding("compiled", "fail", str(error))
    except (OSError, RuntimeError) as error:
        return Finding(
            "compiled",
            "note",
            f"kept code cannot be used: {error}",
            "set NUMBA_CACHE_DIR to a folder that you alone may write, or each command compiles anew",
        )
    return Finding("compiled", "ok", f"{size / 1e6:.1f} MB of code kept in {folder}")


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
