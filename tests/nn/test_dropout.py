"""Dropout: how much is dropped, what happens to the rest, and when nothing happens."""

import pytest
import torch

from langue.nn import dropout
from langue.nn.dropout import Dropout, drop
from langue.nn.fast.choices import use_bit_dropout


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_drops_its_share_and_keeps_the_mean(share: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    n = 400_000
    y = drop(torch.ones(n, dtype=dtype), share).float()
    spread = (share * (1 - share) / n) ** 0.5
    assert abs((y == 0).float().mean() - share) < 4 * spread + 1 / (1 << 16)
    torch.testing.assert_close(y[y > 0], torch.full_like(y[y > 0], 1 / (1 - share)), rtol=5e-3, atol=0)


def test_places_are_dropped_each_by_itself() -> None:
    torch.manual_seed(0)
    dropped = drop(torch.ones(1000, 997), 0.3) == 0
    for of in (dropped.float().mean(0), dropped.float().mean(1)):  # no row, no column more than others
        assert of.std() < 1.2 * (0.3 * 0.7 / 1000) ** 0.5
    together = (dropped[:, 1:] & dropped[:, :-1]).float().mean()
    assert abs(together - 0.09) < 0.002


def test_the_gradient_passes_where_the_value_does() -> None:
    torch.manual_seed(0)
    x = torch.randn(7, 5, requires_grad=True)
    y = drop(x, 0.4)
    torch.testing.assert_close(torch.autograd.grad(y.sum(), x)[0], (y / x).detach())


def test_the_seed_decides() -> None:
    x = torch.ones(100)
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(drop(x, 0.5))
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


def test_the_plain_and_the_fast_form_are_one_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    """By either, the same number of places is dropped and what is left is scaled alike; bits differ."""
    torch.manual_seed(0)
    x = torch.rand(500_000) + 0.5
    fast = drop(x, 0.25)
    monkeypatch.setattr(dropout, "use_bit_dropout", lambda x: False)
    plain = drop(x, 0.25)
    assert not torch.equal(fast, plain)
    for y in (fast, plain):
        torch.testing.assert_close(y[y > 0], x[y > 0] / 0.75)
        assert abs((y == 0).float().mean() - 0.25) < 4 * (0.25 * 0.75 / len(x)) ** 0.5


def test_torchs_own_runs_where_a_graph_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    assert use_bit_dropout(torch.ones(1))
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert not use_bit_dropout(torch.ones(1))
    assert not use_bit_dropout(torch.ones(1, device="meta"))


def test_nothing_is_dropped_but_in_training() -> None:
    x, layer = torch.randn(9), Dropout(0.5)
    assert layer.eval()(x) is x
    assert drop(x, 0.0) is x
    assert not torch.equal(layer.train()(x), x)
    assert drop(torch.ones(0, 3), 0.5).shape == (0, 3)
