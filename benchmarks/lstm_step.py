"""One step of an LSTM without gradients, as in generation: the formula (`nn/lstm.py`) against torch's kernel.

    python benchmarks/lstm_step.py

The two take turns in one process; of each the fastest turn is printed, in microseconds a step.
"""

import time
from collections.abc import Callable

import torch

from langue.nn.lstm import lstm

TURNS, STEPS = 7, 10


def seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    for _ in range(STEPS):
        run()
    return (time.perf_counter() - started) / STEPS


@torch.inference_mode()
def main() -> None:
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, one core, float32")
    print(f"{'width':>6} {'rows':>5} {'formula':>9} {'torch':>9} {'ratio':>6}")
    for C in (200, 650, 1500):
        for B in (1, 8):
            x, h, c = torch.randn(B, 1, C), torch.randn(B, C), torch.randn(B, C)
            weight_ih, weight_hh, bias = torch.randn(4 * C, C), torch.randn(4 * C, C), torch.randn(4 * C)
            weights = [weight_ih, weight_hh, bias, torch.zeros(4 * C)]

            def formula(x=x, h=h, c=c, weights=weights) -> object:
                return lstm(x, h, c, None, *weights[:3])

            def kernel(x=x, h=h, c=c, weights=weights) -> object:
                return torch.lstm(x, (h[None], c[None]), weights, True, 1, 0.0, False, False, True)

            turns = [(seconds(formula), seconds(kernel)) for _ in range(TURNS)]
            own, theirs = (min(each) * 1e6 for each in zip(*turns, strict=True))
            print(f"{C:6} {B:5} {own:9.0f} {theirs:9.0f} {theirs / own:6.1f}")


if __name__ == "__main__":
    main()
