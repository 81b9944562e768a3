"""What each option of later papers is worth in GPT-2: after as many steps, or after as long a time.

    python benchmarks/gpt2_options.py [--steps 400] [NAME…]
    python benchmarks/gpt2_options.py --store STORE --cpu-seconds 100 [NAME…]

The first learns tinyshakespeare by characters, of the first nine tenths; 4 layers, 128 wide, context 128,
2,048 tokens a step, AdamW unless said. The loss is in nats a character over 65,536 characters of the last
tenth. A difference below the spread of the seeds, which the first rows show, is none.

The second learns a store for so many seconds of the processor, which other work on the machine does not
lengthen, and prints bits per byte of its test split: by it the defaults of `langue train gpt2` were chosen.
Give it one thread: `OMP_NUM_THREADS=1`.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import langue
from langue.base.config import read_assignments
from langue.models.networks import gpt2, rule
from langue.models.networks.config import qwen3
from langue.nn.initial import normal_weights
from langue.training import fit

TEXT = Path(__file__).resolve().parents[2] / "shared" / "data" / "shakespeare" / "input.txt"
SHAPE = ["layers=4", "width=128", "heads=4", "context=128"]
RUN = ["batch_tokens=2048", "learning_rate=2e-3", "evaluations=1", "validation_tokens=65536"]
MODERN = ["position=rotary", "norm=rms", "activation=relu2", "qk_norm=true"]
OPTIONS = {
    "as in 2019": [],
    "as in 2019, seed 1": ["seed=1"],
    "as in 2019, seed 2": ["seed=2"],
    "rotary positions": ["position=rotary"],
    "RMSNorm": ["norm=rms"],
    "ReLU²": ["activation=relu2"],
    "SwiGLU": ["activation=swiglu"],
    "QK-norm": ["qk_norm=true"],
    "one head of keys and values": ["key_value_heads=1"],
    "untied head": ["tied=false"],
    "z-loss 1e-4": ["z_loss=1e-4"],
    "Muon": ["optimizer=muon"],
    "rotary, RMSNorm, ReLU², QK-norm": MODERN,
    "rotary, RMSNorm, ReLU², QK-norm, Muon": [*MODERN, "optimizer=muon"],
}
MUON: dict[str, Any] = {
    "batch_tokens": 2048, "optimizer": "muon", "learning_rate": 4e-3, "schedule": "linear", "warmup": 0.03,
    "min_lr_ratio": 0.0, "evaluations": 4,
}  # fmt: skip
SHAPE_OF_MINUTES = (4, 128, 4, 128)
DEFAULT = qwen3(*SHAPE_OF_MINUTES) | MUON
QUICK = {
    "layers": 4, "width": 192, "heads": 4, "context": 128, "position": "rotary", "norm": "rms",
    "activation": "relu2", "qk_norm": True,
}  # fmt: skip
TIMED: dict[str, dict[str, Any]] = {
    "gpt2 by rule": {},
    "mixture by rule": {"family": "mixture"},
    "rnn by rule": {"family": "rnn"},
    "Qwen3, Muon": DEFAULT,
    "… seed 1": DEFAULT | {"seed": 1},
    "… 4 x 192": qwen3(4, 192, 4, 128) | MUON,
    "… 4 x 192, ReLU², biases": QUICK | MUON,
    "… 3 x 192": qwen3(3, 192, 3, 128) | MUON,
    "… 2 x 128": qwen3(2, 128, 4, 128) | MUON,
    "… 2 x 128, rate 12e-3": qwen3(2, 128, 4, 128) | MUON | {"learning_rate": 12e-3},
    "… 2 x 192, rate 12e-3": qwen3(2, 192, 4, 128) | MUON | {"learning_rate": 12e-3},
    "… 6 x 256": qwen3(6, 256, 4, 128) | MUON,
    "… context 64": qwen3(4, 128, 4, 64) | MUON,
    "averaged": DEFAULT | {"ema_decay": 0.97},
    "dropout 0.1": DEFAULT | {"dropout": 0.1},
    "wsd": DEFAULT | {"schedule": "wsd", "decay": 0.3},
    "cosine": DEFAULT | {"schedule": "cosine"},
    "rate 8e-3": DEFAULT | {"learning_rate": 8e-3},
    "projections zero at first": DEFAULT,
    "1,024 tokens a step": DEFAULT | {"batch_tokens": 1024},
    "rnn, as it is without a rule": {"family": "rnn", "size": "small"},
    "rnn, tied, plain descent": {
        "family": "rnn", "size": "small", "context": 35, "tied": True, "batch_tokens": 700,
        "optimizer": "sgd", "learning_rate": 20.0, "clip": 0.25, "weight_decay": 0.0, "schedule": "wsd",
        "warmup": 0.002, "decay": 0.6, "min_lr_ratio": 0.02, "evaluations": 4,
    },
    "rnn, tied, AdamW": {
        "family": "rnn", "size": "small", "context": 35, "tied": True, "batch_tokens": 1400,
        "learning_rate": 4e-3, "schedule": "linear", "min_lr_ratio": 0.0, "evaluations": 4,
    },
}  # fmt: skip


def timed(store: Path, seconds: float, names: Sequence[str]) -> None:
    """Rows of bits per byte after as much time of the processor: of a model, and of its parts."""
    clock: Any = SimpleNamespace(perf_counter=time.process_time)
    fit.time = clock
    for machine, speed in rule.SPEED.items():
        rule.SPEED[machine] = speed / 2  # of the two cores that the rule speaks of, one works
    initialize = gpt2.GPT2.initialize
    for name in names or TIMED:
        gpt2.GPT2.initialize = zeroed if name.startswith("projections") else initialize  # type: ignore[method-assign]
        with tempfile.TemporaryDirectory() as folder:
            settings = {"family": "gpt2", "minutes": seconds / 60} | TIMED[name]
            path = Path(folder) / "model"
            langue.train(settings.pop("family"), store, path, **settings)
            for made in sorted(file.parent for file in path.glob("**/model.json")):
                model = langue.load(made)
                bits = model.evaluate(store).to_json()["bits_per_byte"]
                about = model.info()
                tokens = f"{about['measured'].get('tokens', 0):,} tokens"
                size = ", ".join(f"{count:,} {what}" for what, count in about["size"].items())
                print(
                    f"| {store.name} | {name}: {about['family']} | {bits:.4f} | {size} | {tokens} |",
                    flush=True,
                )


def zeroed(model: gpt2.GPT2, seed: int) -> None:
    """The matrices that write to the residual stream begin as zeros."""
    normal_weights(model, seed, lambda name: 0.0 if name.endswith("c_proj.weight") else 0.02)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="rows to run; all by default")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--cpu-seconds", type=float, default=100.0)
    chosen = parser.parse_args()
    if chosen.store:
        timed(chosen.store, chosen.cpu_seconds, chosen.names)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = TEXT.read_text(encoding="utf-8")
        cut = len(text) * 9 // 10
        for part, content in (("train", text[:cut]), ("valid", text[cut:])):
            (folder / f"{part}.txt").write_text(content, encoding="utf-8", newline="\n")
        valid = [folder / "valid.txt"]
        langue.prepare(
            folder / "train.txt", folder / "store", documents="file", kind="chars", valid=valid, test=valid
        )
        for row in chosen.names or OPTIONS:
            settings = [*SHAPE, *RUN, f"steps={chosen.steps}", *OPTIONS[row]]
            started = time.perf_counter()
            model = langue.train(
                "gpt2", folder / "store", folder / "model", **read_assignments(settings), overwrite=True
            )
            loss = model.info()["measured"]["validation"][-1]["loss"]
            size = model.info()["size"]["parameters"]
            seconds = time.perf_counter() - started
            print(f"| {row} | {loss:.4f} | {size:,} | {seconds:.0f} s |", flush=True)


if __name__ == "__main__":
    main()
