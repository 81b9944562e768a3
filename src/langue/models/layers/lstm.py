"""The LSTM step by step (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000).

The products of a row's steps that do not wait for one another are one matrix product, forward and
backward; only the recurrent ones go step by step. In bfloat16 on a CPU this is faster than torch's own
kernel (`benchmarks/lstm_training.py`), and the state can be set to zero in the middle of a row. In
float32 torch's kernel is at the machine's peak: use that.

    i, f, g, o = σ, σ, tanh, σ of  W_ih x_t + W_hh h_{t-1} + b
    c_t = f c_{t-1} + i g           h_t = o tanh(c_t)
"""

from typing import Any

import torch
from torch.autograd.function import once_differentiable


def lstm(
    x: torch.Tensor,
    h: torch.Tensor,
    c: torch.Tensor,
    keep: torch.Tensor | None,
    weight_ih: torch.Tensor,
    weight_hh: torch.Tensor,
    bias: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Read rows of T steps.

    Args:
        x: `(B, T, inputs)`. Its type is that of the products; sums over time are in float32 at least.
        h, c: the state before, `(B, C)` each.
        keep: `(T, B, 1)` in the type of x: 0 where the state is zeros before a step, 1 elsewhere. None: 1.
        weight_ih: `(4 C, inputs)`; weight_hh: `(4 C, C)`; bias: `(4 C,)`: gates in the order i, f, g, o.

    Returns:
        Hidden states `(B, T, C)` in the type of x, and h and c after the last step.
    """
    wide = torch.promote_types(x.dtype, torch.float32)
    h, c = h.to(wide), c.to(wide)
    weights = (weight.to(x.dtype) for weight in (weight_ih, weight_hh, bias))
    return _Steps.apply(x, h, c, keep, *weights)  # type: ignore[no-any-return, no-untyped-call]


class _Steps(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        h: torch.Tensor,
        c: torch.Tensor,
        keep: torch.Tensor | None,
        weight_ih: torch.Tensor,
        weight_hh: torch.Tensor,
        bias: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        (B, T, _), C = x.shape, h.shape[1]
        x = x.transpose(0, 1).reshape(T * B, -1)  # all rows of a step side by side
        read = torch.addmm(bias, x, weight_ih.T).view(T, B, 4 * C)
        gates = c.new_empty(T, B, 4, C)
        hs = torch.empty(T + 1, B, C, dtype=x.dtype, device=x.device)  # hs[t], cs[t]: before step t
        cs = c.new_empty(T + 1, B, C)
        hs[0], cs[0] = h, c
        for t in range(T):
            h, c = hs[t], cs[t]
            if keep is not None:
                h, c = h * keep[t], c * keep[t]
            gates[t] = torch.addmm(read[t], h, weight_hh.T).view(B, 4, C)
            gates[t, :, :2].sigmoid_()
            i, f, g, o = gates[t, :, 0], gates[t, :, 1], gates[t, :, 2].tanh_(), gates[t, :, 3].sigmoid_()
            torch.addcmul(i * g, f, c, out=cs[t + 1])
            torch.mul(o, cs[t + 1].tanh(), out=hs[t + 1])
        ctx.save_for_backward(x, keep, weight_ih, weight_hh, gates, hs, cs)
        return hs[1:].transpose(0, 1), hs[T].to(c.dtype), cs[T].clone()

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, dy: torch.Tensor, dh: torch.Tensor, dc: torch.Tensor
    ) -> tuple[torch.Tensor | None, ...]:
        x, keep, weight_ih, weight_hh, gates, hs, cs = ctx.saved_tensors
        T, B, _, C = gates.shape
        i, f, g, o = gates.unbind(2)
        before = (hs[:-1], cs[:-1]) if keep is None else (hs[:-1] * keep, cs[:-1] * keep)
        tanh_c = cs[1:].tanh()
        # What a gate's preactivation changes: i, f and g change c_t, o changes h_t; c_t changes h_t.
        into_c = torch.stack([g * i * (1 - i), before[1] * f * (1 - f), i * (1 - g * g)], 2)
        into_h = tanh_c * o * (1 - o)
        c_into_h = o * (1 - tanh_c * tanh_c)
        dy = dy.transpose(0, 1)
        d = torch.empty(T, B, 4, C, dtype=x.dtype, device=x.device)
        for t in reversed(range(T)):
            dh = dh + dy[t]
            dc = torch.addcmul(dc, dh, c_into_h[t])
            d[t, :, :3] = into_c[t] * dc[:, None]
            d[t, :, 3] = into_h[t] * dh
            dc = dc * f[t]
            dh = (d[t].view(B, 4 * C) @ weight_hh).to(dc.dtype)
            if keep is not None:
                dc, dh = dc * keep[t], dh * keep[t]
        d = d.view(T * B, 4 * C)
        dx = (d @ weight_ih).view(T, B, -1).transpose(0, 1)
        return dx, dh, dc, None, d.T @ x, d.T @ before[0].reshape(T * B, C), d.sum(0)
