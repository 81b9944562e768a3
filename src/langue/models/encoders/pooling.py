"""The states of a text as one vector, where the gradient goes back through it."""

from typing import Literal

import torch

from langue.models.encoders.base import MaskedModel, marked_positions
from langue.tokens.masked_batch import MaskedBatch

Pooling = Literal["cls", "mean"]


def pooled(encoder: MaskedModel, batch: MaskedBatch, pooling: Pooling) -> torch.Tensor:
    """Vectors of packed examples, in the order of their numbers: `(examples, C)`.

    Args:
        pooling: "cls": the states of `[CLS]`; "mean": the means of all tokens, `[CLS]` and `[SEP]` too.
    """
    if pooling == "cls":
        numbers, _ = encoder.marked(batch.pairs)
        return encoder.read(batch, marked_positions(batch.pairs))[numbers.argsort()]
    owner, indices = encoder.marked(batch.segments)
    states = encoder.read(batch).flatten(0, 1)[indices].float()  # (tokens, C)
    counts = owner.bincount()
    return states.new_zeros(len(counts), encoder.width).index_add(0, owner, states) / counts[:, None]
