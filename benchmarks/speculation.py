"""Speculative decoding: drafts by the network itself in int8, none, by an n-gram, and from the text.

    python benchmarks/speculation.py MODEL DRAFT [--texts 8] [--turns 3] [--output FILE.md]

MODEL is a network, DRAFT an n-gram of the same token store, trained beforehand: how often a guess is right
hangs on what both have learned. Texts of 96 tokens are written after nothing, one at a time, on one thread; a
text that copies begins with 200 tokens of its own that are given twice. Contenders take turns; of each the
cheapest turn counts, in microseconds of CPU a token. llama.cpp writes as many from the same weights, its
likeliest ones, where `LLAMA_CPP_LIB` says where it lies (`llama_cpp.py`).
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported
os.environ.setdefault("LANGUE_THREADS", "1")

import langue
import llama_cpp
from generation import undrafted
from turns import cpu

NEW, COPIED = 96, 200  # tokens


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("draft", type=Path)
    parser.add_argument("--texts", type=int, default=8)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--output", type=Path)
    asked = parser.parse_args()
    model, draft = langue.CausalModel.load(asked.model), langue.CausalModel.load(asked.draft)
    own = model.generate("", max_tokens=COPIED, seed=1).text
    columns: dict[str, tuple[str, dict[str, Any]]] = {
        "temperature 1": ("", {"temperature": 1.0, "top_p": 1.0}),
        "as it is set (0.8, top p 0.95)": ("", {}),
        "likeliest": ("", {"temperature": 0.0}),
        "a text that copies, likeliest": (f"{own}\n{own}\n", {"temperature": 0.0}),
    }
    plain = undrafted(asked.model)
    rows: dict[str, tuple[langue.CausalModel, Any]] = {
        "drafted by itself in int8": (model, None),
        "without drafts": (plain, None),
        "drafted by the n-gram": (model, draft),
        "drafted by the text": (model, "prompt"),
    }
    best: dict[tuple[str, str], float] = {}

    def measure(row: str, column: str, write: Callable[[int], int]) -> None:
        started, tokens = time.process_time(), 0
        for seed in range(asked.texts):
            tokens += write(seed)
        spent = 1e6 * (time.process_time() - started) / max(tokens, 1)
        best[row, column] = min(best.get((row, column), spent), spent)

    with tempfile.TemporaryDirectory() as scratch:
        peer = llama(model, asked.model, Path(scratch))
        for _ in range(asked.turns):
            for column, (prompt, settings) in columns.items():
                for row, (writer, guessing) in rows.items():

                    def write(
                        seed: int,
                        writer: langue.CausalModel = writer,
                        prompt: str = prompt,
                        settings: Any = settings,
                        guessing: Any = guessing,
                    ) -> int:
                        settings = settings | {"max_tokens": NEW, "seed": seed}
                        return writer.generate(prompt, draft=guessing, **settings).tokens

                    measure(row, column, write)
                if peer is not None:
                    measure("llama.cpp, likeliest", column, lambda seed, prompt=prompt: peer(prompt))
    names = list(dict.fromkeys(row for row, _ in best))
    lines = [f"{cpu()}, one thread; CPU microseconds a token, {NEW} tokens a text", ""]
    lines += [f"| | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
    lines += [f"| {row} | {' | '.join(f'{best[row, column]:,.0f}' for column in columns)} |" for row in names]
    print("\n".join(lines))
    if asked.output:
        asked.output.write_text("\n".join(["# Speculative decoding", "", *lines, ""]), encoding="utf-8")


def llama(model: langue.CausalModel, path: Path, folder: Path) -> Callable[[str], int] | None:
    """Writes after a prompt, by llama.cpp; None where it is not there."""
    if llama_cpp.folder() is None:
        print("llama.cpp is left out: LLAMA_CPP_LIB names no folder with its library")
        return None
    file = folder / "model.gguf"
    langue.export_model(path, file)
    engine = llama_cpp.Model(file, context=2 * COPIED + 2 * NEW + 8, rows=1, threads=1, isa="")

    def write(prompt: str) -> int:
        ids = [model.tokenizer.eos, *map(int, model.tokenizer.encode(prompt))]
        return sum(map(len, engine.continue_all([ids], NEW)))

    return write


if __name__ == "__main__":
    main()
