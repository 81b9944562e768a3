"""Training the LSTM of Zaremba et al. 2014: tokens a second here and by plain PyTorch code, side by side.

2 layers of 650, a vocabulary of 10,000, 20 rows of 35 tokens, dropout 0.5, plain gradient descent with
clipping: the medium model of the paper. The peer is the usual loop around `torch.nn.LSTM`, a linear
head and `cross_entropy`. Every contender is a process of its own and trains a step in turn with the
others, so that what else the machine does falls on all alike. Best and median of the turns.

    .venv/bin/python benchmarks/lstm_training.py [rounds]
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from gpt2_training import cpu

V, C, B, T = 10_000, 650, 20, 35
# name → (who, precision, tokens of a document: how often a state is reset)
CONTENDERS = {
    "torch.nn.LSTM, float32": ("peer", "float32", 0),
    "torch.nn.LSTM, bfloat16": ("peer", "bfloat16", 0),
    "langue, float32": ("langue", "float32", 200_000),
    "langue, bfloat16": ("langue", "bfloat16", 200_000),
    "langue, float32, documents of 500 tokens": ("langue", "float32", 500),
    "langue, float32, documents of 25 tokens": ("langue", "float32", 25),
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
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3)
    state: tuple[torch.Tensor, ...] = (torch.zeros(2, B, C), torch.zeros(2, B, C))

    def step() -> None:
        nonlocal state
        ids, targets = torch.randint(V, (2, T, B))
        optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            logits, *after = model(ids, tuple(part.detach() for part in state))
            loss = F.cross_entropy(logits, targets.view(-1))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
        state = tuple(after)

    return step


def langue(precision: str, document: int) -> Callable[[], object]:
    import numpy as np

    from langue.models.layers.device import keep_freed_memory
    from langue.models.protocol import Vocabulary
    from langue.tokens.store import StoreWriter, TokenStore
    from langue.training.distributed import World
    from langue.training.loop import Trainer
    from langue.training.recipe import read_recipe

    keep_freed_memory()
    folder = Path(tempfile.mkdtemp())
    draw = np.random.default_rng(0)
    with StoreWriter(folder, vocabulary_size=V, eos=0) as writer:
        for split, documents in (("train", 200_000 // document), ("valid", 1)):
            for _ in range(documents):
                writer.add(split, draw.integers(1, V, document - 1), bytes=document, words=0)
        (folder / "tokenizer.json").write_text("{}")
        writer.finish(tokenizer={})
    settings = ["size=medium", "dropout=0.5", f"batch_tokens={B * T}", f"precision={precision}"]
    recipe = read_recipe("rnn", [*settings, "optimiser=sgd", "weight_decay=0", "clip=5", "steps=1000000"])
    assert recipe.family.create
    model = recipe.family.create(recipe.model, Vocabulary(V, 0), 0)
    return Trainer(recipe, model, TokenStore(folder), World()).step


def work(name: str) -> None:
    """Be one contender: a turn for each line that comes in."""
    who, *how = CONTENDERS[name]
    step = {"peer": peer, "langue": langue}[who](*how)
    step()
    print("ready", flush=True)
    for _ in sys.stdin:
        started = time.perf_counter()
        step()
        print(json.dumps(B * T / (time.perf_counter() - started)), flush=True)


def compare(rounds: int) -> str:
    workers = {}
    for contender in CONTENDERS:
        command = [sys.executable, __file__, "--work", contender]
        worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert worker.stdout and worker.stdout.readline() == "ready\n"
        workers[contender] = worker
    speeds: dict[str, list[float]] = {contender: [] for contender in workers}
    for _ in range(rounds):
        for contender, worker in workers.items():
            assert worker.stdin and worker.stdout
            worker.stdin.write("go\n")
            worker.stdin.flush()
            speeds[contender].append(json.loads(worker.stdout.readline()))
    for worker in workers.values():
        assert worker.stdin
        worker.stdin.close()
        worker.wait()
    plain = max(speeds["torch.nn.LSTM, float32"])
    lines = [
        f"LSTM 2 x {C}, vocabulary {V:,}, {B} rows of {T} tokens; {rounds} turns of a step",
        "",
        "| | tokens/s, best | median | best, against torch.nn.LSTM in float32 |",
        "|---|---|---|---|",
    ]
    for contender, found in speeds.items():
        middle = sorted(found)[len(found) // 2]
        lines.append(f"| {contender} | {max(found):,.0f} | {middle:,.0f} | {max(found) / plain:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(sys.argv[2])
    else:
        print(compare(int(sys.argv[1]) if len(sys.argv) > 1 else 8))
        import torch

        print(f"\n{torch.get_num_threads()} threads, {cpu()}, torch {torch.__version__}")
