"""What is made again for the gradient: the same bits, and not kept until then."""

import gc
import weakref
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from langue.nn.linear import Linear
from langue.nn.recompute import recomputed, recomputed_by_block


def gradients(run: Callable[[Tensor], Tensor], layer: nn.Module, x: Tensor) -> tuple[Tensor, ...]:
    y = run(x)
    return (y, *torch.autograd.grad(y.square().sum(), [x, *layer.parameters()]))


@pytest.mark.parametrize("shape", [(7, 12), (2, 5, 12)])
@pytest.mark.parametrize("half", [False, True], ids=["float32", "autocast"])
def test_the_bits_are_those_of_what_is_kept(shape: tuple[int, ...], half: bool) -> None:
    torch.manual_seed(0)
    layer, x = Linear(12, 9), torch.randn(shape, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        kept = gradients(lambda x: layer(torch.tanh(x)), layer, x)
        again = gradients(lambda x: recomputed(torch.tanh, x, layer), layer, x)
    assert all(map(torch.equal, kept, again))


@pytest.mark.parametrize("within", [False, True])
def test_it_is_made_twice_and_not_kept_unless_a_block_is(within: bool) -> None:
    layer, x = Linear(12, 9), torch.randn(7, 12, requires_grad=True)
    made: list[weakref.ref[Tensor]] = []

    def make(x: Tensor) -> Tensor:
        y = x * 2  # whose gradient needs no y
        made.append(weakref.ref(y))
        return y

    if within:
        with recomputed_by_block():
            y = recomputed(make, x, layer)
    else:
        y = recomputed(make, x, layer)
    gc.collect()
    assert len(made) == 1
    assert within or made[0]() is None
    y.sum().backward()
    assert len(made) == (1 if within else 2)
    torch.testing.assert_close(x.grad, 2 * layer.weight.sum(0).expand(7, 12))


def test_without_a_gradient_it_is_made_once() -> None:
    layer, calls = Linear(12, 9), []

    def make(x: Tensor) -> Tensor:
        calls.append(len(x))
        return x * 2

    with torch.no_grad():
        recomputed(make, torch.randn(7, 12), layer)
    frozen = layer.requires_grad_(False)
    recomputed(make, torch.randn(5, 12), frozen)
    assert calls == [7, 5]
