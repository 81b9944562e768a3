"""The chunked cross-entropy against PyTorch's on whole logits: value and every gradient."""

import pytest
import torch
import torch.nn.functional as F

from langue.nn.fast import choices, cross_entropy
from langue.nn.fast.cross_entropy import head_cross_entropy


@pytest.mark.parametrize("rows", [5, 8, 21])
@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("z_loss", [0.0, 0.1])
def test_equals_the_loss_on_whole_logits(
    monkeypatch: pytest.MonkeyPatch, rows: int, with_bias: bool, z_loss: float
) -> None:
    monkeypatch.setattr(cross_entropy, "CHUNK", 8 * 11)
    monkeypatch.setattr(choices, "CACHED", 3 * 11)
    torch.manual_seed(0)
    hidden, weight, bias = (torch.randn(*shape, requires_grad=True) for shape in ((rows, 6), (11, 6), (11,)))
    targets = torch.randint(11, (rows,))
    given = [hidden, weight, bias] if with_bias else [hidden, weight]
    logits = hidden @ weight.T + (bias if with_bias else 0)
    whole = F.cross_entropy(logits, targets, reduction="sum")
    found = head_cross_entropy(hidden, weight, targets, bias if with_bias else None, z_loss)
    expected = whole + z_loss * logits.logsumexp(-1).square().sum()
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        torch.autograd.grad(3 * found, given), torch.autograd.grad(3 * expected, given), rtol=1e-4, atol=1e-5
    )
    with torch.no_grad():  # what is measured holds no penalty
        measured = head_cross_entropy(hidden, weight, targets, bias if with_bias else None, z_loss)
        torch.testing.assert_close(measured, whole)


@pytest.mark.parametrize("width", [32, 19])  # 19 is filled up to 32
def test_autocast_changes_the_products_only(width: int) -> None:
    torch.manual_seed(0)
    hidden, weight = torch.randn(9, width, requires_grad=True), torch.randn(11, width, requires_grad=True)
    targets = torch.randint(11, (9,))
    exact = head_cross_entropy(hidden, weight, targets)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = head_cross_entropy(hidden, weight, targets)
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, exact, rtol=1e-2, atol=0)
    found, expected = (torch.autograd.grad(loss, [hidden, weight]) for loss in (rounded, exact))
    assert all(gradient.dtype == torch.float32 for gradient in found)
    torch.testing.assert_close(found, expected, rtol=0.1, atol=0.1)
