"""The LSTM of `nn/lstm.py` step by step, with a backward pass of its own: in bfloat16 on a CPU.

As `lstm_rows.py`, but rows of the batch are columns here, `(C, B)`: a product then has the recurrent matrix
on its left, where it is read as it lies. On the right it is laid out anew in bfloat16 for each of T steps,
half of their time (`benchmarks/lstm_training.py`); in float32 it is not, and is 1.5 times as fast there.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from langue.nn.fast.choices import pad_to, padded_width


class ColumnsLSTM(torch.autograd.Function):
    """`lstm` of `nn/lstm.py`, of the same arguments; h and c in float32 at least.

    The type of x is that of the products and of the hidden states; sums over time are in that of the state.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        h: Tensor,
        c: Tensor,
        keep: Tensor | None,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        (B, T, N), width = x.shape, h.shape[1]
        # Units and inputs are padded with some that stay 0: they read nothing and tell nothing.
        C, E, half = padded_width(width, x), padded_width(N, x), x.dtype
        keep = None if keep is None else keep.to(half)
        x = pad_to(x.transpose(0, 1), T, B, E, dtype=half).reshape(T * B, E)
        weight_ih = pad_to(weight_ih.view(4, width, N), 4, C, E, dtype=half).view(4 * C, E)
        weight_hh = pad_to(weight_hh.view(4, width, width), 4, C, C, dtype=half).view(4 * C, C)
        bias = pad_to(bias.view(4, width), 4, C, dtype=half).view(4 * C, 1)
        read = torch.addmm(bias, weight_ih, x.T).view(4 * C, T, B).transpose(0, 1).contiguous()
        gates = c.new_empty(T, 4, C, B)
        hs = torch.empty(T + 1, C, B, dtype=half, device=x.device)  # hs[t], cs[t]: before step t
        cs = c.new_empty(T + 1, C, B)
        hs[0], cs[0] = (pad_to(part.T, C, B, dtype=part.dtype) for part in (h, c))
        for t in range(T):
            h, c = hs[t], cs[t]
            if keep is not None:
                h, c = h * keep[t], c * keep[t]
            gates[t] = torch.addmm(read[t], weight_hh, h).view(4, C, B)
            gates[t, :2].sigmoid_()
            i, f, g, o = gates[t, 0], gates[t, 1], gates[t, 2].tanh_(), gates[t, 3].sigmoid_()
            torch.addcmul(i * g, f, c, out=cs[t + 1])
            torch.mul(o, cs[t + 1].tanh(), out=hs[t + 1])
        ctx.save_for_backward(x, keep, weight_ih, weight_hh, gates, hs, cs)
        ctx.inputs = N
        y = hs[1:, :width].permute(2, 0, 1).contiguous()
        return y, hs[T, :width].T.to(c.dtype), cs[T, :width].T.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor, dh: Tensor, dc: Tensor) -> tuple[Tensor | None, ...]:
        x, keep, weight_ih, weight_hh, gates, hs, cs = ctx.saved_tensors
        (T, _, C, B), (width, N) = gates.shape, (dh.shape[1], ctx.inputs)
        i, f, g, o = gates.unbind(1)
        before = (hs[:-1], cs[:-1]) if keep is None else (hs[:-1] * keep[:, None], cs[:-1] * keep[:, None])
        tanh_c = cs[1:].tanh()
        # What a gate's preactivation changes: i, f and g change c_t, o changes h_t; c_t changes h_t.
        into_c = torch.stack([g * i * (1 - i), before[1] * f * (1 - f), i * (1 - g * g)], 1)
        into_h = tanh_c * o * (1 - o)
        c_into_h = o * (1 - tanh_c * tanh_c)
        dy = pad_to(dy.permute(1, 2, 0), T, C, B, dtype=x.dtype).contiguous()
        dh, dc = (pad_to(part.T, C, B, dtype=part.dtype) for part in (dh, dc))
        back = weight_hh.T.contiguous()  # (C, 4 C)
        d = torch.empty(T, 4, C, B, dtype=x.dtype, device=x.device)
        for t in reversed(range(T)):
            dh = dh + dy[t]
            dc = torch.addcmul(dc, dh, c_into_h[t])
            d[t, :3] = into_c[t] * dc
            d[t, 3] = into_h[t] * dh
            dc = dc * f[t]
            dh = (back @ d[t].view(4 * C, B)).to(dc.dtype)
            if keep is not None:
                dc, dh = dc * keep[t], dh * keep[t]
        d = d.view(T, 4 * C, B).transpose(0, 1).reshape(4 * C, T * B)
        h = before[0].transpose(1, 2).reshape(T * B, C)
        dx = (d.T @ weight_ih).view(T, B, -1)[..., :N].transpose(0, 1)
        d_ih, d_hh, d_bias = (
            part.view(4, C, -1)[:, :width, :columns].reshape(4 * width, columns).to(dc.dtype)
            for part, columns in ((d @ x, N), (d @ h, width), (d.sum(1), 1))
        )
        return dx, dh[:width].T, dc[:width].T, None, d_ih, d_hh, d_bias.view(-1)
