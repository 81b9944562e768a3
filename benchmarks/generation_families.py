"""What a token costs in networks that are no GPT-2, and in a mixture: by torch, compiled, in int8.

    python benchmarks/generation_families.py [--turns 3] [--families NAME …] [--folder FOLDER]
        [--output FILE.md]

Each is trained for a moment on the embedded sample and reads and writes through its decoder, the likeliest
token each time, on one thread; forms of one network take turns, and of each the cheapest turn counts, in
microseconds of CPU time a token written, the prompt's included. A folder keeps what was trained, for another
time. `generation.py` has GPT-2 beside others.

A second table says how near a step of one row comes to what the machine can read: the bytes by its time,
beside a loop that only adds up as many bytes of an array, in the same turns. These are the weights that a
token is multiplied by, and the keys and values that it meets, in the middle of the text. An encoder–decoder
writes one part behind a whole one, which is encoded before: encoding is in the first table alone.
"""

import argparse
import gzip
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported

import numba
import numpy as np
import torch

import langue
from langue.corpus.sample import sample_path
from langue.generation.unconstrained import RUN
from langue.nn.compiled.recurrent import CompiledRecurrent
from langue.nn.compiled.seq2seq import CompiledSeq2Seq
from langue.nn.compiled.transformer import CompiledTransformer
from langue.protocols.drawing import DrawingDecoder, Draws
from turns import cpu

PROMPT, NEW, BATCHES = 32, 96, (1, 8)  # tokens, tokens, rows
BEFORE = 16  # tokens of a prompt, so that all that follow are of one part of an encoder–decoder
SHAPES: dict[str, dict[str, Any]] = {
    "Elman, 2 x 512": {"family": "rnn", "cell": "elman", "layers": 2, "width": 512},
    "GRU, 2 x 512": {"family": "rnn", "cell": "gru", "layers": 2, "width": 512},
    "LSTM, 2 x 512": {"family": "rnn", "cell": "lstm", "layers": 2, "width": 512},
    "Character CNN and LSTM, 2 x 256": {"family": "charcnn", "layers": 2, "width": 256},
    "NPLM, order 5, 512 hidden": {"family": "nplm", "order": 5, "width": 100, "hidden": 512},
    "Transformer, 4 x 256": {"family": "transformer", "layers": 4, "width": 256, "heads": 4, "context": 128},
    "BERT to BERT, 4 x 256": {"family": "bert2bert", "layers": 4, "width": 256, "heads": 4, "context": 128},
    "GPT-2, 4 x 256": {"family": "gpt2", "layers": 4, "width": 256, "heads": 4, "context": 608},
}
AGAIN = 8  # times that an array is added up in a turn
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


@numba.njit(fastmath=True)
def total(x: Any) -> Any:
    """The sum of an array, at the pace that one thread reads at: four parts abreast are the quickest."""
    size = len(x) // 4
    one, two, three, four = x[:size], x[size : 2 * size], x[2 * size : 3 * size], x[3 * size : 4 * size]
    a = b = c = d = np.float32(0)
    for i in range(size):
        a += one[i]
        b += two[i]
        c += three[i]
        d += four[i]
    return a + b + c + d


def weight_bytes(network: Any) -> int:
    """Of the matrices, all of which a token is multiplied by."""
    step = network.compiled()
    if isinstance(step, CompiledTransformer):
        return int(step.weights[4][0].nbytes)
    if isinstance(step, CompiledSeq2Seq):
        return int(step.weights[3][0].nbytes)
    own = step.weights[2] if isinstance(step, CompiledRecurrent) else step.matrix
    return int(own.nbytes + step.head.matrix.nbytes)


def attended_bytes(decoder: Any) -> int:
    """Of the keys and values that the last token met, those of a source among them."""
    step = getattr(decoder, "step", None)
    if isinstance(step, CompiledTransformer):
        width, positions = step.shape.G * step.shape.D, decoder.length[0]
    elif isinstance(step, CompiledSeq2Seq):
        cache = decoder.cache
        width, positions = step.shape.C, decoder.length[0] + int(cache.looked_at[cache.slots[0]])
    else:
        return 0
    return 4 * 2 * step.shape.L * width * positions


