"""Where a network looks: the weights of its heads, made once more beside a pass that keeps none."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from langue.base.arrays import Ids
from langue.nn.attention import Attention
from langue.nn.rope import rotate
from langue.nn.windowed import Windowed
from langue.protocols.explanation import AttentionExplanation


class Attended(Windowed):
    """A `Windowed` network that looks back by causal `Attention` alone."""

    @torch.inference_mode()
    def explain(self, context: Ids, id: int) -> AttentionExplanation:
        """Where each head of each layer looks when it predicts what comes after a context."""
        self.vocabulary.check(context, [id])
        read = np.r_[self.vocabulary.eos, np.asarray(context, np.int64)][self.window_start(len(context)) :]
        ids = torch.from_numpy(read)[None].to(self.device)
        with last_weights(self) as weights:
            self(ids, torch.arange(ids.shape[1], device=ids.device), "causal")
        return AttentionExplanation(read.astype(np.uint32), torch.stack(weights).float().cpu().numpy())


@contextmanager
def last_weights(network: torch.nn.Module) -> Iterator[list[torch.Tensor]]:
    """While it is open, a causal pass over one row adds the weights of its last position, `(H, T)`, of each
    layer in turn."""
    weights: list[torch.Tensor] = []

    def look(attention: Attention, inputs: tuple[Any, ...]) -> None:
        x, _, rope, *_ = inputs
        q, k, _ = attention.c_attn(x).split(attention.sizes, -1)
        q, k = (part.view(*x.shape[:2], -1, attention.D).transpose(1, 2) for part in (q, k))
        if attention.norms:
            q, k = attention.norms[0](q.float()), attention.norms[1](k.float())
        if rope is not None:
            q, k = rotate(q, rope), rotate(k, rope)
        k = k.repeat_interleave(q.shape[1] // k.shape[1], 1)
        scores = q[:, :, -1:].float() @ k.float().transpose(-2, -1) * attention.D**-0.5  # (1, H, 1, T)
        weights.append(scores.softmax(-1)[0, :, 0])

    hooks = [
        module.register_forward_pre_hook(look)
        for module in network.modules()
        if isinstance(module, Attention)
    ]
    try:
        yield weights
    finally:
        for hook in hooks:
            hook.remove()
