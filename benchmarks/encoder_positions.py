"""Which positions an encoder learns with first: absolute ones, or distances (disentangled attention).

    python benchmarks/encoder_positions.py [--steps 500]

A made-up language of 200 tokens, each likely followed by the next one up. Nats per hidden token of
training, the same batches and rates for both.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from langue.base.config import decode
from langue.models.encoders.bert import BertConfig, build
from langue.models.encoders.setup import batches
from langue.protocols import Vocabulary
from langue.tokens.store import StoreWriter, TokenStore
from langue.tokens.train import TokenizerConfig, train_tokenizer

SHAPE = {"layers": 2, "width": 96, "heads": 4, "context": 32, "sentence_pairs": "none", "masking": "token"}
ENTRIES, ROWS, RATE = 258, 32, 2e-3


def store_of(folder: Path) -> TokenStore:
    draw = np.random.default_rng(0)
    steps = [draw.choice([1, 1, 1, 1, 7], draw.integers(20, 60)) for _ in range(2000)]
    documents = [5 + (draw.integers(0, 200) + np.cumsum(some)) % 200 for some in steps]
    with StoreWriter(folder, vocabulary_size=ENTRIES, eos=0) as writer:
        for split, some in (("train", documents), ("valid", documents[:5]), ("test", documents[:5])):
            for ids in some:
                writer.add(split, ids.astype(np.uint16), bytes=len(ids), words=len(ids))
        train_tokenizer(TokenizerConfig(kind="bytes"), ["a"]).save(folder / "tokenizer.json")
        writer.finish(tokenizer={"fingerprint": "random ids", "closed": False}, normalization={})
    return TokenStore(folder)


def learn(store: TokenStore, attention: str, steps: int) -> None:
    config = decode(BertConfig, SHAPE | {"attention": attention}, "model")
    vocabulary = Vocabulary(ENTRIES, 0)
    model = build(config, vocabulary, 0)
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95), weight_decay=0.01)
    source = batches(store.split("train"), vocabulary, config, ROWS, config.shape.context, 0)
    started = time.perf_counter()
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = RATE * min(1.0, (step + 1) / 50) * (1 - step / (1.04 * steps))
        batch = source.batch(step)
        loss = model.loss(batch) / batch.targets_count
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if (step + 1) % 100 == 0:
            seconds = time.perf_counter() - started
            print(f"{attention:14} step {step + 1:4}: {loss.item():.3f} nats, {seconds:6.1f} s", flush=True)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--steps", type=int, default=500)
    steps = options.parse_args().steps
    with tempfile.TemporaryDirectory() as folder:
        store = store_of(Path(folder))
        for attention in ("plain", "disentangled"):
            learn(store, attention, steps)


if __name__ == "__main__":
    main()
