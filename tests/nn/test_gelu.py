"""GELU as a sigmoid against torch's, its derivative by double precision, and where it is taken."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from langue.nn.fast.choices import MANY, use_sigmoid_gelu
from langue.nn.fast.gelu import CHUNK, SigmoidGELU
from langue.nn.gelu import gelu

gelu_tanh = partial(gelu, approximate="tanh")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_values_and_gradients_are_about_as_near_to_double_precision_as_torchs(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = torch.cat([3 * torch.randn(CHUNK + 7), torch.tensor([0.0, -0.0, 1e-30, 30, -30, 1e4, -1e4])]).to(
        dtype
    )
    dy = torch.randn(len(x)).to(dtype)

    def values(make: Callable[[Tensor], Tensor], x: Tensor) -> list[Tensor]:
        y = make(x.requires_grad_())
        return [y.detach(), *torch.autograd.grad(y, x, dy.to(x.dtype))]

    plain = partial(F.gelu, approximate="tanh")
    right = values(plain, x.detach().double())
    for ours, torchs, exact in zip(values(gelu_tanh, x), values(plain, x), right, strict=True):
        assert ours.dtype == dtype
        error, allowed = ((one.double() - exact).abs() for one in (ours, torchs))
        assert error.max() <= 6 * allowed.max() and error.mean() <= 3 * allowed.mean()


def test_any_shape_and_layout() -> None:
    x = torch.randn(3, 40, 600).transpose(0, 1)[:, :, 44:].requires_grad_()
    y = SigmoidGELU.of(x)
    torch.testing.assert_close(y, F.gelu(x, approximate="tanh"))
    dy = torch.randn(40, 1, 556).expand(40, 3, 556)
    ours, right = (torch.autograd.grad(one, x, dy)[0] for one in (y, F.gelu(x, approximate="tanh")))
    torch.testing.assert_close(ours, right)


def test_few_numbers_and_other_types_are_torchs() -> None:
    x = torch.ones(MANY)
    assert use_sigmoid_gelu(x) and use_sigmoid_gelu(x.bfloat16())
    assert not (use_sigmoid_gelu(x[1:]) or use_sigmoid_gelu(x.double()) or use_sigmoid_gelu(x.half()))
    few = torch.randn(8)
    assert torch.equal(gelu(few, "tanh"), F.gelu(few, approximate="tanh"))
    many = torch.randn(MANY)
    assert torch.equal(gelu(many), F.gelu(many))
