"""Linear maps by oneDNN against the plain ones, and where each is taken."""

import pytest
import torch
from torch import Tensor, nn

from langue.nn.fast import choices, products
from langue.nn.fast.choices import LARGE, use_onednn_products
from langue.nn.fast.products import ROWS, SUMMED, outer
from langue.nn.linear import Linear, linear


@pytest.fixture
def onednn(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """oneDNN multiplies, however small; the shapes that it was given."""
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        pytest.skip("this torch is built without oneDNN")
    seen: list[tuple[int, ...]] = []
    plain = products.times

    def times(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
        seen.append((*a.shape, len(b)))
        return plain(a, b, bias)

    monkeypatch.setattr(choices, "LARGE", 0)
    monkeypatch.setattr(choices, "onednn_is_faster", lambda: True)
    monkeypatch.setattr(products, "times", times)
    return seen


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(7, 12), (2, 5, 12), (1, 12)])
def test_values_and_gradients_are_those_of_torch(
    bias: bool, shape: tuple[int, ...], onednn: list[tuple[int, ...]]
) -> None:
    torch.manual_seed(0)
    ours, theirs = Linear(12, 9, bias), nn.Linear(12, 9, bias)
    theirs.load_state_dict(ours.state_dict())
    x, dy = torch.randn(shape, requires_grad=True), torch.randn(*shape[:-1], 9)
    wanted, found = (
        (y := layer(x), *torch.autograd.grad(y, [x, *layer.parameters()], dy)) for layer in (theirs, ours)
    )
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    assert len(onednn) == 3  # forward, the gradient of x and of the weight


def test_slices_and_transposes_are_read_as_they_lie(onednn: list[tuple[int, ...]]) -> None:
    torch.manual_seed(0)
    whole, weight = torch.randn(6, 20), torch.randn(8, 5)
    x, turned = whole[:, 3:11], weight.T  # (6, 8) of rows of 20; (5, 8) by columns
    torch.testing.assert_close(linear(x, turned), x @ turned.T, rtol=1e-5, atol=1e-5)
    assert onednn == [(6, 8, 5)]


@pytest.mark.parametrize(("inputs", "outputs"), [(5, 9), (9, 5), (3072, 7), (7, 3072), (3072, 3072)])
def test_the_gradient_of_a_weight_is_a_sum_over_pieces_of_rows(
    inputs: int, outputs: int, onednn: list[tuple[int, ...]]
) -> None:
    torch.manual_seed(0)
    rows = 3 * ROWS + 3
    dy, x = torch.randn(rows, outputs), torch.randn(rows, inputs)
    gradient = outer(dy, x)
    torch.testing.assert_close(gradient, dy.T @ x, rtol=1e-4, atol=1e-3)
    assert gradient.is_contiguous()
    assert len(onednn) == (1 if inputs * outputs > SUMMED else 3)


def test_a_slice_of_a_weight_is_copied(onednn: list[tuple[int, ...]]) -> None:
    """oneDNN takes seconds for a millisecond where neither rows nor columns lie one after another."""
    torch.manual_seed(0)
    whole, x = torch.randn(20, 30), torch.randn(6, 8)
    for weight in (whole[:9, 3:11], whole[:16, 3:11][::2], whole[3:11, :9].T):
        torch.testing.assert_close(linear(x, weight), x @ weight.T, rtol=1e-5, atol=1e-5)
    assert len(onednn) == 3


def test_no_gradient_is_made_that_nobody_wants(onednn: list[tuple[int, ...]]) -> None:
    layer = Linear(12, 9).requires_grad_(False)
    (gradient,) = torch.autograd.grad(layer(x := torch.randn(4, 12, requires_grad=True)).sum(), x)
    torch.testing.assert_close(gradient, layer.weight.sum(0).expand(4, 12), rtol=1e-5, atol=1e-5)
    assert len(onednn) == 2


def test_what_is_small_half_or_on_another_machine_is_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choices, "onednn_is_faster", lambda: True)
    rows, weight = LARGE >> 14, torch.ones(1 << 7, 1 << 7)
    x = torch.ones(rows, 1 << 7)
    assert use_onednn_products(x, weight)
    assert not use_onednn_products(x[:-1], weight)
    assert not use_onednn_products(x.double(), weight.double())
    with torch.autocast("cpu", torch.bfloat16):
        assert not use_onednn_products(x, weight)
    monkeypatch.setattr(choices, "onednn_is_faster", lambda: False)
    assert not use_onednn_products(x, weight)
