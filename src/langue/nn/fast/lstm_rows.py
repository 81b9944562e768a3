"""The LSTM of `nn/lstm.py` step by step, with a backward pass of its own: in float32 on a CPU.

The products of a row's steps that do not wait for one another are one matrix product, forward and
backward; only the recurrent ones go step by step, and the state can be set to zero in the middle of a row.
torch's kernel is at the machine's peak in float32, but wants documents that begin within a row packed, and
takes 1.4 times as long for a packed batch. This keeps to the peak (`benchmarks/lstm_training.py`). Where
oneDNN multiplies what a row has, it does what a step has: of one shape, which it has seen after one.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from langue.nn.fast.choices import REGISTER, pad_to, use_onednn_products
from langue.nn.fast.products import outer, product, times


class RowsLSTM(torch.autograd.Function):
    """`lstm` of `nn/lstm.py`, of the same arguments, all of one type."""

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
        (B, T, N), C = x.shape, h.shape[1]
        keep = None if keep is None else keep.to(x.dtype)[..., None]
        x = x.transpose(0, 1).reshape(T * B, N)
        by_onednn = use_onednn_products(x, weight_ih)
        gates = product(x, weight_ih, bias).view(T, B, 4 * C)
        hs, cs = x.new_empty(T + 1, B, C), x.new_empty(T + 1, B, C)  # hs[t], cs[t]: before step t
        tanh_cs = x.new_empty(T, B, C)  # after it
        hs[0], cs[0] = h, c
        across = weight_hh.T.contiguous()
        for t in range(T):
            h, c = hs[t], cs[t]
            if keep is not None:
                h, c = h * keep[t], c * keep[t]
            gates[t].add_(times(h, across.T)) if by_onednn else gates[t].addmm_(h, across)
            i, f, g, o = gates[t].chunk(4, -1)
            gates[t, :, : 2 * C].sigmoid_()
            torch.addcmul(i * g.tanh_(), f, c, out=cs[t + 1])
            torch.mul(o.sigmoid_(), torch.tanh(cs[t + 1], out=tanh_cs[t]), out=hs[t + 1])
        ctx.save_for_backward(x, keep, weight_ih, weight_hh, gates, hs, cs, tanh_cs)
        ctx.by_onednn = by_onednn
        return hs[1:].transpose(0, 1).contiguous(), hs[T].clone(), cs[T].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor, dh: Tensor, dc: Tensor) -> tuple[Tensor | None, ...]:
        x, keep, weight_ih, weight_hh, gates, hs, cs, tanh_cs = ctx.saved_tensors
        T, B, C = gates.shape[0], *dh.shape
        h, c = (hs[:-1], cs[:-1]) if keep is None else (hs[:-1] * keep, cs[:-1] * keep)
        i, f, g, o = gates.chunk(4, -1)
        # What a gate's preactivation changes: i, f and g change c_t, o changes h_t; c_t changes h_t.
        d = torch.empty_like(gates)
        d_i, d_f, d_g, d_o = d.chunk(4, -1)
        torch.mul(g * i, 1 - i, out=d_i)
        torch.mul(c * f, 1 - f, out=d_f)
        torch.mul(i, 1 - g * g, out=d_g)
        torch.mul(tanh_cs * o, 1 - o, out=d_o)
        c_into_h = o * (1 - tanh_cs * tanh_cs)
        dy = dy.transpose(0, 1)
        # Outputs that do not fill a register take oneDNN a fifth longer: of 650, 656 are made.
        across = pad_to(weight_hh, 4 * C, -(-C // REGISTER) * REGISTER, dtype=x.dtype).T
        for t in reversed(range(T)):
            dh = dh + dy[t]
            dc = torch.addcmul(dc, dh, c_into_h[t])
            d[t].view(B, 4, C)[:, :3] *= dc[:, None]
            d_o[t] *= dh
            dc = dc * f[t]
            dh = times(d[t], across)[:, :C] if ctx.by_onednn else d[t] @ weight_hh
            if keep is not None:
                dc, dh = dc * keep[t], dh * keep[t]
        d = d.view(T * B, 4 * C)
        dx = product(d, weight_ih.T).view(T, B, -1).transpose(0, 1)
        h = h.reshape(T * B, C)
        return dx, dh, dc, None, outer(d, x), outer(d, h), d.sum(0)
