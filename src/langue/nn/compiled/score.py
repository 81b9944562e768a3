"""Scores of given tokens by the compiled step."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from langue.base.arrays import Floats
from langue.base.parallel import parallel_map
from langue.nn.compiled.decoder import compiled
from langue.nn.scores import Rule

LOG_PROBS = 1 << 22  # held at once by a thread: 16 MB


def token_scores(
    model: Any, inputs: Tensor, targets: Tensor, lengths: Sequence[int], rule: Rule, *, figures: int
) -> Floats:
    """The figures of each target of rows `(B, T)`, `(figures, B, T)`; behind their lengths they are 0."""
    step = compiled(model)
    result = np.zeros((figures, *inputs.shape), np.float32)
    pieces = max(LOG_PROBS // step.shape.V, 1)

    def score(row: int) -> None:
        cache, room = step.cache(1), step.room()
        for begin in range(0, lengths[row], pieces):
            at = np.arange(begin, min(begin + pieces, lengths[row]))
            log_probs = step.read(cache, room, inputs[row].numpy()[at], at * 0, at, at - begin)
            # A rule takes logits: what sums to one is its own softmax.
            with torch.inference_mode():
                scores = rule(torch.from_numpy(log_probs), targets[row, at])
            result[:, row, at] = scores.numpy()

    parallel_map(score, range(len(lengths)))
    return result
