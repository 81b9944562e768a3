"""A step of the recipe `shakespeare-gpt2-quick` by optimizer: AdamW, langue's Muon, and torch's.

They take turns (`turns.py`), a step at a time. torch's Muon multiplies in bfloat16 on every machine; langue's
in the type that the machine is fast in, which `training.precision` says for all else too.

    .venv/bin/python benchmarks/muon.py [rounds]
"""

import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from turns import cpu, serve, take_turns

CONTENDERS = ("AdamW", "Muon of langue", "Muon of torch")
VOCABULARY = 4096  # of the demo's characters


def steps(contender: str) -> Callable[[], int]:
    """A step of langue's trainer on a store of random ids."""
    import numpy as np
    import torch

    from langue.nn.device import keep_freed_memory
    from langue.protocols import Vocabulary
    from langue.tokens.store import StoreWriter, TokenStore
    from langue.training.muon import Muon
    from langue.training.recipe import read_recipe
    from langue.training.train import trainer_of
    from langue.training.world import World

    keep_freed_memory()
    kept = tempfile.TemporaryDirectory()
    folder = Path(kept.name)
    with StoreWriter(folder, vocabulary_size=VOCABULARY, eos=0) as writer:
        ids = np.random.default_rng(0).integers(1, VOCABULARY, 200_000)
        for split in ("train", "valid"):
            writer.add(split, ids, bytes=len(ids), words=0)
        (folder / "tokenizer.json").write_text("{}")
        writer.finish(tokenizer={"fingerprint": "random ids", "closed": False}, normalization={})
    optimizer = "adamw" if contender == "AdamW" else "muon"
    recipe = read_recipe("shakespeare-gpt2-quick", ["minutes=0", "steps=1000000", f"optimizer={optimizer}"])
    assert recipe.family.build
    model = recipe.family.build(recipe.model, Vocabulary(VOCABULARY, 0), 0)
    trainer = trainer_of(recipe, model, TokenStore(folder), World())
    parts = trainer.optimizer.parts
    if contender == "Muon of torch":
        (own,) = (part for part in parts if isinstance(part, Muon))
        parts[parts.index(own)] = torch.optim.Muon(
            own.param_groups[0]["params"], weight_decay=0.1, adjust_lr_fn="match_rms_adamw"
        )

    def step() -> int:
        trainer.step()
        return trainer.step_tokens

    step.kept = kept  # type: ignore[attr-defined]  # the store, as long as there are steps
    return step


def main() -> None:
    if sys.argv[1:2] == ["--work"]:
        serve(steps(sys.argv[2]))
        return
    import torch

    from langue.nn.machine_class import machine_class

    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    turns = take_turns({name: [__file__, "--work", name] for name in CONTENDERS}, rounds)
    speeds = {name: [turn.speed for turn in took] for name, took in turns.items()}
    kind = machine_class(torch.device("cpu")).value
    print(f"{cpu()} ({kind}), {torch.get_num_threads()} threads, torch {torch.__version__}; {rounds} turns\n")
    print("| a step with | tokens/s, best | median | against torch's Muon, bests | medians |")
    print("|---|---:|---:|---:|---:|")
    of_torch = speeds["Muon of torch"]
    for name, values in speeds.items():
        best, middle = max(values), statistics.median(values)
        ratios = best / max(of_torch), middle / statistics.median(of_torch)
        print(f"| {name} | {best:,.0f} | {middle:,.0f} | {ratios[0]:.2f} | {ratios[1]:.2f} |")


if __name__ == "__main__":
    main()
