"""Products of large matrices by each library that is at hand, GFLOP/s of one core, and GELU, milliseconds.

    python benchmarks/products.py [CLASS ...]

CPU time of one thread, the best of a dozen. Classes as in `machines.py`, by the libraries' own switches; by
default this processor's and AVX2. "torch" is what `torch.nn.functional.linear` does, "langue" what its layers
do (`nn/linear.py`); OpenBLAS is NumPy's. Then the gradient of a weight (`nn/fast/products.py`), and GELU with
its gradient (`nn/gelu.py`).
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

from machines import CLASSES
from turns import cpu

# rows, inputs and outputs: squares, the layers of a GPT-2 of 14 million parameters, the head of an LSTM
SHAPES = [(1024, 1024, 1024), (2048, 2048, 2048), (4096, 384, 1536), (4096, 1536, 384), (700, 650, 10_000)]
GRADIENTS = [(4096, 384, 384), (4096, 384, 1536), (4096, 1536, 384), (2048, 768, 3072), (700, 650, 10_000)]
ACTIVATIONS = (4096, 1536)
REPEATS = 12


def milliseconds(make: Callable[[], object]) -> float:
    make()
    seconds = []
    for _ in range(REPEATS):
        started = time.process_time()
        make()
        seconds.append(time.process_time() - started)
    return 1000 * min(seconds)


def measure(what: str) -> None:
    """Print this class's rows of a table."""
    import numpy as np
    import torch
    import torch.nn.functional as F

    from langue.nn.fast.products import outer
    from langue.nn.gelu import gelu
    from langue.nn.linear import linear
    from langue.nn.machine_class import processor_class

    name = processor_class().value
    half = processor_class().fast_dtype == torch.bfloat16

    def row(rows: int, inputs: int, outputs: int, *made: Callable[[], object]) -> None:
        work = 2 * rows * inputs * outputs / 1e6
        cells = [f"{work / milliseconds(make):.0f}" for make in made]
        cells += ["–"] * (len(TABLES[what]) - 2 - len(cells))
        print(f"| {name} | {rows} x {inputs} x {outputs} | {' | '.join(cells)} |")

    if what == "products":
        with torch.inference_mode():
            for rows, inputs, outputs in SHAPES:
                x, weight = torch.randn(rows, inputs), torch.randn(outputs, inputs)
                made = [partial(F.linear, x, weight), partial(np.matmul, x.numpy(), weight.numpy().T)]
                made += [partial(linear, x, weight)]
                made += [partial(F.linear, x.bfloat16(), weight.bfloat16())] if half else []
                row(rows, inputs, outputs, *made)
    elif what == "gradients":
        for rows, inputs, outputs in GRADIENTS:
            dy, x = torch.randn(rows, outputs), torch.randn(rows, inputs)
            row(rows, inputs, outputs, partial(torch.matmul, dy.T, x), partial(outer, dy, x))
    else:
        for dtype in [torch.float32, *([torch.bfloat16] if half else [])]:
            x = torch.randn(ACTIVATIONS, dtype=dtype, requires_grad=True)
            dy = torch.randn_like(x)

            def both(make: Callable[..., torch.Tensor], x: torch.Tensor = x, dy: torch.Tensor = dy) -> None:
                torch.autograd.grad(make(x, approximate="tanh"), x, dy)

            torchs, ours = (milliseconds(partial(both, make)) for make in (F.gelu, gelu))
            print(f"| {name} | {str(dtype).removeprefix('torch.')} | {torchs:.1f} | {ours:.1f} |")


TABLES = {
    "products": ["class", "rows x inputs x outputs", "torch", "OpenBLAS", "langue", "torch, bfloat16"],
    "gradients": ["class", "gradient of a weight: rows x inputs x outputs", "torch", "langue"],
    "gelu": [
        "class",
        f"GELU and its gradient, {' x '.join(map(str, ACTIVATIONS))}",
        "torch, ms",
        "langue, ms",
    ],
}


def main() -> None:
    if sys.argv[1:2] == ["--work"]:
        measure(sys.argv[2])
        return
    names = sys.argv[1:] or ["this", "avx2"]
    command = " ".join(["python", "benchmarks/products.py", *sys.argv[1:]])
    print(f"`{command}`: {time.strftime('%Y-%m-%d')}, {cpu()}")
    alone = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    for what, columns in TABLES.items():
        print(f"\n| {' | '.join(columns)} |\n|---|---|{'---:|' * (len(columns) - 2)}", flush=True)
        for name in names:
            environment = os.environ | CLASSES[name] | alone
            subprocess.run([sys.executable, __file__, "--work", what], env=environment, check=True)


if __name__ == "__main__":
    main()
