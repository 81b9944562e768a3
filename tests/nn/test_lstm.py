"""The formula of the LSTM against torch's cell, and where it is what runs."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from langue.nn import recurrent
from langue.nn.fast.choices import lstm_kernel
from langue.nn.lstm import lstm

B, T, INPUTS, C = 3, 5, 4, 6


def test_each_step_is_torchs_cell() -> None:
    torch.manual_seed(0)
    cell = nn.LSTMCell(INPUTS, C)
    x, h, c = torch.randn(B, T, INPUTS), torch.randn(B, C), torch.randn(B, C)
    keep = torch.rand(T, B) < 0.7
    bias = cell.bias_ih + cell.bias_hh
    y, *after = lstm(x, h, c, keep, cell.weight_ih, cell.weight_hh, bias)
    for t in range(T):
        h, c = cell(x[:, t], (h * keep[t, :, None], c * keep[t, :, None]))
        torch.testing.assert_close(y[:, t], h)
    torch.testing.assert_close(after, [h, c])


def test_every_kernel_has_its_case() -> None:
    one, several = torch.zeros(B, 1, INPUTS), torch.zeros(B, T, INPUTS)
    assert lstm_kernel(one, False) == lstm_kernel(several, False) == "torch"
    assert lstm_kernel(several, True) == "rows"
    with torch.autocast("cpu", torch.bfloat16):
        assert lstm_kernel(one, False) == lstm_kernel(several, True) == "columns"
    with torch.no_grad():
        assert lstm_kernel(several, False) == lstm_kernel(several, True) == "torch"
        assert lstm_kernel(one, False) == "plain"
        with torch.autocast("cpu", torch.bfloat16):
            assert lstm_kernel(one, False) == "torch"


@pytest.mark.parametrize("begins", [None, torch.tensor([[True], [False], [True]])])
def test_a_step_of_a_stack_is_the_same_by_the_formula_and_by_torch(
    monkeypatch: pytest.MonkeyPatch, begins: torch.Tensor | None
) -> None:
    torch.manual_seed(0)
    stack = recurrent.Recurrent("lstm", layers=2, inputs=INPUTS, width=C, dropout=0.0)
    for parameter in stack.parameters():
        nn.init.uniform_(parameter, -0.5, 0.5)
    x, state = torch.randn(B, 1, INPUTS), torch.randn(2, 2, B, C)
    used: list[str] = []

    def counting(*given: torch.Tensor) -> object:
        used.append("plain")
        return lstm(*given)

    monkeypatch.setattr(recurrent, "lstm", counting)
    run: Callable[[], object] = torch.no_grad()(lambda: stack(x, state, begins))
    plain = run()
    assert used == ["plain", "plain"]
    monkeypatch.setattr(recurrent, "lstm_kernel", lambda x, resets: "torch")
    torch.testing.assert_close(plain, run())
    assert used == ["plain", "plain"]
