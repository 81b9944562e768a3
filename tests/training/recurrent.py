"""A family for tests: the least recurrent model, trained on streams."""

from pathlib import Path
from typing import Any

import torch

from langue.models.family import Family
from langue.nn.weights import save_weights
from langue.protocols import Causal
from langue.tokens.batches import StreamBatches
from langue.training.recipe import Recipe, read_recipe


class Recurrent(torch.nn.Module, Causal):
    """The least recurrent model: it remembers, and leaves the memory in `carry`."""

    def __init__(self, config: Any, vocabulary: Any) -> None:
        super().__init__()
        self.config, self.vocabulary, self.context, self.carry = config, vocabulary, 8, {}
        self.embedding = torch.nn.Embedding(vocabulary.size, 8)
        self.cell = torch.nn.GRU(8, 8, batch_first=True)
        self.device = torch.device("cpu")

    def loss(self, batch: Any) -> torch.Tensor:
        memory = self.carry["memory"][None] if self.carry else None
        hidden, memory = self.cell(self.embedding(torch.from_numpy(batch.inputs)), memory)
        self.carry = {"memory": memory[0].detach()}
        logits = hidden @ self.embedding.weight.T
        targets = torch.from_numpy(batch.targets).flatten()
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets, reduction="sum")

    def save(self, folder: Path) -> None:
        save_weights(self, folder)

    def size(self) -> dict[str, int]:
        return {"parameters": 1}


def recurrent(*settings: str) -> Recipe:
    def build(config: Any, vocabulary: Any, seed: int) -> Recurrent:
        torch.manual_seed(seed)
        return Recurrent(config, vocabulary)

    def batches(
        split: Any, vocabulary: Any, config: Any, rows: int, context: int, seed: int
    ) -> StreamBatches:
        return StreamBatches(split, rows=rows, context=context, eos=vocabulary.eos)

    plain = read_recipe("gpt2", [*settings])
    family = Family(
        name="recurrent", summary="a test", makes=Causal, config=type(plain.model), estimated_by="gradient",
        load=lambda *_: None, build=build, batches=batches,
    )  # fmt: skip
    return Recipe(family, plain.model, plain.training)
