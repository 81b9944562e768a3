"""No product in a type that the machine is slow in: every operation of every family is watched.

A machine without fast bfloat16 is played by `machine_class`; a step of training, an evaluation, a generation
and a fine-tuning then make no tensor of 16 bits at all, which is more than asked.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.compat import figures
from tests.compat.test_compat import DATA, EXPECTED, copied
from tests.tasks.test_span import questions, write
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import langue
from langue.models.registry import MODULES
from langue.nn import precision
from langue.nn.machine_class import MachineClass
from langue.training import parameters

# Recipes and models of an earlier version have its names.
pytestmark = pytest.mark.filterwarnings("ignore::langue.base.deprecated.RenamedWarning")

HALVES = (torch.bfloat16, torch.float16)
TRAINED = [
    "gpt2", "gpt2-later", "rnn", "rnn-elman", "rnn-gru", "charcnn", "nplm", "neural-hmm", "transformer",
    "bert", "bert-disentangled", "albert", "pair", "bert2bert", "rnn-tagger",
]  # fmt: skip
FINETUNED = ["classifier", "encoder-tagger"]
WITHOUT_TENSORS = {
    "ngram", "class-ngram", "markov", "infinigram", "mixture", "loglinear", "hmm", "hmm-tagger", "crf",
    "ranker",
}  # fmt: skip


class Watch(TorchDispatchMode):
    """Every operation, of the backward pass too, that reads or makes a tensor of 16 bits."""

    def __init__(self) -> None:
        super().__init__()
        self.halves: set[str] = set()
        self.count = 0

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = operation(*args, **(kwargs or {}))
        self.count += 1
        for one in tree_leaves((args, kwargs, result)):
            if isinstance(one, torch.Tensor) and one.dtype in HALVES:
                self.halves.add(str(operation))
        return result


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[MachineClass], None]]:
    """Plays a machine of a class."""

    def play(played: MachineClass) -> None:
        monkeypatch.setattr(precision, "machine_class", lambda device: played)

    play(MachineClass.AVX2)
    return play


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in figures.STARTED_FROM:
        copied(name, tmp_path)
    return tmp_path


def step_of(name: str, data: Path, **settings: Any) -> Watch:
    """Watch a model being trained for two steps, or an epoch where that is the unit."""
    short: dict[str, Any] = {"steps": 2, "evaluations": 1}
    if name.startswith("rnn-tagger"):
        short = {"epochs": 1, "seeds": 1}
    with Watch() as watch:
        recipe, on = DATA / "recipes" / f"{name}.toml", DATA / EXPECTED["models"][name]["on"]
        langue.train(recipe, on, data / "model", **short, **settings)
    return watch


def test_every_family_is_watched() -> None:
    watched = {EXPECTED["models"][name]["family"] for name in (*TRAINED, *FINETUNED)} | WITHOUT_TENSORS
    assert {figures.RENAMED.get(name, name) for name in watched} | {"span"} == set(MODULES)


@pytest.mark.parametrize("name", TRAINED)
def test_a_step_of_training(name: str, data: Path, machine: Any) -> None:
    watch = step_of(name, data)
    assert not watch.halves and watch.count


@pytest.mark.parametrize("name", FINETUNED)
def test_fine_tuning(name: str, data: Path, machine: Any) -> None:
    with Watch() as watch:
        task, on = ("classify", "topics.tsv") if name == "classifier" else ("tag", "characters.jsonl")
        langue.finetune(
            "models/bert", DATA / "texts" / on, data / "model", task=task, epochs=1, seeds=1, batch_size=32
        )
    assert not watch.halves and watch.count


def test_spans(data: Path, machine: Any) -> None:
    on = write(data / "questions.json", questions(40, 0))
    with Watch() as watch:
        langue.finetune("models/bert", on, data / "model", task="span", epochs=1, seeds=1, batch_size=32)
        langue.evaluate(data / "model", on)
    assert not watch.halves and watch.count


@pytest.mark.parametrize("name", [*TRAINED, *FINETUNED])
def test_an_evaluation_and_a_generation(name: str, data: Path, machine: Any) -> None:
    """Of log-probabilities, a split or labeled file, continuations, gaps, tags and classes."""
    path, on = data / "models" / name, EXPECTED["models"][name]["on"]
    with Watch() as watch:
        figures.of_model(path if path.exists() else copied(f"models/{name}", data), DATA / on)
    assert not watch.halves and watch.count


def test_a_watch_sees_what_is_fast_elsewhere(data: Path, machine: Any) -> None:
    """Products in bfloat16 where they are fast, those of Muon too; none where float32 is asked for."""
    machine(MachineClass.AMX)
    assert any("baddbmm" in operation for operation in step_of("gpt2-later", data).halves)
    assert not step_of("gpt2-later", data, precision="float32", overwrite=True).halves


@pytest.mark.parametrize("name", ["gpt2-later", "rnn"])
def test_a_type_that_is_slow_here_is_not_taken(
    name: str, data: Path, machine: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Though a recipe from elsewhere asks for it: oneDNN has no LSTM in it at all on such a machine."""
    assert not step_of(name, data, precision="bfloat16").halves
    assert "bfloat16 is not fast on this machine (AVX2): products are made in float32" in caplog.text


def test_a_watch_sees_the_muon_of_torch(data: Path, machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def of_torch(matrices: Any, *, weight_decay: float, dtype: torch.dtype) -> torch.optim.Optimizer:
        return torch.optim.Muon(matrices, weight_decay=weight_decay)

    monkeypatch.setattr(parameters, "Muon", of_torch)
    assert any("mm" in operation for operation in step_of("gpt2-later", data).halves)
