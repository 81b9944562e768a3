"""The plain cross-entropy against sums over rows, and the fast form against it: values and every gradient."""

import pytest
import torch
from torch import Tensor

from langue.nn import cross_entropy as plain
from langue.nn.cross_entropy import cross_entropy, linear_cross_entropy
from langue.nn.fast import choices


def drawn(rows: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Hidden states, weight, bias, targets of 11 tokens."""
    torch.manual_seed(0)
    hidden, weight, bias = (torch.randn(*shape, requires_grad=True) for shape in ((rows, 6), (11, 6), (11,)))
    return hidden, weight, bias, torch.randint(11, (rows,))


@pytest.mark.parametrize("z_loss", [0.0, 0.1])
def test_the_plain_form_is_the_formula(z_loss: float) -> None:
    hidden, weight, bias, targets = drawn(5)
    expected = 0.0
    for h, target in zip(hidden.tolist(), targets.tolist(), strict=True):
        logits = weight.detach() @ torch.tensor(h) + bias.detach()
        log_z = float(logits.exp().sum().log())
        expected += log_z - float(logits[target]) + z_loss * log_z**2
    loss = cross_entropy(hidden, weight, targets, bias, z_loss).detach()
    assert float(loss) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("rows", [0, 5, 8, 21])
@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("z_loss", [0.0, 0.1])
def test_the_fast_form_is_the_plain_one(
    monkeypatch: pytest.MonkeyPatch, rows: int, with_bias: bool, z_loss: float
) -> None:
    monkeypatch.setattr(choices, "CHUNK_LOGITS", 8 * 11)
    monkeypatch.setattr(choices, "CACHED", 3 * 11)
    hidden, weight, some, targets = drawn(rows)
    bias = some if with_bias else None
    given = [hidden, weight, some] if with_bias else [hidden, weight]
    fast = linear_cross_entropy(hidden, weight, targets, bias, z_loss)
    expected = cross_entropy(hidden, weight, targets, bias, z_loss)
    torch.testing.assert_close(fast, expected)
    torch.testing.assert_close(
        torch.autograd.grad(3 * fast, given), torch.autograd.grad(3 * expected, given), rtol=1e-4, atol=1e-5
    )


def test_the_choice_is_made_by_whether_a_gradient_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one it is the plain form, a chunk of the logits at a time, and holds no penalty."""
    monkeypatch.setattr(choices, "CHUNK_LOGITS", 8 * 11)
    hidden, weight, bias, targets = drawn(21)
    chunks: list[int] = []

    def counting(part: Tensor, *rest: Tensor) -> Tensor:
        chunks.append(len(part))
        return cross_entropy(part, *rest)

    monkeypatch.setattr(plain, "cross_entropy", counting)
    linear_cross_entropy(hidden, weight, targets, bias)
    assert chunks == []
    with torch.no_grad():
        measured = linear_cross_entropy(hidden, weight, targets, bias, 0.1)
    assert chunks == [8, 8, 5]
    torch.testing.assert_close(measured, cross_entropy(hidden, weight, targets, bias).detach())
