"""What a run by gradient promises: the same twice, and the best model seen."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from langue.models.folder import Loaded
from langue.tokens.batches import Batches
from langue.tokens.store import TokenStore


def weights(loaded: Loaded) -> dict[str, torch.Tensor]:
    model: Any = loaded.model
    return dict(model.state_dict())


def same(one: Loaded, other: Loaded) -> bool:
    return all(torch.equal(tensor, weights(other)[name]) for name, tensor in weights(one).items())


def test_same_seed_same_weights_to_the_bit(trained: Callable[..., Loaded]) -> None:
    settings = ("steps=12", "dropout=0.1")
    first = trained(*settings, name="first")
    assert same(first, trained(*settings, name="second"))
    assert not same(first, trained(*settings, "seed=1", name="third"))


def test_learns(trained: Callable[..., Loaded]) -> None:
    curve = trained("steps=60", "learning_rate=0.02").description["measured"]["validation"]
    assert curve[-1]["loss"] < 0.7 * curve[0]["loss"]


def test_the_model_kept_is_the_best_on_the_validation_split(
    trained: Callable[..., Loaded], store: TokenStore
) -> None:
    """A rate that grows far too high: the curve goes down and up, and its lowest point is what is saved."""
    loaded = trained("steps=30", "learning_rate=1.0", "evaluations=15", "warmup=1.0")
    losses = [point["loss"] for point in loaded.description["measured"]["validation"]]
    assert min(losses) < losses[-1]
    held_out = Batches(store.split("valid"), rows=1, context=16, eos=0, seed=0).first(512)
    model: Any = loaded.model
    with torch.no_grad():
        loss = float(model.loss(held_out)) / held_out.targets_count
    assert loss == pytest.approx(min(losses), abs=1e-5)
