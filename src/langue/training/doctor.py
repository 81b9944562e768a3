"""Is this machine fit? What `langue doctor` looks at, and what to do where it is not."""

import importlib.metadata
import importlib.util
import math
import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

from langue.base.errors import NEURAL, LangueError, how_to_install
from langue.base.extras import has_torch
from langue.base.files import atomic_file
from langue.base.limits import group_limits
from langue.base.parallel import cgroup_quota, processors
from langue.base.staging import make_folder, release, remove
from langue.training.finding import Finding

# extra → a package it brings, what it is for
EXTRAS = {
    "constrain": ("llguidance", "text under regular expressions and JSON schemas"),
    "data": ("pyarrow", "reading parquet and zst"),
    "eval": ("seqeval", "metrics of taggers and classifiers"),
    "export": ("gguf", "writing GGUF files, which llama.cpp and Ollama run"),
    "hf": ("transformers", "tests beside Hugging Face's library; models go in and out without it"),
    "ray": ("ray", "preparing corpora and counting n-grams on a cluster"),
    "remote": ("s3fs", "corpora, stores and models in an object store (s3://)"),
    "serve": ("uvicorn", "serving models"),
    "tensorboard": ("tensorboard", "curves in TensorBoard"),
}
LITTLE_MEMORY = 2 << 30  # bytes: a GPT-2 of three million parameters takes one
LITTLE_DISK = 1 << 30


def diagnose(folder: Path) -> Iterator[Finding]:
    """Look at the machine, a finding at a time; `folder` is where models would be written."""
    yield Finding(
        "langue", "ok", f"{importlib.metadata.version('langue')}, Python {platform.python_version()}"
    )
    if has_torch():
        from langue.training.doctor_torch import diagnose_torch

        yield from diagnose_torch()
    else:
        yield _processor()
        yield Finding("torch", "note", "absent, so no networks", how_to_install(NEURAL))
    yield _memory()
    yield _disk(folder)
    yield _writing(folder)
    yield _kept_code()
    if has_torch():
        yield _compiler()
    for extra, (package, purpose) in EXTRAS.items():
        if importlib.util.find_spec(package) is None:
            yield Finding(
                "extra", "note", f"{extra} is absent", f"pip install 'langue[{extra}]' for {purpose}"
            )


def _processor() -> Finding:
    value = f"{processors()} processors"
    quota = cgroup_quota()
    if math.isfinite(quota):
        value += f", the time of {quota:g} in this container"
    return Finding("processor", "ok", value)


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
        from langue.nn.compiled import isa

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
    except OSError as error:
        return Finding(
            "compiled",
            "note",
            f"kept code cannot be used: {error}",
            "set NUMBA_CACHE_DIR to a folder that you alone may write, or each command compiles anew",
        )
    return Finding("compiled", "ok", f"{size / 1e6:.1f} MB of code kept in {folder}; {isa.told()}")


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
