"""Training the LSTM of Zaremba et al. 2014: tokens a second here and by plain PyTorch code, side by side.

2 layers of 650, a vocabulary of 10,000, 20 rows of 35 tokens, dropout 0.5, plain gradient descent with
clipping: the medium model of the paper. The peer is the usual loop around `torch.nn.LSTM`, a linear
head and `cross_entropy`. What is measured is CPU time on one thread, which other work on the machine
disturbs least; every contender has a process of its own.

    .venv/bin/python benchmarks/lstm_training.py [steps]
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from turns import cpu, multiplied_fast

V, C, B, T = 10_000, 650, 20, 35
# name → (who, precision, tokens of a document: how often a state is reset)
CONTENDERS = {
    "torch.nn.LSTM, float32": ("peer", "float32", 0),
    "torch.nn.LSTM, bfloat16": ("peer", "bfloat16", 0),
    "langue, float32": ("langue", "float32", 200_000),
    "langue, bfloat16": ("langue", "bfloat16", 200_000),
    "langue, float32, documents of 500 tokens": ("langue", "float32", 500),
    "langue, float32, documents of 25 tokens": ("langue", "float32", 25),
    "langue, bfloat16, documents of 25 tokens": ("langue", "bfloat16", 25),
}


def peer(precision: str, document: int) -> Callable[[], object]:
    import torch
    import torch.nn.functional as F
    from torch import nn

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drop = nn.Dropout(0.5)
            self.encoder = nn.Embedding(V, C)
            self.rnn = nn.LSTM(C, C, 2, dropout=0.5)
            self.decoder = nn.Linear(C, V)

        def forward(self, ids: torch.Tensor, state: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
            y, state = self.rnn(self.drop(self.encoder(ids)), state)
            return self.decoder(self.drop(y)).view(-1, V), *state

    model = Model()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    state: tuple[torch.Tensor, ...] = (torch.zeros(2, B, C), torch.zeros(2, B, C))

    def step() -> None:
        nonlocal state
        ids, targets = torch.randint(V, (2, T, B))
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            logits, *after = model(ids, tuple(part.detach() for part in state))
            loss = F.cross_entropy(logits, targets.view(-1))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        state = tuple(after)

    return step


def langue(precision: str, document: int) -> Callable[[], object]:
    import numpy as np

    from langue.nn.device import keep_freed_memory
    from langue.protocols import Vocabulary
    from langue.tokens.store import StoreWriter, TokenStore
    from langue.training.recipe import read_recipe
    from langue.training.train import trainer_of
    from langue.training.world import World

    keep_freed_memory()
    folder = Path(tempfile.mkdtemp())
    draw = np.random.default_rng(0)
    with StoreWriter(folder, vocabulary_size=V, eos=0) as writer:
        for split, documents in (("train", 200_000 // document), ("valid", 1)):
            for _ in range(documents):
                writer.add(split, draw.integers(1, V, document - 1), bytes=document, words=0)
        (folder / "tokenizer.json").write_text("{}")
        writer.finish(tokenizer={"fingerprint": "random ids", "closed": False}, normalization={})
    settings = ["size=medium", "dropout=0.5", f"batch_tokens={B * T}", f"precision={precision}"]
    recipe = read_recipe("rnn", [*settings, "optimizer=sgd", "weight_decay=0", "clip=5", "steps=1000000"])
    assert recipe.family.build
    model = recipe.family.build(recipe.model, Vocabulary(V, 0), 0)
    return trainer_of(recipe, model, TokenStore(folder), World()).step


def work(name: str, steps: int) -> None:
    """Be one contender, alone in a process: CPU seconds of each step, after two to warm up."""
    import torch

    torch.set_num_threads(1)
    who, *how = CONTENDERS[name]
    step = {"peer": peer, "langue": langue}[who](*how)
    seconds = []
    for _ in range(steps + 2):
        started = time.process_time()
        step()
        seconds.append(time.process_time() - started)
    print(json.dumps(seconds[2:]))


def compare(steps: int) -> str:
    speeds: dict[str, list[float]] = {}
    for contender in multiplied_fast(CONTENDERS):
        command = [sys.executable, __file__, "--work", contender, str(steps)]
        printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        speeds[contender] = [B * T / seconds for seconds in json.loads(printed)]
    plain = max(speeds["torch.nn.LSTM, float32"])
    lines = [
        f"LSTM 2 x {C}, vocabulary {V:,}, {B} rows of {T} tokens; {steps} steps each",
        "",
        "| | tokens a CPU second, best | median | best, against torch.nn.LSTM in float32 |",
        "|---|---|---|---|",
    ]
    for contender, found in speeds.items():
        middle = sorted(found)[len(found) // 2]
        lines.append(f"| {contender} | {max(found):,.0f} | {middle:,.0f} | {max(found) / plain:.2f} |")
    return "\n".join(lines)


def main() -> None:
    if sys.argv[1:2] == ["--work"]:
        work(sys.argv[2], int(sys.argv[3]))
        return
    import torch

    print(compare(int(sys.argv[1]) if len(sys.argv) > 1 else 8))
    print(f"\n{cpu()}, torch {torch.__version__}")


if __name__ == "__main__":
    main()
