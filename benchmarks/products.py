"""Products of large matrices by each library that is at hand: GFLOP/s of one core.

    python benchmarks/products.py [CLASS ...]

CPU time of one thread, the best of a dozen. Classes as in `machines.py`, by the libraries' own switches; by
default this processor's and AVX2. "torch" is what `torch.nn.functional.linear` does, "langue" what its layers
do (`nn/linear.py`); OpenBLAS is NumPy's.
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
REPEATS = 12


def measure() -> None:
    import numpy as np
    import torch
    import torch.nn.functional as F

    from langue.nn.linear import linear
    from langue.nn.machine_class import processor_class

    half = processor_class().fast_dtype == torch.bfloat16

    def speed(make: Callable[[], object], work: int) -> str:
        make()
        seconds = []
        for _ in range(REPEATS):
            started = time.process_time()
            make()
            seconds.append(time.process_time() - started)
        return f"{work / min(seconds) / 1e9:.0f}"

    with torch.inference_mode():
        for rows, inputs, outputs in SHAPES:
            x, weight = torch.randn(rows, inputs), torch.randn(outputs, inputs)
            made = [partial(F.linear, x, weight), partial(np.matmul, x.numpy(), weight.numpy().T)]
            made += [partial(linear, x, weight)]
            if half:
                made.append(partial(F.linear, x.bfloat16(), weight.bfloat16()))
            cells = [speed(make, 2 * rows * inputs * outputs) for make in made]
            cells += ["–"] * (4 - len(cells))
            print(f"| {processor_class().value} | {rows} x {inputs} x {outputs} | {' | '.join(cells)} |")


def main() -> None:
    if sys.argv[1:] == ["--work"]:
        measure()
        return
    names = sys.argv[1:] or ["this", "avx2"]
    command = " ".join(["python", "benchmarks/products.py", *sys.argv[1:]])
    print(f"`{command}`: {time.strftime('%Y-%m-%d')}, {cpu()}\n")
    print("| class | rows x inputs x outputs | torch | OpenBLAS | langue | torch, bfloat16 |")
    print("|---|---|---:|---:|---:|---:|")
    for name in names:
        alone = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        subprocess.run(
            [sys.executable, __file__, "--work"], env=os.environ | CLASSES[name] | alone, check=True
        )


if __name__ == "__main__":
    main()
