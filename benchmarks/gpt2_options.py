"""What each option of later papers is worth in GPT-2: validation loss after the same number of steps.

    python benchmarks/gpt2_options.py [--steps 400] [NAME…]

tinyshakespeare by characters, the first nine tenths to learn from; 4 layers, 128 wide, context 128, 2,048
tokens a step, AdamW unless said. The loss is in nats a character over 65,536 characters of the last tenth.
A difference below the spread of the seeds, which the first rows show, is none.
"""

import argparse
import tempfile
import time
from pathlib import Path

import langue
from langue.base.config import read_assignments

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="rows to run; all by default")
    parser.add_argument("--steps", type=int, default=400)
    chosen = parser.parse_args()
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