def write(decoder: Any, tokens: int = NEW) -> None:
    """Some likeliest tokens, in as many calls as when a text is written, of which the last is not read."""
    if not isinstance(decoder, DrawingDecoder):
        for number in range(tokens):
            likeliest = decoder.log_probs().argmax(1)[:, None]
            if number + 1 < tokens:
                decoder.extend(likeliest)
        return
    (B, V), left = decoder.log_probs().shape, tokens
    leads, none = np.zeros((1, V), np.uint8), np.zeros(B, np.int64)
    while left:
        count = min(left, RUN, decoder.most())
        settings = np.zeros((B, 4))  # temperature 0
        decoder.draw(Draws(np.zeros((B, count)), none + count, settings, leads, none, none - 1))
        left -= count


def pace(name: str, network: Any, ids: Any, turns: int) -> str:
    """A row of the table of bytes a second."""
    prompt, best = ids[: getattr(network, "part", 0) + BEFORE], [np.inf, np.inf]
    halfway = network.decoder([prompt])
    write(halfway, NEW // 2)
    size = weight_bytes(network) + attended_bytes(halfway)
    array = np.ones(size // 4, np.float32)
    total(array)
    for _ in range(turns):
        decoder = network.decoder([prompt])
        write(decoder, 1)
        # One that draws has its first token yet to read; what the other chooses last is not read.
        reads = NEW if isinstance(decoder, DrawingDecoder) else NEW - 1
        started = time.process_time()
        write(decoder)
        between = time.process_time()
        for _ in range(AGAIN):
            total(array)
        spent = (between - started) / reads, (time.process_time() - between) / AGAIN
        best = [min(pair) for pair in zip(best, spent, strict=True)]
    step, read = (size / 1e9 / seconds for seconds in best)
    return (
        f"| {name} | {size / 1e6:.1f} | {1e6 * best[0]:,.0f} | {step:.1f} | {read:.1f} | {step / read:.0%} |"
    )


def models(folder: Path, families: Sequence[str]) -> tuple[dict[str, Path], Any]:
    """Model folders by the names of their shapes, and ids to begin with; of no families: of all."""
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
        if families and family not in (*families, "ngram"):
            continue
        paths[name] = folder / shape.get("cell", family)
        if not paths[name].exists():
            settings: dict[str, Any] = {key: shape[key] for key in shape if key != "family"}
            settings |= {"steps": 10, "batch_tokens": 1024} if "width" in shape else {}
            langue.train(family, store, paths[name], **settings)
    ngram = langue.CausalModel.load(paths.pop("n-gram"))
    return paths, ngram.tokenizer.encode(text.read_text(encoding="utf-8"))


def costs(path: Path, ids: Any, turns: int) -> list[float]:
    """Of each form, for each size of a batch."""
    made, best = forms(path), {}
    for batch in BATCHES:
        prompts = [ids[row * 100 : row * 100 + PROMPT] for row in range(batch)]
        for _ in range(turns):
            for form, make in made.items():
                started = time.process_time()
                write(make(prompts))
                spent = 1e6 * (time.process_time() - started) / (NEW * batch)
                best[form, batch] = min(best.get((form, batch), np.inf), spent)
    return [best[form, batch] for batch in BATCHES for form in made]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument(
        "--families", nargs="*", default=[], help="the others are left out (a mixture has GPT-2)"
    )
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--output", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    columns = [f"{name}, batch {batch}" for batch in BATCHES for name in ("torch", "float32", "int8")]
    lines = [
        f"{cpu()}, one thread; CPU microseconds a token, {PROMPT} + {NEW} tokens, vocabulary 4,096", "",
        f"| | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}",
    ]  # fmt: skip
    read = ["", "| | MB a token | microseconds | GB/s | GB/s of reading | share |", f"|---|{'---:|' * 5}"]
    with tempfile.TemporaryDirectory() as scratch:
        paths, ids = models(asked.folder or Path(scratch), asked.families)
        for name, path in paths.items():
            figures = " | ".join(f"{figure:,.0f}" for figure in costs(path, ids, asked.turns))
            lines.append(f"| {name} | {figures} |")
            print(lines[-1], flush=True)
            for quantize in (None, "int8"):
                network = langue.CausalModel.load(path, quantize=quantize).folder.model
                if not hasattr(network, "models"):
                    read.append(pace(f"{name}, {quantize or 'float32'}", network, ids, asked.turns))
                    print(read[-1], flush=True)
    if asked.output:
        title = "# What a token costs in other families"
        asked.output.write_text("\n".join([title, "", *lines, *read, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
