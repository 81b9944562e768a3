"""Epochs, rates, seeds and stops, on a model of one weight."""

import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from langue.base.errors import LangueError
from langue.tasks.learn import Learned, Problem, learn, spread, training_of
from langue.training.config import RunConfig
from langue.training.schedule import rate
from langue.training.world import World


class Settings(NamedTuple):
    epochs: int = 4
    batch_size: int = 8
    learning_rate: float = 0.1
    weight_decay: float = 0.0
    seeds: int = 2
    seed: int = 5
    patience: int = 0


class Scores(NamedTuple):
    figure: float
    examples: int


class Line(torch.nn.Module):
    """y = w x, which learns that w is 3, and is measured as it is told to be."""

    def __init__(self, scores: dict[int, list[float]], seed: int) -> None:
        super().__init__()
        self.w = torch.nn.Parameter(torch.tensor(0.0))
        self.scores, self.seed, self.epoch = scores, seed, 0


def problem(
    scores: dict[int, list[float]], before: Callable[[int], None] = lambda step: None
) -> Problem[float, Line]:
    steps = 0

    def loss(model: Line, examples: Sequence[float]) -> torch.Tensor:
        nonlocal steps
        steps += 1
        before(steps)
        x = torch.tensor(examples)
        return (model.w * x - 3 * x).square().sum()

    def metric(model: Line, examples: Sequence[float]) -> Scores:
        # Told by the weight, which grows with every step: so that the same weights get the same.
        known = model.scores[model.seed]
        seen = learned_by(model)
        return Scores(known[min(seen, len(known)) - 1], len(examples))

    def learned_by(model: Line) -> int:
        """Epochs: with plain steps of about 0.1, the weight tells."""
        order = seen_weights.setdefault(model.seed, [])
        weight = float(model.w.detach())
        if weight not in order:
            order.append(weight)
        return order.index(weight) + 1

    seen_weights: dict[int, list[float]] = {}
    return Problem(
        build=lambda seed: Line(scores, seed),
        loss=loss,
        metric=metric,
        figure="figure",
        targets=lambda example: 1,
        tokens=lambda example: 1,
        training=[0.1 * n for n in range(20)],
        validation=[1.0, 2.0],
    )


def run(
    problem: Problem[float, Line], folder: Path, *, resume: bool = False, **settings: Any
) -> Learned[Line]:
    return learn(problem, Settings(**settings), RunConfig(), folder, World(), resume=resume)


def test_the_best_epoch_and_the_best_seed_are_kept(tmp_path: Path) -> None:
    learned = run(problem({5: [0.3, 0.7, 0.6, 0.7], 6: [0.1, 0.2, 0.5, 0.65]}), tmp_path)
    assert learned.model is not None and learned.model.seed == 5 and not learned.model.training
    assert (learned.best, learned.interrupted) == (0, False)
    assert [(seed.seed, seed.epoch, seed.valid.figure) for seed in learned.seeds] == [
        (5, 2, 0.7),
        (6, 4, 0.65),
    ]
    assert [point["figure"] for point in learned.seeds[0].ledger["validation"]] == [0.3, 0.7, 0.6, 0.7]
    assert learned.seeds[0].ledger["steps"] == 12


def stop_at(step: int) -> Callable[[int], None]:
    return lambda now: signal.raise_signal(signal.SIGINT) if now == step else None


def test_a_stop_keeps_what_there_is(tmp_path: Path) -> None:
    scores = {5: [0.3, 0.7, 0.6], 6: [0.9]}
    learned = run(problem(scores, stop_at(8)), tmp_path / "one", seeds=2)  # in the third epoch
    assert learned.interrupted and [seed.epoch for seed in learned.seeds] == [2]
    nothing = run(problem(scores, stop_at(2)), tmp_path / "two")
    assert nothing.interrupted and nothing.model is None and nothing.seeds == []
    second = run(problem(scores | {5: [0.1, 0.2, 0.3, 0.4]}, stop_at(13)), tmp_path / "three")
    assert second.interrupted and [seed.seed for seed in second.seeds] == [5]


@pytest.fixture(autouse=True)
def folders(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()


@pytest.mark.parametrize("step", [2, 7, 12, 13, 20])
def test_a_run_that_was_stopped_goes_on_to_the_same_weights(tmp_path: Path, step: int) -> None:
    scores = {5: [0.3, 0.7, 0.8, 0.5], 6: [0.4, 0.75, 0.6, 0.9]}
    straight = run(problem(scores), tmp_path / "one")
    # One problem, so that its scores know the epochs that came before the stop.
    stopping = problem(scores, stop_at(step))
    assert run(stopping, tmp_path / "two").interrupted
    resumed = run(stopping, tmp_path / "two", resume=True)
    assert straight.model is not None and resumed.model is not None
    assert torch.equal(straight.model.w, resumed.model.w)
    for one, other in zip(straight.seeds, resumed.seeds, strict=True):
        assert one[:3] == other[:3]
        curves = [[point["figure"] for point in seed.ledger["validation"]] for seed in (one, other)]
        assert curves[0] == curves[1]


def test_a_loss_that_is_no_number_is_told(tmp_path: Path) -> None:
    broken = problem({5: [0.1]})
    broken = Problem(**{**vars(broken), "loss": lambda model, examples: model.w * float("nan")})
    with pytest.raises(LangueError, match=r"the loss is nan at step 0\. Try a lower learning_rate"):
        run(broken, tmp_path)


def test_the_recipe_is_that_of_the_paper() -> None:
    config = training_of(Settings(), RunConfig(precision="float32", keep_run=True), 7)
    assert (config.optimizer, config.beta2, config.clip, config.seed) == ("adamw", 0.999, 1.0, 7)
    assert (config.epochs, config.evaluations) == (4, 4)
    assert (config.precision, config.keep_run) == ("float32", True)
    rates = [rate(config, progress) for progress in (0.05, 0.1, 0.55, 1.0)]
    assert rates == pytest.approx([0.05, 0.1, 0.05, 0.0])


def test_the_spread_of_seeds() -> None:
    assert spread([0.5]).split() == ["50.00%"]
    assert spread([0.4, 0.6]).split() == ["50.00%", "±", "14.14%"]
