"""Training GPT-2: tokens a second here and by Hugging Face transformers, side by side.

They take turns (`turns.py`), a step at a time. The same shape and the same number of tokens; AdamW. Best
and median of the turns are shown, and ratios of the bests: dtype against the same dtype, and best
against best. Where the processor only emulates bfloat16 (a step takes minutes) float32 is all.

    .venv/bin/python benchmarks/gpt2_training.py [small|base] [rounds]

`small`: 14 million parameters, context 256, 16 rows. `base`: GPT-2 of 124 million, context 512, 2 rows.
`long`: the same at context 1024, for its memory.
"""

import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from turns import Turn, cpu, multiplied_fast, serve, take_turns


class Size(NamedTuple):
    layers: int
    width: int
    heads: int
    context: int
    rows: int
    vocabulary: int


SIZES = {
    "small": Size(6, 384, 6, 256, 16, 8192),
    "base": Size(12, 768, 12, 512, 2, 50257),
    "long": Size(12, 768, 12, 1024, 1, 50257),
}
# name → (who, precision, as its defaults are)
CONTENDERS = {
    "transformers float32, defaults": ("peer", "float32", True),
    "transformers float32, fused AdamW, no dropout": ("peer", "float32", False),
    "transformers bfloat16, fused AdamW, no dropout": ("peer", "bfloat16", False),
    "langue float32": ("langue", "float32", False),
    "langue bfloat16": ("langue", "bfloat16", False),
}


def peer(size: Size, precision: str, defaults: bool, *, compiled: bool = False) -> Callable[[], int]:
    """A step of a plain PyTorch loop around `GPT2LMHeadModel`, on a GPU where there is one."""
    import torch
    import transformers
    from transformers import GPT2Config, GPT2LMHeadModel

    transformers.logging.set_verbosity_error()
    drop = {} if defaults else {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    shape = {"n_layer": size.layers, "n_embd": size.width, "n_head": size.heads, "n_positions": size.context}
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = GPT2LMHeadModel(GPT2Config(vocab_size=size.vocabulary, **shape, **drop)).train().to(device)
    network = torch.compile(model) if compiled else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=None if defaults else True)

    def step() -> int:
        ids = torch.randint(size.vocabulary, (size.rows, size.context), device=device)
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            loss = network(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return ids.numel()

    return step


def network_of(size: Size, *settings: str):
    """A recipe of `gpt2`, and a network of its own with random weights."""
    from langue.protocols import Vocabulary
    from langue.training.recipe import read_recipe

    shape = [f"layers={size.layers}", f"width={size.width}", f"heads={size.heads}", f"context={size.context}"]
    recipe = read_recipe("gpt2", [*shape, *settings])
    assert recipe.family.build
    return recipe, recipe.family.build(recipe.model, Vocabulary(size.vocabulary, 0), 0)


def langue(size: Size, precision: str, defaults: bool, *more: str) -> Callable[[], int]:
    """A step of langue's trainer on a store of random ids; `more` are further settings of the recipe."""
    import numpy as np

    from langue.nn.device import keep_freed_memory
    from langue.tokens.store import StoreWriter, TokenStore
    from langue.training.train import trainer_of
    from langue.training.world import World

    keep_freed_memory()
    kept = tempfile.TemporaryDirectory()
    folder = Path(kept.name)
    with StoreWriter(folder, vocabulary_size=size.vocabulary, eos=0) as writer:
        ids = np.random.default_rng(0).integers(1, size.vocabulary, 200_000)
        for split in ("train", "valid"):
            writer.add(split, ids, bytes=len(ids), words=0)
        (folder / "tokenizer.json").write_text("{}")
        writer.finish(tokenizer={"fingerprint": "random ids", "closed": False}, normalization={})
    run = [f"batch_tokens={size.rows * size.context}", f"precision={precision}", "steps=1000000"]
    recipe, model = network_of(size, *run, *more)
    trainer = trainer_of(recipe, model, TokenStore(folder), World())

    def step() -> int:
        trainer.step()
        return size.rows * size.context

    step.kept = kept  # type: ignore[attr-defined]  # the store, as long as there are steps
    step.model = model  # type: ignore[attr-defined]
    return step


def compare(name: str, rounds: int) -> str:
    commands = {contender: [__file__, "--work", contender, name] for contender in multiplied_fast(CONTENDERS)}
    return table(name, SIZES[name], rounds, take_turns(commands, rounds))


def table(name: str, size: Size, rounds: int, turns: dict[str, list[Turn]]) -> str:
    best = {contender: max(turn.speed for turn in found) for contender, found in turns.items()}
    middle = {
        contender: statistics.median(turn.speed for turn in found) for contender, found in turns.items()
    }
    peaks = {contender: found[-1].peak_bytes for contender, found in turns.items()}
    lines = [
        f"## {name}: {size.layers} layers, width {size.width}, context {size.context}, {size.rows} rows, "
        f"vocabulary {size.vocabulary:,}; {rounds} turns of a step",
        "",
        "| | tokens/s, best | median | peak memory, MB |",
        "|---|---:|---:|---:|",
    ]
    lines += [f"| {c} | {best[c]:,.0f} | {middle[c]:,.0f} | {peaks[c] / 1e6:,.0f} |" for c in turns]

    def ratio(ours: list[str], theirs: list[str]) -> str:
        pairs = (max(found[c] for c in ours) / max(found[c] for c in theirs) for found in (best, middle))
        return "{:.2f} (medians: {:.2f})".format(*pairs)

    peers, own = ([c for c in turns if c.startswith(who)] for who in ("transformers", "langue"))
    lines += [
        "",
        f"- float32 against transformers' defaults: {ratio(own[:1], peers[:1])}",
        f"- float32 against float32, fused, no dropout: {ratio(own[:1], peers[1:2])}",
    ]
    if len(own) > 1:
        lines += [
            f"- bfloat16 against bfloat16: {ratio(own[1:], peers[2:])}",
            f"- best against bfloat16: {ratio(own, peers[2:])}",
            f"- best against best: {ratio(own, peers)}",
        ]
    return "\n".join(lines)


def main() -> None:
    if sys.argv[1:2] == ["--work"]:
        who, precision, defaults = CONTENDERS[sys.argv[2]]
        serve({"peer": peer, "langue": langue}[who](SIZES[sys.argv[3]], precision, defaults))
        return
    import torch
    import transformers

    names = [sys.argv[1]] if len(sys.argv) > 1 else ["small", "base"]
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 4
    print(
        f"`{' '.join(['python', 'benchmarks/gpt2_training.py', *sys.argv[1:]])}`: {time.strftime('%Y-%m-%d')}"
    )
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}"
    print(f"{versions}, Python {platform.python_version()}")
    print(f"{torch.get_num_threads()} threads, {cpu()}\n")
    for name in names:
        print(compare(name, rounds) + "\n", flush=True)


if __name__ == "__main__":
    main()
