"""A forward pass and a step of training are short enough to be read: bounds on the files that they run."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.tracer import files_run, table

from langue.base.config import decode
from langue.models.registry import family
from langue.tasks.examples import ExampleBatches
from langue.tasks.learn import TaskModel
from langue.tokens.store import TokenStore
from langue.training.config import TrainingConfig
from langue.training.recipe import read_recipe
from langue.training.train import trainer_of
from langue.training.trainer import Trainer
from langue.training.world import World

TINY: dict[str, Any] = {"layers": 2, "width": 32, "context": 32, "dropout": 0.1}
KERNELS = {"nn/dropout.py", "nn/cross_entropy.py", "nn/fast/choices.py", "nn/fast/dropout.py"}
KERNELS |= {"nn/fast/cross_entropy.py", "nn/fast/products.py"}


def forward_and_loss(name: str, settings: dict[str, Any], store: TokenStore) -> list[dict[str, int]]:
    """What is run to learn from a batch: in float32, and in bfloat16, where other kernels are faster."""
    kind = family(name)
    config, vocabulary = decode(kind.config, TINY | settings, "model"), kind.vocabulary(store)
    assert kind.build is not None
    model: Any = kind.build(config, vocabulary, 0)
    model.train()
    batch = kind.batches(store.split("train"), vocabulary, config, 8, model.context, 0).batch(0)

    def run() -> None:
        model.loss(batch)

    return [files_run(run), files_run(torch.autocast("cpu", torch.bfloat16)(run))]


@pytest.mark.parametrize(
    ("name", "settings", "bound", "kernels"),
    [
        ("gpt2", {"heads": 2}, 810, {"nn/attention.py", "nn/mask.py", "nn/recompute.py"}),
        ("bert", {"heads": 2}, 950, {"nn/bidirectional.py", "nn/mask.py", "nn/gelu.py"}),
        (
            "rnn",
            {"cell": "lstm"},
            680,
            {"nn/recurrent.py", "nn/fast/lstm_rows.py", "nn/fast/lstm_columns.py"},
        ),
    ],
)
def test_a_forward_pass_with_its_loss_can_be_read(
    name: str, settings: dict[str, Any], bound: int, kernels: set[str], small_store: Path
) -> None:
    passes = forward_and_loss(name, settings, TokenStore(small_store))
    assert KERNELS | kernels <= set().union(*passes), "fast forms are counted too"
    for files in passes:
        assert sum(files.values()) <= bound, f"{name}:\n{table(files)}"


def language_model(store: TokenStore) -> Trainer:
    recipe = read_recipe("gpt2", [f"{name}={value}" for name, value in TINY.items()] + ["heads=2"])
    kind: Any = recipe.family
    return trainer_of(recipe, kind.build(recipe.model, kind.vocabulary(store), 0), store, World())


def of_labeled(store: TokenStore) -> Trainer:
    """The smallest network on examples: all that runs is the trainer's."""

    def loss(network: torch.nn.Linear, examples: Sequence[float]) -> torch.Tensor:
        return network(torch.tensor(examples)[:, None]).square().sum()

    source = ExampleBatches(
        [0.5, 1.0, 2.0], lambda example: 1, lambda example: 1, by_length=True, rows=2, seed=0
    )
    return Trainer(TrainingConfig(), TaskModel(torch.nn.Linear(1, 1), loss), source, World(), all_used=False)


@pytest.mark.parametrize(
    ("trainer", "bound"),
    [
        (language_model, 300),
        (of_labeled, 300),
    ],
)
def test_a_step_of_training_on_one_device_can_be_read(
    trainer: Callable[[TokenStore], Any], bound: int, small_store: Path
) -> None:
    """What a step runs, but for the batch it is given, and the model's loss."""
    one = trainer(TokenStore(small_store))
    given = files_run(lambda: one.model.loss(one.source.batch(0)).backward())
    step = {path: lines for path, lines in files_run(one.step).items() if path not in given}
    assert sum(step.values()) <= bound, table(step)


def test_the_tracer_counts_whole_files_and_no_import(tmp_path: Path) -> None:
    from langue.base import seeds

    files = files_run(lambda: seeds.derive(0, "a"))
    assert files == {"base/seeds.py": len(Path(seeds.__file__).read_text("utf-8").splitlines())}
    assert files_run(lambda: sum([1, 2])) == {}
