"""The linear map y = x Wᵀ + b, of layers and as a function."""

import torch.nn.functional as F
from torch import Tensor, nn

from langue.nn.fast.choices import use_onednn_products
from langue.nn.fast.products import OneDNNLinear


class Linear(nn.Linear):
    """torch's layer, its parameters and their names; its products are those of `linear`."""

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`(…, inputs)` to `(…, outputs)` by a weight `(outputs, inputs)`; under autocast in its type."""
    if use_onednn_products(x, weight):
        return OneDNNLinear.of(x, weight, bias)
    return F.linear(x, weight, bias)
