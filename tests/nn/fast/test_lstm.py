"""The fast LSTMs against the formula and torch's kernel, and its gradient against differences."""

from collections.abc import Callable

import pytest
import torch

from langue.nn.fast import choices, lstm_rows
from langue.nn.fast.lstm_columns import ColumnsLSTM
from langue.nn.fast.lstm_rows import RowsLSTM
from langue.nn.lstm import lstm
from langue.nn.recurrent import Recurrent

both = pytest.mark.parametrize("fast_lstm", [RowsLSTM.apply, ColumnsLSTM.apply], ids=["rows", "columns"])
FastLSTM = Callable[..., tuple[torch.Tensor, ...]]

B, T, INPUTS, C = 3, 6, 4, 5


@pytest.fixture
def given() -> list[torch.Tensor]:
    """x, h, c, weight_ih, weight_hh, bias."""
    torch.manual_seed(0)
    shapes = [(B, T, INPUTS), (B, C), (B, C), (4 * C, INPUTS), (4 * C, C), (4 * C,)]
    return [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]


def of_torch(
    x: torch.Tensor, h: torch.Tensor, c: torch.Tensor, *weights: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    packed = [*weights, torch.zeros_like(weights[-1])]
    y, h, c = torch.lstm(x, (h[None], c[None]), packed, True, 1, 0.0, True, False, True)
    return y, h[0], c[0]


@both
def test_equals_torch_forward_and_backward(given: list[torch.Tensor], fast_lstm: FastLSTM) -> None:
    x, h, c, *weights = given
    ours, theirs = fast_lstm(x, h, c, None, *weights), of_torch(x, h, c, *weights)
    torch.testing.assert_close(ours, theirs)
    into = [torch.randn_like(part) for part in ours]
    torch.testing.assert_close(
        torch.autograd.grad(ours, given, into), torch.autograd.grad(theirs, given, into)
    )


@both
@pytest.mark.parametrize("documents", [False, True])
def test_equals_the_formula_forward_and_backward(
    given: list[torch.Tensor], documents: bool, fast_lstm: FastLSTM
) -> None:
    x, h, c, *weights = given
    keep = torch.rand(T, B) < 0.6 if documents else None
    fast, plain = fast_lstm(x, h, c, keep, *weights), lstm(x, h, c, keep, *weights)
    torch.testing.assert_close(fast, plain)
    into = [torch.randn_like(part) for part in plain]
    torch.testing.assert_close(
        torch.autograd.grad(fast, given, into), torch.autograd.grad(plain, given, into)
    )


@both
def test_gradient_equals_differences_where_the_state_is_reset(
    given: list[torch.Tensor], fast_lstm: FastLSTM
) -> None:
    keep = torch.ones(T, B, dtype=torch.float64)
    keep[0, 1] = keep[2, 0] = keep[5, 2] = 0
    x, h, c, *weights = given
    assert torch.autograd.gradcheck(
        lambda x, h, c, *weights: fast_lstm(x, h, c, keep, *weights), (x, h, c, *weights)
    )


@pytest.mark.parametrize("documents", [False, True])
@pytest.mark.parametrize("width", [32, 27])  # 27 is padded to 32
def test_a_stack_in_bfloat16_is_near_the_kernel_in_float32(documents: bool, width: int) -> None:
    torch.manual_seed(0)
    stack = Recurrent("lstm", layers=2, inputs=16, width=width, dropout=0.0)
    for parameter in stack.parameters():
        torch.nn.init.uniform_(parameter, -0.2, 0.2)
    x, state = torch.randn(4, 12, 16), torch.randn(2, 2, 4, width)
    begins = torch.rand(4, 12) < 0.2 if documents else None  # by `RowsLSTM` where there are any
    expected, expected_after = stack(x, state, begins)
    expected.square().sum().backward()
    gradients = [parameter.grad.clone() for parameter in stack.parameters() if parameter.grad is not None]
    stack.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        y, after = stack(x, state, begins)
    assert y.dtype == torch.bfloat16  # `ColumnsLSTM`, not torch's kernel: it alone is asked for it
    y.float().square().sum().backward()
    torch.testing.assert_close(y.float(), expected, atol=0.02, rtol=0.05)
    torch.testing.assert_close(after, expected_after, atol=0.02, rtol=0.05)
    for parameter, gradient in zip(stack.parameters(), gradients, strict=True):
        assert parameter.grad is not None
        assert (parameter.grad - gradient).norm() < 0.03 * gradient.norm()


@pytest.mark.parametrize("documents", [False, True])
def test_rows_by_onednn_equal_the_formula(
    given: list[torch.Tensor], documents: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All products of a row by oneDNN, those of its steps too."""
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        pytest.skip("this torch is built without oneDNN")
    steps, times = [], lstm_rows.times
    monkeypatch.setattr(choices, "LARGE", 0)
    monkeypatch.setattr(choices, "onednn_is_faster", lambda: True)
    monkeypatch.setattr(lstm_rows, "times", lambda a, b: steps.append(a.shape) or times(a, b))
    single = [part.detach().float().requires_grad_() for part in given]
    x, h, c, *weights = single
    keep = torch.rand(T, B) < 0.6 if documents else None
    fast, plain = RowsLSTM.apply(x, h, c, keep, *weights), lstm(x, h, c, keep, *weights)
    torch.testing.assert_close(fast, plain)
    into = [torch.randn_like(part) for part in plain]
    found, wanted = (torch.autograd.grad(made, single, into) for made in (fast, plain))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    assert len(steps) == 2 * T
