"""Where a network looks: the weights of its heads, made once more beside a pass that keeps none."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

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
        with last_weights(self, Attention, own_weights) as weights:
            self(ids, torch.arange(ids.shape[1], device=ids.device), "causal")
        return explanation_of(read, weights)


def weights_of(queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    """The weights `(H, S)` of the last of some queries `(1, H, T, D)` on keys `(1, G, S, D)`."""
    keys = keys.repeat_interleave(queries.shape[1] // keys.shape[1], 1)
    scores = queries[:, :, -1:].float() @ keys.float().transpose(-2, -1) * queries.shape[-1] ** -0.5
    return scores.softmax(-1)[0, :, 0]


def own_weights(
    attention: Attention, x: torch.Tensor, mask: Any, rope: Any = None, *rest: Any
) -> torch.Tensor:
    """Those `(H, T)` of the last position in one row that attends causally to itself."""
    q, k, _ = attention.c_attn(x).split(attention.sizes, -1)
    q, k = (part.view(*x.shape[:2], -1, attention.D).transpose(1, 2) for part in (q, k))
    if attention.norms:
        q, k = attention.norms[0](q.float()), attention.norms[1](k.float())
    if rope is not None:
        q, k = rotate(q, rope), rotate(k, rope)
    return weights_of(q, k)


M = TypeVar("M", bound=torch.nn.Module)


@contextmanager
def last_weights(
    network: torch.nn.Module, kind: type[M], weights: Callable[..., torch.Tensor]
) -> Iterator[list[torch.Tensor]]:
    """While it is open, a pass over one row adds the weights of its last position, of each layer in turn.

    Args:
        kind: of the modules that attend.
        weights: what they are, called with such a module and its inputs.
    """
    seen: list[torch.Tensor] = []

    def look(module: torch.nn.Module, inputs: tuple[Any, ...]) -> None:
        seen.append(weights(module, *inputs))

    hooks = [
        module.register_forward_pre_hook(look) for module in network.modules() if isinstance(module, kind)
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def explanation_of(ids: Ids, weights: list[torch.Tensor]) -> AttentionExplanation:
    """Of ids `(T,)` that were read, and the weights `(H, T)` of each layer."""
    return AttentionExplanation(np.asarray(ids, np.uint32), torch.stack(weights).float().cpu().numpy())
