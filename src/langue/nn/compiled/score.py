"""Scores of given tokens by the compiled step."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from langue.base.arrays import Floats, Ids
from langue.base.parallel import parallel_map
from langue.nn.compiled.recurrent import CompiledRecurrent, by_steps
from langue.nn.compiled.transformer import CompiledCache, CompiledTransformer
from langue.nn.scores import Rule
from langue.protocols import Causal

LOG_PROBS = 1 << 22  # held at once by a thread: 16 MB
ROWS = 16  # texts side by side, whose steps are read at once


def window_scores(
    step: CompiledTransformer,
    inputs: Tensor,
    targets: Tensor,
    lengths: Sequence[int],
    rule: Rule,
    *,
    figures: int,
) -> Floats:
    """The figures of each target of rows `(B, T)`, `(figures, B, T)`; behind their lengths they are 0."""
    result = np.zeros((figures, *inputs.shape), np.float32)
    pieces = max(LOG_PROBS // step.shape.V, 1)

    def score(row: int) -> None:
        cache, room = CompiledCache(step, rows=1), step.room()
        for begin in range(0, lengths[row], pieces):
            at = np.arange(begin, min(begin + pieces, lengths[row]))
            log_probs = step.read(cache, room, inputs[row].numpy()[at], at * 0, at, at - begin)
            result[:, row, at] = _apply(rule, log_probs, targets[row, at])

    parallel_map(score, range(len(lengths)))
    return result


def decoder_scores(model: Causal, sequences: Sequence[Ids], rule: Rule, *, figures: int) -> list[Floats]:
    """The figures of each token of texts, `(figures, tokens)`, as their decoder predicts it."""
    result = [np.empty((figures, len(ids)), np.float32) for ids in sequences]
    pieces = max(LOG_PROBS // model.vocabulary.size, 1)

    def score(text: int) -> None:
        ids = sequences[text]
        decoder = model.decoder([ids[:0]])
        for begin in range(0, len(ids), pieces):
            targets = ids[begin : begin + pieces]
            before = decoder.log_probs()
            after = decoder.extend([targets], every=True)[0]
            log_probs = np.concatenate([before, after[:-1]])
            result[text][:, begin : begin + pieces] = _apply(
                rule, log_probs, torch.from_numpy(targets.astype(np.int64))
            )

    parallel_map(score, range(len(sequences)))
    return result


def stream_scores(
    network: CompiledRecurrent,
    inputs: Sequence[Ids],
    targets: Sequence[Ids],
    rule: Rule,
    *,
    figures: int,
) -> list[Floats]:
    """The figures of each target of texts, `(figures, tokens)`."""
    result = [np.empty((figures, len(ids)), np.float32) for ids in targets]
    order = sorted(range(len(inputs)), key=lambda index: -len(inputs[index]))

    def score(texts: Sequence[int]) -> None:
        state, room = network.start(len(texts)), network.room()
        steps = max(LOG_PROBS // network.head.V // len(texts), 1)
        for begin in range(0, len(inputs[texts[0]]), steps):
            tokens, rows = by_steps([inputs[text][begin : begin + steps] for text in texts])
            given, _ = by_steps([targets[text][begin : begin + steps] for text in texts])
            log_probs = network.head.log_probs(network.read(state, room, tokens, rows))
            scores = _apply(rule, log_probs, torch.from_numpy(given))
            for row, text in enumerate(texts):
                result[text][:, begin : begin + steps] = scores[:, rows == row]

    parallel_map(score, [order[begin : begin + ROWS] for begin in range(0, len(order), ROWS)])
    return list(result)


@torch.inference_mode()
def _apply(rule: Rule, log_probs: Floats, targets: Tensor) -> Any:
    """A rule takes logits: what sums to one is its own softmax."""
    return rule(torch.from_numpy(log_probs), targets).numpy()
