"""What two encoders should have in common: the family `pair` in its four ways of sharing, at equal cost.

    python benchmarks/sharing.py [--set thucnews] [--teraflops 30] [--seeds 2] [--share all none …]

Each is trained with the same arithmetic: `--teraflops`, by FLOPs of a step, so that a larger network takes
fewer steps; beside them a BERT of the discriminator's shape. Then the discriminator is fine-tuned on labeled
texts. Figures on held-out text; mean and standard deviation over the seeds.
"""

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

import langue
from finetuning import SHAPE as SMALL
from finetuning import TRAINING
from labeled_set import prepare_set
from langue.base.config import decode
from langue.models.registry import family
from langue.tokens.store import TokenStore

# With absolute positions and AdamW neither network begins to learn in this time.
SHAPE = SMALL | {"attention": "disentangled", "sentence_pairs": "none"}
SHARES = ["embedding", "gradient-disentangled", "all", "none"]


def flops_of_step(store: Path, name: str, settings: dict[str, Any]) -> float:
    kind = family(name)
    assert kind.build is not None
    model = kind.build(decode(kind.config, settings, "model"), kind.vocabulary(TokenStore(store)), 0)
    return float(model.flops_per_token() * TRAINING["batch_tokens"])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--set", default="thucnews", choices=["sst2", "thucnews"])
    options.add_argument("--teraflops", type=float, default=30.0)
    options.add_argument("--labeled", type=int, default=3000)
    options.add_argument("--seeds", type=int, default=2)
    options.add_argument("--share", nargs="*", default=SHARES)
    chosen = options.parse_args()
    runs = {"bert": ("bert", SHAPE)} | {
        share: ("electra", SHAPE | {"embedding_sharing": share}) for share in chosen.share
    }
    print(f"{chosen.set}: {chosen.teraflops:g} TFLOP each, {chosen.seeds} seeds; {SHAPE}, {TRAINING}")
    print(f"{'':22} steps  seconds  parameters  bits a hidden token  F1 of replaced  accuracy fine-tuned")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        store, files = prepare_set(chosen.set, folder, chosen.labeled)
        for label, (name, settings) in runs.items():
            steps = round(chosen.teraflops * 1e12 / flops_of_step(store, name, settings))
            figures = []
            for seed in range(chosen.seeds):
                shared = settings | TRAINING | {"steps": steps, "seed": seed, "overwrite": True}
                model: Any = langue.train(name, store, folder / "model", **shared)
                facts = langue.evaluate(model, store).to_json()
                found = langue.finetune(
                    model.path,
                    output=folder / "classifier",
                    seeds=1,
                    seed=seed,
                    learning_rate=5e-4,
                    overwrite=True,
                    **files,
                )
                replaced = facts["replaced"]["f1"] if facts["replaced"] else float("nan")
                figures.append((facts["masked_bits_per_token"]["value"], replaced, found.test[0].accuracy))
                seconds = model.info()["measured"]["seconds"]
            means = [statistics.mean(column) for column in zip(*figures, strict=True)]
            spread = statistics.pstdev([accuracy for _, _, accuracy in figures])
            size = model.folder.model.size()["parameters"]
            print(
                f"{label:22} {steps:5} {seconds:8.0f} {size:11,} {means[0]:20.3f} {means[1]:15.3f} "
                f"{means[2]:12.4f} ± {spread:.4f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
