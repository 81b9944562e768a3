"""The chunked cross-entropy in bfloat16; `tests/nn/test_cross_entropy.py` has it against the plain form."""

import pytest
import torch

from langue.nn.cross_entropy import linear_cross_entropy


@pytest.mark.parametrize("width", [32, 19])  # 19 is padded to 32
def test_autocast_changes_the_products_only(width: int) -> None:
    torch.manual_seed(0)
    hidden, weight = torch.randn(9, width, requires_grad=True), torch.randn(11, width, requires_grad=True)
    targets = torch.randint(11, (9,))
    exact = linear_cross_entropy(hidden, weight, targets)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = linear_cross_entropy(hidden, weight, targets)
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, exact, rtol=1e-2, atol=0)
    found, expected = (torch.autograd.grad(loss, [hidden, weight]) for loss in (rounded, exact))
    assert all(gradient.dtype == torch.float32 for gradient in found)
    torch.testing.assert_close(found, expected, rtol=0.1, atol=0.1)
