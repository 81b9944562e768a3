"""Learning rates and budgets at the points that can be said in advance."""

from typing import Any

import pytest

from langue.base.config import decode
from langue.base.errors import LangueError
from langue.training.config import TrainingConfig
from langue.training.schedule import Budget, rate


def config(**settings: Any) -> TrainingConfig:
    return TrainingConfig(learning_rate=1.0, warmup=0.1, min_lr_ratio=0.2, decay=0.5, **settings)


@pytest.mark.parametrize(
    ("schedule", "points"),
    [
        ("cosine", {0.05: 0.5, 0.1: 1.0, 0.55: 0.6, 1.0: 0.2}),
        ("linear", {0.05: 0.5, 0.1: 1.0, 0.55: 0.6, 1.0: 0.2}),
        ("wsd", {0.05: 0.5, 0.1: 1.0, 0.5: 1.0, 0.75: 0.6, 1.0: 0.2}),
        ("constant", {0.05: 0.5, 0.1: 1.0, 0.9: 1.0, 1.0: 1.0}),
    ],
)
def test_schedules(schedule: Any, points: dict[float, float]) -> None:
    for share, expected in points.items():
        assert rate(config(schedule=schedule), share) == pytest.approx(expected)


def test_no_warmup_begins_at_the_top_and_the_first_step_learns_something() -> None:
    assert rate(TrainingConfig(learning_rate=1.0, warmup=0.0), 0.0) == 1.0
    assert rate(config(), 0.0) > 0


@pytest.mark.parametrize(
    ("settings", "share"),
    [
        ({"steps": 8, "tokens": 1}, 0.5),
        ({"tokens": 1600}, 0.25),
        ({"epochs": 0.5}, 0.8),
        ({"minutes": 2}, 0.25),
        ({}, 30 / 180),
    ],
)
def test_budgets(settings: dict[str, Any], share: float) -> None:
    assert Budget(TrainingConfig(**settings), 100, 10).progress(4, 30.0) == pytest.approx(share)


def test_muon_is_not_cut_up() -> None:
    with pytest.raises(LangueError, match="training: muon needs whole matrices"):
        decode(TrainingConfig, {"fsdp": True, "optimizer": "muon"}, "training")
