"""Masked pretraining, real tokens a second: langue against transformers, in turns (`turns.py`).

    python benchmarks/masked_training.py [rounds]

6 layers of 384, the same documents (lengths lognormal, median 40, at most 126), the same optimizer, the
type of matrix products that is fastest on the machine for both. transformers pads batches that were
bucketed by length; once it computes logits everywhere, as its model does, and once it is given the
masked places only. langue packs documents into rows. A turn is eight batches of about 4,096 real
tokens each, one of every bucket, since those of long documents are faster.
"""

import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from transformers import BertConfig as PeerConfig
from transformers import BertForMaskedLM

from langue.base.config import decode
from langue.models.encoders.bert import BertConfig, build
from langue.models.encoders.setup import batches
from langue.nn.device import keep_freed_memory
from langue.nn.precision import autocast, fast_dtype
from langue.protocols import Vocabulary
from langue.tokens.store import StoreWriter, TokenStore
from langue.tokens.train import TokenizerConfig, train_tokenizer
from turns import cpu, serve, take_turns

LAYERS, WIDTH, HEADS = 6, 384, 6
CONTEXT, ENTRIES, STEP = 128, 8192, 4096
BUCKETS = 8


def documents(count: int) -> list[np.ndarray]:
    draw = np.random.default_rng(0)
    lengths = np.exp(draw.normal(np.log(40), 0.7, count)).clip(4, CONTEXT - 2).astype(int)
    return [draw.integers(10, ENTRIES, length).astype(np.uint16) for length in lengths]


def store_of(folder: Path, texts: list[np.ndarray]) -> TokenStore:
    """A store of these ids; its tokenizer is only asked which ids are special."""
    with StoreWriter(folder, vocabulary_size=ENTRIES, eos=0) as writer:
        for split, some in (("train", texts), ("valid", texts[:2]), ("test", texts[:2])):
            for ids in some:
                writer.add(split, ids, bytes=len(ids), words=len(ids))
        train_tokenizer(TokenizerConfig(kind="bytes"), ["a"]).save(folder / "tokenizer.json")
        writer.finish(tokenizer={"fingerprint": "random ids", "closed": False}, normalization={})
    return TokenStore(folder)


def padded(texts: list[np.ndarray]) -> Iterator[tuple[dict[str, torch.Tensor], int]]:
    """Batches of transformers, bucketed by length, and their real tokens."""
    draw = np.random.default_rng(1)
    rows = STEP // 45  # documents that make about STEP tokens
    while True:
        pool = [texts[index] for index in draw.integers(len(texts), size=BUCKETS * rows)]
        pool.sort(key=len)
        for first in draw.permutation(BUCKETS) * rows:
            some = pool[first : first + rows]
            ids = torch.zeros(rows, max(map(len, some)) + 2, dtype=torch.int64)
            seen = torch.zeros_like(ids)
            for row, document in enumerate(some):
                ids[row, : len(document) + 2] = torch.from_numpy(np.r_[ENTRIES, document, ENTRIES + 1])
                seen[row, : len(document) + 2] = 1
            labels = torch.where((torch.rand(ids.shape) < 0.15) & (ids > 0) & (ids < ENTRIES), ids, -100)
            read = torch.where(labels >= 0, ENTRIES + 2, ids)
            yield {"input_ids": read, "attention_mask": seen, "labels": labels}, sum(map(len, some))


def peer_step(texts: list[np.ndarray], *, masked_only: bool) -> Callable[[], int]:
    config = PeerConfig(
        vocab_size=ENTRIES + 3,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=4 * WIDTH,
        max_position_embeddings=CONTEXT,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    model = BertForMaskedLM(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    source = padded(texts)

    def step() -> int:
        batch, tokens = next(source)
        with autocast(torch.device("cpu")):
            if masked_only:
                hidden = model.bert(batch["input_ids"], attention_mask=batch["attention_mask"])[0]
                places = batch["labels"] >= 0
                loss = F.cross_entropy(model.cls(hidden[places]).float(), batch["labels"][places])
            else:
                loss = model(**batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return tokens

    return step


def own_step(store: TokenStore) -> Callable[[], int]:
    keep_freed_memory()  # as `langue train` does
    shape = {"layers": LAYERS, "width": WIDTH, "heads": HEADS, "context": CONTEXT}
    config = decode(BertConfig, shape | {"sentence_pairs": "none", "masking": "token"}, "model")
    vocabulary = Vocabulary(ENTRIES, 0)
    model = build(config, vocabulary, 0).to("cpu").train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    source = batches(store.split("train"), vocabulary, config, STEP // CONTEXT, CONTEXT, 0)
    number = iter(range(10**9))

    def step() -> int:
        batch = source.batch(next(number))
        with autocast(torch.device("cpu")):
            loss = model.loss(batch)
        (loss / batch.targets_count).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        ids = np.where(batch.targets >= 0, batch.targets, batch.inputs)
        return int((ids < ENTRIES).sum())

    return step


CONTENDERS = ["transformers, logits everywhere", "transformers, masked places only", "langue"]


def work(name: str) -> None:
    """Be one contender."""
    torch.manual_seed(0)
    texts = documents(20_000)
    with tempfile.TemporaryDirectory() as folder:
        if name == "langue":
            step = own_step(store_of(Path(folder), texts))
        else:
            step = peer_step(texts, masked_only="masked" in name)
        serve(lambda: sum(step() for _ in range(BUCKETS)))


def main() -> None:
    if sys.argv[1:2] == ["--work"]:
        work(sys.argv[2])
        return
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    turns = take_turns({name: [__file__, "--work", name] for name in CONTENDERS}, rounds)
    speeds = {name: [turn.speed for turn in found] for name, found in turns.items()}
    kind = fast_dtype(torch.device("cpu"))
    print(f"{LAYERS} layers of {WIDTH}, {kind}, {torch.get_num_threads()} threads, {cpu()}")
    own = speeds["langue"]
    for name, found in speeds.items():
        best, middle = max(found), statistics.median(found)
        print(
            f"{name:34}{best:8,.0f} best, {middle:8,.0f} median real tokens/s; langue: "
            f"{max(own) / best:.2f} times by bests, {statistics.median(own) / middle:.2f} by medians"
        )


if __name__ == "__main__":
    main()
