"""The LSTM (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000), as its formula says.

i, f, g, o = σ, σ, tanh, σ of  W_ih x_t + W_hh h_{t-1} + b
c_t = f c_{t-1} + i g           h_t = o tanh(c_t)
"""

import torch
from torch import Tensor


def lstm(
    x: Tensor,
    h: Tensor,
    c: Tensor,
    keep: Tensor | None,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Read rows of T steps.

    Args:
        x: `(B, T, inputs)`; h, c: the state before, `(B, C)` each.
        keep: `(T, B)`: false, or 0, where the state is zeros before a step. None: nowhere.
        weight_ih: `(4 C, inputs)`; weight_hh: `(4 C, C)`; bias: `(4 C,)`: gates in the order i, f, g, o.

    Returns:
        Hidden states `(B, T, C)`, and h and c after the last step.
    """
    hidden = []
    for t in range(x.shape[1]):
        if keep is not None:
            h, c = h * keep[t, :, None], c * keep[t, :, None]
        i, f, g, o = (x[:, t] @ weight_ih.T + h @ weight_hh.T + bias).chunk(4, -1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        hidden.append(h)
    return torch.stack(hidden, 1), h, c
