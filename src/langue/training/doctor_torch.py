"""What `langue doctor` looks at for networks: torch, the GPU, the machine's class, its paths and peak."""

import math
from collections.abc import Iterator

import torch

from langue.base.parallel import cgroup_quota, processors
from langue.base.wording import counted
from langue.nn.device import best_device, measured_flops
from langue.nn.fast.paths import fast_paths
from langue.nn.machine_class import machine_class
from langue.training.finding import Finding


def diagnose_torch() -> Iterator[Finding]:
    """Look at what networks run on, a finding at a time."""
    yield _processor()
    yield from _speeds()


def _processor() -> Finding:
    used = torch.get_num_threads()
    allowed, quota = processors(), cgroup_quota()
    value = f"torch {torch.__version__}, {counted(used, 'thread')} on {counted(allowed, 'processor')}"
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
