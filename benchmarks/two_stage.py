"""What starting ALBERT from a BERT is worth: two stages against one of the same cost.

    python benchmarks/two_stage.py [--set sst2] [--steps 600] [--first 0.5] [--seeds 2]

Stage one trains a BERT for a share of the steps, stage two an ALBERT from it for the rest; against it, an
ALBERT of the same shape from random weights with all of the steps. A step of either is the same batch shape
through as many layers of the same width: its cost is told in FLOPs. Then both are fine-tuned on labeled
texts. Masked accuracy and bits on held-out text, accuracy on the whole test file; mean over seeds.
"""

import argparse
import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import langue
from labeled_set import TOKENIZERS, prepare_set

SHAPE = {
    "layers": 3,
    "width": 192,
    "heads": 3,
    "context": 64,
    "sentence_pairs": "none",
    "masking": "whole-word",
}
TRAINING = {"batch_tokens": 2048, "learning_rate": 1e-3}


def measured(model: Any, store: Path, files: Mapping[str, Path], folder: Path, seed: int) -> list[float]:
    """Masked accuracy, bits a hidden token, accuracy of the fine-tuned model."""
    facts = langue.evaluate(model, store).to_json()
    found = langue.finetune(
        model.path, output=folder, seeds=1, seed=seed, learning_rate=5e-4, overwrite=True, **files
    )
    return [
        facts["masked_accuracy"]["value"],
        facts["masked_bits_per_token"]["value"],
        found.test[0].accuracy,
    ]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--set", default="sst2", choices=sorted(TOKENIZERS))
    options.add_argument("--steps", type=int, default=600)
    options.add_argument("--first", type=float, default=0.5, help="share of the steps that are BERT's")
    options.add_argument("--labeled", type=int, default=3000)
    options.add_argument("--seeds", type=int, default=2)
    chosen = options.parse_args()
    first = round(chosen.first * chosen.steps)
    rows: dict[str, list[list[float]]] = {"two stages": [], "from random": []}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        store, files = prepare_set(chosen.set, folder, chosen.labeled)
        for seed in range(chosen.seeds):
            shared = TRAINING | {"seed": seed, "overwrite": True}
            bert = langue.train("bert", store, folder / "bert", **SHAPE, **shared, steps=first)
            start = {"init_from": str(folder / "bert"), "sentence_pairs": "none", "masking": "whole-word"}
            rest = chosen.steps - first
            second = langue.train("albert", store, folder / "second", **start, **shared, steps=rest)
            alone = langue.train("albert", store, folder / "alone", **SHAPE, **shared, steps=chosen.steps)
            for name, model in (("two stages", second), ("from random", alone)):
                rows[name].append(measured(model, store, files, folder / "classifier", seed))
            step = [model.folder.model.flops_per_token() * 2048 / 1e9 for model in (bert, alone)]
    print(f"{chosen.set}: {chosen.steps} steps of {SHAPE}, {first} of them BERT's in two stages")
    print(f"a step: {step[0]:.1f} GFLOP of BERT, {step[1]:.1f} of ALBERT; {chosen.seeds} seeds")
    print(f"{'':12} masked accuracy   bits a hidden token   accuracy fine-tuned")
    for name, found in rows.items():
        means = [statistics.mean(column) for column in zip(*found, strict=True)]
        spreads = [statistics.pstdev(column) for column in zip(*found, strict=True)]
        cells = "   ".join(
            f"{mean:8.4f} ± {spread:6.4f}" for mean, spread in zip(means, spreads, strict=True)
        )
        print(f"{name:12} {cells}")


if __name__ == "__main__":
    main()
