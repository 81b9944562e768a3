"""What a generated token costs: langue by torch, compiled, in bfloat16 and int8, and others.

transformers, CTranslate2 and llama.cpp are those others.

    python benchmarks/generation.py [--turns 3] [--shapes TEXT …] [--engines TEXT …] [--threads 1 2]
        [--batches 1 8 32] [--isa avx2] [--output FILE.md]

Every engine has the same weights, those of a network trained for a moment on the embedded sample, reads the
same prompts and takes the likeliest token each time. They take turns in one process, of 0.3 seconds or one
call; of each the cheapest call counts, in microseconds a token, the prompt's included: of CPU time on one
thread, of time on several, which wants a machine without other work. langue is called as its users do, text
in and text out, the others with ids. Last, langue writes after 64 prompts of 8 to 512 tokens, one by one
and side by side, where one that ends makes room for the next; the texts have to be the same.

In float32 langue drafts its own text by its weights in int8 (`nn/compiled/drafting.py`), where that pays and
the text is alone; the same text is written without, too.

CTranslate2 (`pip install ctranslate2`) is left out where it is not installed, llama.cpp where `LLAMA_CPP_LIB`
does not say where it lies (`llama_cpp.py`), each of shapes that it does not know; that is told. With
`--isa avx2` all are held to AVX2 on a machine that has more.
"""

import argparse
import gzip
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported
if "avx2" in sys.argv:
    from llvmlite import binding

    features = binding.get_host_cpu_features()
    for feature in features:  # numba takes those of the machine, whatever the name of the processor
        if feature.startswith(("avx512", "avx10", "avxvnni", "avxifma", "avxneconvert", "amx")):
            features[feature] = False
    os.environ |= {
        "CT2_FORCE_CPU_ISA": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "NUMBA_CPU_NAME": "haswell",
        "NUMBA_CPU_FEATURES": features.flatten(),
    }

import numpy as np
import torch

import langue
import llama_cpp
from langue.base.errors import LangueError
from langue.corpus.sample import sample_path
from langue.nn.compiled import transformer
from langue.nn.windowed_decoder import WindowedDecoder
from turns import cpu

PROMPT, NEW = 32, 96  # tokens
TURN = 0.3  # seconds: a call of milliseconds alone only fills the caches anew
FIRST = 512  # tokens of the long prompt, of whose first token the time is told
MODERN = {  # of Qwen3
    "position": "rotary", "norm": "rms", "activation": "swiglu", "qk_norm": True, "bias": False,
    "norm_eps": 1e-6,
}  # fmt: skip
# Layers, width, inner width of an MLP with gates, vocabulary: 2.6, 4.2, 13.8, 29.4, 119.9 million parameters.
SIZES = (
    (4, 192, 512, 4096),
    (4, 256, 704, 4096),
    (6, 384, 1024, 8192),
    (8, 512, 1376, 8192),
    (16, 768, 2048, 8192),
)


