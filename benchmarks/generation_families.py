"""What a token costs in networks that are no GPT-2, and in a mixture: by torch, compiled, in int8.

    python benchmarks/generation_families.py [--turns 3] [--folder FOLDER] [--output FILE.md]

Each is trained for a moment on the embedded sample and reads and writes through its decoder, the likeliest
token each time, on one thread; forms of one network take turns, and of each the cheapest turn counts, in
microseconds of CPU time a token written, the prompt's included. A folder keeps what was trained, for another
time. `generation.py` has GPT-2 beside others.
"""

import argparse
import gzip
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported

import numpy as np
import torch

import langue
from langue.corpus.sample import sample_path
from turns import cpu

PROMPT, NEW, BATCHES = 32, 96, (1, 8)  # tokens, tokens, rows
SHAPES: dict[str, dict[str, Any]] = {
    "Elman, 2 x 512": {"family": "rnn", "cell": "elman", "layers": 2, "width": 512},
    "GRU, 2 x 512": {"family": "rnn", "cell": "gru", "layers": 2, "width": 512},
    "LSTM, 2 x 512": {"family": "rnn", "cell": "lstm", "layers": 2, "width": 512},
    "Character CNN and LSTM, 2 x 256": {"family": "charcnn", "layers": 2, "width": 256},
    "NPLM, order 5, 512 hidden": {"family": "nplm", "order": 5, "width": 100, "hidden": 512},
    "GPT-2, 4 x 256": {"family": "gpt2", "layers": 4, "width": 256, "heads": 4, "context": 608},
}
Make = Callable[..., Any]  # prompts to a decoder


def forms(path: Path) -> dict[str, Make]:
    """Of a model folder, what makes its decoders; of a mixture the network's is another."""
    result: dict[str, Make] = {}
    for name in ("torch", "compiled float32", "compiled int8"):
        model = langue.CausalModel.load(path, quantize="int8" if "int8" in name else None).folder.model
        if name == "torch":
            for part in getattr(model, "models", [model]):
                part.compiled = lambda: None
        result[name] = model.decoder
    return result


def write(make: Make, prompts: list[Any]) -> None:
    decoder = make(prompts)
    for _ in range(NEW):
        decoder.extend(decoder.log_probs().argmax(1)[:, None])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--output", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    columns = [f"{name}, batch {batch}" for batch in BATCHES for name in ("torch", "float32", "int8")]
    lines = [
        f"{cpu()}, one thread; CPU microseconds a token, {PROMPT} + {NEW} tokens, vocabulary 4,096", "",
        f"| | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}",
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        folder = asked.folder or Path(scratch)
        folder.mkdir(exist_ok=True)
        text, store = folder / "text.txt", folder / "store"
        if not store.exists():
            with gzip.open(sample_path("english"), "rt", encoding="utf-8") as file:
                text.write_text(file.read(), encoding="utf-8")
            langue.prepare(text, store, vocabulary=4096, documents="blank-line")
        mixed = [str(folder / "ngram"), str(folder / "gpt2")]
        shapes = SHAPES | {
            "n-gram": {"family": "ngram"},
            "That GPT-2 and an n-gram": {"family": "mixture", "models": mixed},
        }
        paths = {}
        for name, shape in shapes.items():
            family = shape["family"]
            paths[name] = folder / shape.get("cell", family)
            if not paths[name].exists():
                settings: dict[str, Any] = {key: shape[key] for key in shape if key != "family"}
                settings |= {"steps": 10, "batch_tokens": 1024} if "width" in shape else {}
                langue.train(family, store, paths[name], **settings)
        del paths["n-gram"]
        ids = langue.CausalModel.load(folder / "ngram").tokenizer.encode(text.read_text(encoding="utf-8"))
        for name, path in paths.items():
            made, best = forms(path), {}
            for batch in BATCHES:
                prompts = [ids[row * 100 : row * 100 + PROMPT] for row in range(batch)]
                for _ in range(asked.turns):
                    for form, make in made.items():
                        started = time.process_time()
                        write(make, prompts)
                        spent = 1e6 * (time.process_time() - started) / (NEW * batch)
                        best[form, batch] = min(best.get((form, batch), np.inf), spent)
            figures = [best[form, batch] for batch in BATCHES for form in made]
            lines.append(f"| {name} | {' | '.join(f'{figure:,.0f}' for figure in figures)} |")
            print(lines[-1], flush=True)
    if asked.output:
        asked.output.write_text(
            "\n".join(["# What a token costs in other families", "", *lines, ""]), encoding="utf-8"
        )


if __name__ == "__main__":
    main()
