"""Every way of smoothing, by order, on the embedded text: bits per byte of held-out documents.

    python benchmarks/smoothing.py [english] [chinese]

`markov` is maximum likelihood with no smoothing at all, `markov + 1` Laplace's rule. Stupid backoff is
missing, for its scores are no probabilities. Pruning and the size it leaves come last.
"""

import argparse
import math
import tempfile
from pathlib import Path

import langue
from langue.corpus.sample import sample_path

ORDERS = range(1, 7)
KINDS = {
    "modified-kneser-ney": ("ngram", {}),
    "absolute": ("ngram", {"smoothing": "absolute"}),
    "witten-bell": ("ngram", {"smoothing": "witten-bell"}),
    "add-k, k = 0.01": ("ngram", {"smoothing": "add-k", "alpha": 0.01}),
    "markov + 1": ("markov", {"alpha": 1.0}),
    "markov": ("markov", {}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("languages", nargs="*", default=["english", "chinese"])
    for language in parser.parse_args().languages:
        with tempfile.TemporaryDirectory() as name:
            compare(language, Path(name))


def compare(language: str, folder: Path) -> None:
    store = folder / "store"
    langue.prepare(sample_path(language), store)
    print(f"\n{language}, bits per byte{'':10}" + "".join(f"order {order:<4}" for order in ORDERS))
    for label, (family, settings) in KINDS.items():
        cells = []
        for order in ORDERS:
            reach = order - (family == "markov")  # a chain of order k reads k + 1 words
            model = langue.train(family, store, folder / "model", order=reach, overwrite=True, **settings)
            bits = langue.evaluate(model, store).bits_per_byte
            assert bits is not None
            cells.append("infinite" if math.isinf(bits) else f"{bits:.3f}")
        print(f"{label:32}" + "".join(f"{cell:10}" for cell in cells), flush=True)
    for settings in ({}, {"prune": (0, 0, 1)}, {"prune_entropy": 1e-7}, {"prune_entropy": 1e-6}):
        model = langue.train("ngram", store, folder / "model", order=5, overwrite=True, **settings)
        bits = langue.evaluate(model, store).bits_per_byte
        ngrams = model.folder.model.size()["ngrams"]
        label = ", ".join(f"{key} = {value}" for key, value in settings.items()) or "not pruned"
        print(f"order 5, {label:23}{bits:.3f}     {ngrams:,} n-grams", flush=True)


if __name__ == "__main__":
    main()