def shapes() -> dict[str, dict[str, Any]]:
    """Of every size GPT-2's shape and that of Qwen3, by name."""
    result: dict[str, dict[str, Any]] = {}
    for form, more in (("GPT-2", {}), ("Qwen3", MODERN)):
        for layers, width, gated, vocabulary in SIZES:
            shape = {"layers": layers, "width": width, "heads": width // 64, "vocabulary": vocabulary, **more}
            if more:
                shape["d_ff"] = gated
            result[f"{form}, {layers} x {width}, V {vocabulary:,}"] = shape
    return result


LARGE = 512  # width from which on a moment of training is one step
BATCHES = (1, 8, 32)
MANY, LENGTHS, TOGETHER = 64, (8, 512), 16  # prompts, their tokens at least and at most, and at a time
Engine = Callable[[Sequence[Any], int], int]  # prompts and new tokens of each to tokens written


def trained(folder: Path, shape: dict[str, Any]) -> Path:
    settings = dict(shape)
    vocabulary = settings.pop("vocabulary")
    store, model = folder / f"store-{vocabulary}", folder / f"model-{len(list(folder.iterdir()))}"
    if not store.exists():
        text = folder / "text.txt"
        with gzip.open(sample_path("english"), "rt", encoding="utf-8") as file:
            text.write_text(file.read(), encoding="utf-8")
        langue.prepare(text, store, vocabulary=vocabulary, documents="blank-line")
    steps = 1 if settings["width"] >= LARGE else 10
    langue.train("gpt2", store, model, context=FIRST + NEW, steps=steps, batch_tokens=1024, **settings)
    return model


def engines(
    path: Path, exported: Path, folder: Path, asked: argparse.Namespace, threads: int
) -> dict[str, Engine]:
    os.environ["LANGUE_THREADS"] = str(threads)  # which a network asks when it is laid out
    torch.set_num_threads(threads)
    result: dict[str, Engine] = {}
    result["langue, compiled float32"] = own(langue.CausalModel.load(path))
    result["langue, compiled float32 without drafts"] = own(undrafted(path))
    result["langue, compiled bfloat16"] = own(langue.CausalModel.load(path, dtype="bfloat16"))
    result["langue, compiled int8"] = own(langue.CausalModel.load(path, quantize="int8"))
    plain = langue.CausalModel.load(path)
    network = plain.folder.model
    network.decoder = lambda prompts, depth=0: WindowedDecoder(network, prompts)
    result["langue, torch"] = own(plain)
    result["transformers"] = transformers_of(exported)
    return result | ctranslate2_of(exported, folder, threads) | llama_cpp_of(path, folder, asked, threads)


def undrafted(path: Path) -> langue.CausalModel:
    """A model that reads its weights once for each token, of a text that is alone too."""
    with mock.patch.object(transformer, "pays", return_value=False):
        model = langue.CausalModel.load(path)
        model.generate("", max_tokens=1)  # lays its weights out
    return model


def own(model: langue.CausalModel) -> Engine:
    def run(prompts: Sequence[Any], new: int) -> int:
        texts = [model.tokenizer.decode(ids) for ids in prompts]
        written = model.generate_all(texts, max_tokens=new, temperature=0.0, batch_size=len(texts))
        return sum(one.tokens for some in written for one in some)

    return run


def transformers_of(exported: Path) -> Engine:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(exported, dtype=torch.float32).eval()

    def run(prompts: Sequence[Any], new: int) -> int:
        ids = torch.tensor(np.stack(prompts).astype(np.int64))
        with torch.inference_mode():
            written = model.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=new, min_new_tokens=new,
                do_sample=False, pad_token_id=0,
            )  # fmt: skip
        return int(written.numel() - ids.numel())

    return run


def ctranslate2_of(exported: Path, folder: Path, threads: int) -> dict[str, Engine]:
    try:
        import ctranslate2
        from ctranslate2.converters import TransformersConverter
    except ImportError:
        print("CTranslate2 is left out: not installed")
        return {}
    result: dict[str, Engine] = {}
    for kind in ("float32", "int8"):
        output = folder / f"{exported.name}-{kind}"
        try:
            TransformersConverter(str(exported)).convert(str(output), quantization=kind, force=True)
        except Exception as error:  # whatever a converter of others raises
            print(f"CTranslate2 is left out: {str(error).splitlines()[0][:100]}")
            return {}
        tokens = json.loads((output / "vocabulary.json").read_text(encoding="utf-8"))
        config = json.loads((output / "config.json").read_text(encoding="utf-8"))
        config = {name: value for name, value in config.items() if value is not None}  # it refuses null
        config |= dict.fromkeys(("bos_token", "eos_token", "unk_token"), tokens[0])
        (output / "config.json").write_text(json.dumps(config), encoding="utf-8")
        generator = ctranslate2.Generator(str(output), intra_threads=threads, compute_type=kind)

        def run(prompts: Sequence[Any], new: int, generator: Any = generator, tokens: Any = tokens) -> int:
            results = generator.generate_batch(
                [[tokens[id] for id in ids] for ids in prompts], max_length=new, min_length=new,
                include_prompt_in_result=False, sampling_topk=1,
            )  # fmt: skip
            return sum(len(one.sequences_ids[0]) for one in results)

        result[f"CTranslate2, {kind}"] = run
    return result


def llama_cpp_of(path: Path, folder: Path, asked: argparse.Namespace, threads: int) -> dict[str, Engine]:
    if llama_cpp.folder() is None:
        print("llama.cpp is left out: LLAMA_CPP_LIB names no folder with its library")
        return {}
    kernels = "haswell" if asked.isa == "avx2" else ""
    whole = folder / f"{path.name}.gguf"
    try:
        langue.export_model(path, whole, overwrite=True)
    except LangueError as error:
        print(f"llama.cpp is left out: {error}")
        return {}
    coarse = llama_cpp.quantize(whole, whole.with_suffix(".q8_0.gguf"), kernels)
    result: dict[str, Engine] = {}
    for name, file in (("float32", whole), ("Q8_0", coarse)):
        model = llama_cpp.Model(
            file, context=FIRST + NEW, rows=max(asked.batches), threads=threads, isa=kernels
        )

        def run(prompts: Sequence[Any], new: int, model: llama_cpp.Model = model) -> int:
            return sum(map(len, model.continue_all(prompts, new)))

        result[f"llama.cpp, {name}"] = run
    return result


