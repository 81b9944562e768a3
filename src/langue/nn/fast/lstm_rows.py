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
        h_t, c_t, tanh_c_t = hs.unbind(), cs.unbind(), tanh_cs.unbind()
        both = gates[..., : 2 * C].unbind()  # i and f
        for t, (gate, i, f, g, o) in enumerate(zip(gates, *gates.chunk(4, -1), strict=True)):
            h, c = h_t[t], c_t[t]
            if keep is not None:
                h, c = h * keep[t], c * keep[t]
            gate.add_(times(h, across.T)) if by_onednn else gate.addmm_(h, across)
            both[t].sigmoid_()
            torch.addcmul(i * g.tanh_(), f, c, out=c_t[t + 1])
            torch.mul(o.sigmoid_(), torch.tanh(c_t[t + 1], out=tanh_c_t[t]), out=h_t[t + 1])
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
        by_sigmoid, by_tanh = torch.ops.aten.sigmoid_backward, torch.ops.aten.tanh_backward
        by_sigmoid.grad_input(g, i, grad_input=d_i)
        by_sigmoid.grad_input(c, f, grad_input=d_f)
        by_tanh.grad_input(i, g, grad_input=d_g)
        by_sigmoid.grad_input(tanh_cs, o, grad_input=d_o)
        c_into_h = by_tanh(o, tanh_cs)
        dy = dy.transpose(0, 1)
        if ctx.by_onednn:  # outputs that do not fill a register take it a fifth longer: of 650, 656 are made
            across = pad_to(weight_hh, 4 * C, -(-C // REGISTER) * REGISTER, dtype=x.dtype).T
        d_t, d_o_t, of_c = d.unbind(), d_o.unbind(), d.view(T, B, 4, C)[:, :, :3].unbind()  # i, f and g
        f_t, dy_t, c_into_h_t = f.unbind(), dy.unbind(), c_into_h.unbind()
        for t in reversed(range(T)):
            dh = dh + dy_t[t]
            dc = torch.addcmul(dc, dh, c_into_h_t[t])
            of_c[t].mul_(dc[:, None])
            d_o_t[t].mul_(dh)
            dc = dc * f_t[t]
            dh = times(d_t[t], across)[:, :C] if ctx.by_onednn else d_t[t] @ weight_hh
            if keep is not None:
                dc, dh = dc * keep[t], dh * keep[t]
        d = d.view(T * B, 4 * C)
        dx = product(d, weight_ih.T).view(T, B, -1).transpose(0, 1)
        h = h.reshape(T * B, C)
        return dx, dh, dc, None, outer(d, x), outer(d, h), d.sum(0)
