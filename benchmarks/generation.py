"""What a generated token costs: langue by torch, compiled, in int8, beside transformers and CTranslate2.

    python benchmarks/generation.py [--turns 3] [--output FILE.md]

Every engine has the same weights, those of a network trained for a moment on the embedded sample, reads the
same prompts and takes the likeliest token each time. They take turns in one process, on one thread; of each
the cheapest turn counts, in microseconds of CPU time a token, the prompt's included. langue is called as its
users do, text in and text out, the others with ids. CTranslate2 is left out where it is not installed, and of
shapes that it does not know.
"""

import argparse
import gzip
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported

import numpy as np
import torch

import langue
from langue.corpus.sample import sample_path
from langue.nn.windowed_decoder import WindowedDecoder
from turns import cpu

PROMPT, NEW = 32, 96  # tokens
FIRST = 512  # tokens of the long prompt, of whose first token the time is told
MODERN = {
    "position": "rotary", "norm": "rms", "activation": "swiglu", "qk_norm": True, "bias": False,
    "norm_eps": 1e-6,
}  # fmt: skip
SHAPES: dict[str, dict[str, Any]] = {
    "GPT-2, 4 x 256, V 4,096": {"layers": 4, "width": 256, "heads": 4, "vocabulary": 4096},
    "GPT-2, 6 x 384, V 8,192": {"layers": 6, "width": 384, "heads": 6, "vocabulary": 8192},
    "Qwen3, 4 x 256, V 4,096": {"layers": 4, "width": 256, "heads": 4, "vocabulary": 4096, **MODERN},
}
BATCHES = (1, 8, 32)
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
    langue.train("gpt2", store, model, context=FIRST + NEW, steps=10, batch_tokens=1024, **settings)
    return model


def engines(path: Path, folder: Path) -> dict[str, Engine]:
    result: dict[str, Engine] = {}
    for name, quantize in (("langue, compiled float32", None), ("langue, compiled int8", "int8")):
        result[name] = own(langue.CausalModel.load(path, quantize=quantize))
    plain = langue.CausalModel.load(path)
    network = plain.folder.model
    network.decoder = lambda prompts, depth=0: WindowedDecoder(network, prompts)
    result["langue, torch"] = own(plain)
    exported = folder / f"{path.name}-hf"
    langue.export_model(path, exported)
    result["transformers"] = transformers_of(exported)
    return result | ctranslate2_of(exported, folder)


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


def ctranslate2_of(exported: Path, folder: Path) -> dict[str, Engine]:
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
        generator = ctranslate2.Generator(str(output), intra_threads=1, compute_type=kind)

        def run(prompts: Sequence[Any], new: int, generator: Any = generator, tokens: Any = tokens) -> int:
            results = generator.generate_batch(
                [[tokens[id] for id in ids] for ids in prompts], max_length=new, min_length=new,
                include_prompt_in_result=False, sampling_topk=1,
            )  # fmt: skip
            return sum(len(one.sequences_ids[0]) for one in results)

        result[f"CTranslate2, {kind}"] = run
    return result


def cheapest(engines: dict[str, Engine], prompts: Sequence[Any], new: int, turns: int) -> dict[str, float]:
    """Microseconds of CPU time a token written."""
    best: dict[str, float] = {}
    for _ in range(turns):
        for name, run in engines.items():
            started = time.process_time()
            tokens = run(prompts, new)
            spent = 1e6 * (time.process_time() - started) / max(tokens, 1)
            best[name] = min(best.get(name, spent), spent)
    return best


def main() -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--shapes", default="", help="only those with this in their names")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    lines = [f"{cpu()}, one thread; CPU microseconds a token, {PROMPT} + {NEW} tokens", ""]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, shape in SHAPES.items():
            if asked.shapes not in name:
                continue
            path = trained(folder, shape)
            runs = engines(path, folder)
            tokenizer = langue.CausalModel.load(path).tokenizer
            with gzip.open(sample_path("english"), "rt", encoding="utf-8") as file:
                ids = tokenizer.encode(file.read(200_000))
            columns = {}
            for batch in BATCHES:
                prompts = [ids[row * 100 : row * 100 + PROMPT] for row in range(batch)]
                columns[f"batch {batch}"] = cheapest(runs, prompts, NEW, asked.turns)
            columns[f"first of {FIRST}"] = cheapest(runs, [ids[:FIRST]], 1, asked.turns)
            lines += [f"| {name} | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
            for engine in runs:
                figures = " | ".join(f"{column[engine]:,.0f}" for column in columns.values())
                lines.append(f"| {engine} | {figures} |")
            lines.append("")
            print("\n".join(lines[-len(runs) - 3 :]), flush=True)
    if asked.output:
        asked.output.write_text("\n".join(["# What a generated token costs", "", *lines]), encoding="utf-8")


if __name__ == "__main__":
    main()