def side_by_side(path: Path, ids: Any, turns: int) -> list[str]:
    """Of many prompts of many lengths: one by one, and as there is room."""
    model = langue.CausalModel.load(path)
    lengths = np.random.default_rng(0).integers(*LENGTHS, MANY, endpoint=True)
    prompts = [model.tokenizer.decode(ids[100 * row : 100 * row + size]) for row, size in enumerate(lengths)]
    texts: dict[str, list[str]] = {}

    def engine(name: str, model: langue.CausalModel, rows: int) -> Engine:
        def run(prompts: Sequence[Any], new: int) -> int:
            written = list(model.generate_all(prompts, max_tokens=new, temperature=0.0, batch_size=rows))
            texts[name] = [some[0].text for some in written]
            return sum(some[0].tokens for some in written)

        return run

    runs = {
        "one by one": engine("one by one", model, 1),
        "without drafts": engine("without drafts", undrafted(path), 1),
        "together": engine("together", model, TOGETHER),
    }
    spent = cheapest(runs, prompts, NEW, turns)
    differ = sum(len(set(some)) > 1 for some in zip(*texts.values(), strict=True))
    alone, plain, together = spent.values()
    return [
        f"{MANY} prompts of {LENGTHS[0]} to {LENGTHS[1]} tokens, {NEW} new ones each, langue in float32:",
        f"one by one {alone:,.0f}, without drafts {plain:,.0f}, {TOGETHER} at a time {together:,.0f}: "
        f"{alone / together:.1f} and {plain / together:.1f} times as fast; {differ} texts differ.",
    ]


def cheapest(engines: dict[str, Engine], prompts: Sequence[Any], new: int, turns: int) -> dict[str, float]:
    """Microseconds a token written: of CPU time on one thread, of time on several."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    best: dict[str, float] = {}
    for _ in range(turns):
        for name, run in engines.items():
            since = clock()
            while clock() - since < TURN:
                started = clock()
                tokens = run(prompts, new)
                spent = 1e6 * (clock() - started) / max(tokens, 1)
                best[name] = min(best.get(name, spent), spent)
    return best


def measure(name: str, shape: dict[str, Any], folder: Path, asked: argparse.Namespace) -> Iterator[list[str]]:
    """A table of a shape for each number of threads."""
    path = trained(folder, shape)
    exported = folder / f"{path.name}-hf"
    langue.export_model(path, exported)
    tokenizer = langue.CausalModel.load(path).tokenizer
    with gzip.open(sample_path("english"), "rt", encoding="utf-8") as file:
        ids = tokenizer.encode(file.read(200_000))
    for threads in asked.threads:
        runs = {
            engine: run
            for engine, run in engines(path, exported, folder, asked, threads).items()
            if any(text in engine for text in asked.engines)
        }
        columns = {}
        for batch in asked.batches:
            prompts = [ids[row * 100 : row * 100 + PROMPT] for row in range(batch)]
            columns[f"batch {batch}"] = cheapest(runs, prompts, NEW, asked.turns)
        columns[f"first of {FIRST}"] = cheapest(runs, [ids[:FIRST]], 1, asked.turns)
        told = "one thread" if threads == 1 else f"{threads} threads"
        lines = [f"| {name}, {told} | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
        for engine in runs:
            figures = " | ".join(f"{column[engine]:,.0f}" for column in columns.values())
            lines.append(f"| {engine} | {figures} |")
        many = side_by_side(path, ids, asked.turns) if asked.batches == BATCHES else []
        yield [*lines, "", *many, ""]


def main() -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--shapes", nargs="+", default=[""], help="those with one of these in their names")
    parser.add_argument("--engines", nargs="+", default=[""], help="the same of engines")
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument(
        "--batches", type=int, nargs="+", default=BATCHES, help="fewer leave many prompts out"
    )
    parser.add_argument("--isa", choices=("native", "avx2"), default="native")
    asked = parser.parse_args()
    told = "CPU microseconds a token on one thread, microseconds on more"
    lines = [f"{cpu()}; {told}, {PROMPT} + {NEW} tokens", ""]
    for name, shape in shapes().items():
        if any(text in name for text in asked.shapes):
            with tempfile.TemporaryDirectory() as scratch:
                for table in measure(name, shape, Path(scratch), asked):
                    print("\n".join(table), flush=True)
                    lines += table
    if asked.output:
        asked.output.write_text("\n".join(["# What a generated token costs", "", *lines]), encoding="utf-8")


if __name__ == "__main__":
    main()
