"""Epochs, batches, rates and seeds, on a model of one weight."""

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from langue.base.errors import LangueError
from langue.tasks.epochs import POOL, Problem, SeedResult, batches, every_seed, held_out, spread, train_epochs


class LoopSettings(NamedTuple):
    epochs: int = 4
    batch: int = 8
    learning_rate: float = 0.1
    weight_decay: float = 0.0
    seeds: int = 2
    seed: int = 5


@pytest.mark.parametrize("examples", [1, 7, 64, 1000])
@pytest.mark.parametrize("by_length", [False, True])
def test_every_example_once_an_epoch_in_another_order(examples: int, by_length: bool) -> None:
    lengths = np.random.default_rng(0).integers(1, 50, examples).tolist() if by_length else []
    first, again, second = (batches(examples, 8, lengths, 3, epoch) for epoch in (1, 1, 2))
    assert sorted(np.concatenate(first).tolist()) == list(range(examples))
    assert [part.tolist() for part in first] == [part.tolist() for part in again]
    assert len(first) == len(second)
    assert max(len(part) for part in first) <= 8
    if examples > 8:
        assert [part.tolist() for part in first] != [part.tolist() for part in second]


def test_batches_by_length_hold_examples_of_like_length() -> None:
    lengths = np.random.default_rng(0).integers(1, 100, 8 * POOL * 3).tolist()

    def steps(found: list[Any]) -> int:
        return sum(max(lengths[index] for index in part) for part in found)

    by_length = batches(len(lengths), 8, lengths, 0, 1)
    assert steps(by_length) < 0.7 * steps(batches(len(lengths), 8, [], 0, 1))
    assert len({max(lengths[index] for index in part) // 10 for part in by_length[:20]}) > 3  # not in order


def problem(scores: list[float], stop_at: int = 0) -> tuple[Problem[float], list[int]]:
    """A model whose weight counts the epochs, measured as it is told."""
    model = torch.nn.Linear(1, 1, bias=False)
    steps: list[int] = []

    def loss(chosen: Any) -> torch.Tensor:
        steps.append(len(chosen))
        if len(steps) == stop_at:
            raise KeyboardInterrupt
        return (model.weight * 0).sum()

    def measure() -> float:
        model.weight.data += 1
        return scores.pop(0)

    model.weight.data.zero_()
    return Problem(model, 20, loss, measure, lambda score: score), steps


def test_the_best_epoch_is_kept() -> None:
    made, steps = problem([0.3, 0.7, 0.6, 0.7])
    assert train_epochs(made, LoopSettings(), 0) == SeedResult(0.7, 2, False)
    assert float(made.model.weight.detach()) == 2
    assert not made.model.training
    assert len(steps) == 12


def test_ctrl_c_keeps_what_there_is() -> None:
    made, _ = problem([0.3, 0.7], stop_at=8)  # in the third epoch
    assert train_epochs(made, LoopSettings(), 0) == SeedResult(0.7, 2, True)
    assert float(made.model.weight.detach()) == 2
    with pytest.raises(KeyboardInterrupt):
        train_epochs(problem([], stop_at=2)[0], LoopSettings(), 0)


def test_seeds_run_one_after_the_other_until_one_is_stopped() -> None:
    ran = []

    def run(seed: int) -> tuple[SeedResult[float], int]:
        ran.append(seed)
        if len(ran) == stop_at:
            raise KeyboardInterrupt
        return SeedResult(0.5, 1, False), seed

    stop_at = 0
    assert [seed for _, seed in every_seed(run, LoopSettings())] == [5, 6]
    ran.clear()
    stop_at = 2
    assert every_seed(run, LoopSettings()) == [(SeedResult(0.5, 1, True), 5)]
    ran.clear()
    stop_at = 1
    with pytest.raises(KeyboardInterrupt):
        every_seed(run, LoopSettings())


def test_a_loss_that_is_no_number_is_told() -> None:
    made, _ = problem([0.1])
    with pytest.raises(LangueError, match="lower learning_rate"):
        train_epochs(made._replace(loss=lambda chosen: torch.tensor(torch.nan)), LoopSettings(), 0)


def test_what_is_held_out_depends_on_the_text_alone() -> None:
    examples = [(f"text {number % 300}", number) for number in range(600)]
    kept, out = held_out(examples, lambda example: example[:1], "file")
    assert 10 < len(out) < 100
    assert sorted(kept + out) == sorted(examples)
    assert not {text for text, _ in kept} & {text for text, _ in out}
    assert held_out(kept + out, lambda example: example[:1], "file") == (
        [example for example in kept + out if example in kept],
        [example for example in kept + out if example in out],
    )
    with pytest.raises(LangueError, match="file has too few examples"):
        held_out(examples[:1], lambda example: example[:1], "file")
    assert spread([0.5]).strip() == "50.00%"
    assert "±" in spread([0.5, 0.6])
