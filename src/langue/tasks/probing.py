"""Probing: what a linear classifier reads off the frozen states of each layer (Alain and Bengio 2016).

The states of a text, averaged over its tokens, go to a logistic regression; nothing of the encoder is
learned. Beside each layer stands the same of random weights: what of it is the probe's alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from langue.base.arrays import BoolArray, Float64Array, Int64Array
from langue.base.config import encode
from langue.base.errors import Unsupported
from langue.base.progress import bar
from langue.corpus.labeled import read_labeled
from langue.evaluation.bootstrap import Ratio
from langue.models.encoders.base import MaskedModel
from langue.models.encoders.bert import PostNorm
from langue.models.encoders.build import build_encoder
from langue.models.encoders.classifier import CHUNK_EXAMPLES
from langue.models.folder import ModelFolder
from langue.protocols import Masked
from langue.tasks.baselines.baselines import measure_baselines, percent, share
from langue.tasks.baselines.logistic import learn, log_probs
from langue.tasks.baselines.ngrams import Matrix
from langue.tasks.classification import Read, Reader, numbers
from langue.tokens.masked import pack_examples

PENALTY = 1.0  # of weights on states that have been standardized
BASELINES = ("majority", "words")


@dataclass(frozen=True)
class Probing:
    """Shares of right answers from the states of each layer; the first are the embeddings."""

    name: str
    layers: list[Ratio]
    random: list[Ratio]  # of the same network without what it learned
    baselines: dict[str, Ratio]
    examples: int
    passed: bool = True  # it has no self-tests

    def to_json(self) -> dict[str, Any]:
        return {
            "model": self.name,
            "layers": [one.to_json() for one in self.layers],
            "random": [one.to_json() for one in self.random],
            "baselines": {name: one.to_json() for name, one in self.baselines.items()},
            "examples": self.examples,
        }

    def __str__(self) -> str:
        lines = [f"accuracy of a linear probe on {self.examples:,} examples, and from random weights"]
        for number, (one, other) in enumerate(zip(self.layers, self.random, strict=True)):
            title = f"layer {number}" if number else "embeddings"
            lines.append(f"{title:12} {percent(one)}   {other.value:.2%}")
        lines += [f"{name:12} {percent(one)}" for name, one in self.baselines.items()]
        return "\n".join(lines)


def probe(folder: ModelFolder[Masked], train: Path, test: Path) -> Probing:
    """Probe every layer of an encoder with labeled texts.

    Raises:
        LangueError: a file is not of its format, or has a label that the training file has not.
        Unsupported: it is no encoder of langue's.
    """
    model = folder.model
    if not isinstance(model, MaskedModel):
        raise Unsupported(f"{folder.path} ({folder.family.name}) has no layers to look into")
    learned, measured = (read_labeled(path, texts=1) for path in (train, test))
    labels = sorted({example.label for example in learned})
    targets, answers = (numbers(some, labels) for some in (learned, measured))
    reader = Reader(model, folder.tokenizer, folder.normalization)
    read = reader.read(learned), reader.read(measured)
    config = encode(folder.config) | {"init_from": ""}
    untrained = build_encoder(folder.family.name, config, model.vocabulary, 0).to(model.device)
    layers, random = (_right(some, read, targets, answers, len(labels)) for some in (model, untrained))
    baselines = {one.name: one.accuracy for one in measure_baselines(learned, measured, BASELINES)}
    return Probing(
        folder.path.name,
        [share(right) for right in layers],
        [share(right) for right in random],
        baselines,
        len(measured),
    )


def _right(
    model: MaskedModel,
    read: tuple[Sequence[Read], Sequence[Read]],
    targets: Int64Array,
    answers: Int64Array,
    classes: int,
) -> list[BoolArray]:
    """Of each layer, which answers are right."""
    of_train, of_test = (layer_states(model, some) for some in read)
    right = []
    for train, test in zip(of_train, of_test, strict=True):
        mean, scale = train.mean(0), np.maximum(train.std(0), 1e-6)
        weights = learn(_dense((train - mean) / scale), targets, classes, penalty=PENALTY)
        right.append(log_probs(_dense((test - mean) / scale), weights).argmax(-1) == answers)
    return right


def _dense(table: Float64Array) -> Matrix:
    """A table, and the bias behind it, as sparse rows that lack nothing."""
    rows, width = table.shape[0], table.shape[1] + 1
    values = np.concatenate([table, np.ones((rows, 1))], 1).ravel()
    return Matrix(np.arange(rows + 1) * width, np.tile(np.arange(width), rows), values, width)


@torch.no_grad()
def layer_states(model: MaskedModel, read: Sequence[Read]) -> list[Float64Array]:
    """Mean states of texts behind the embeddings and behind each layer: `(texts, C)` each."""
    model.eval()
    seen: list[torch.Tensor] = []

    def look(layer: nn.Module, given: tuple[Any, ...], states: torch.Tensor) -> None:
        if not seen:
            seen.append(given[0])
        seen.append(states)

    layers = [part for part in model.modules() if isinstance(part, PostNorm)]
    handles = [layer.register_forward_hook(look) for layer in layers]
    parts: list[list[Float64Array]] = []
    try:
        with bar("reading", len(read)) as shown:
            for first in range(0, len(read), CHUNK_EXAMPLES):
                some = read[first : first + CHUNK_EXAMPLES]
                batch = pack_examples(some, model.window)
                seen.clear()
                model.read(batch)
                owner, indices = model.marked(batch.segments)
                counts = owner.bincount()[:, None]
                parts.append([_means(states, owner, indices, counts) for states in seen])
                shown.advance(len(some))
    finally:
        for handle in handles:
            handle.remove()
    return [np.concatenate(layer) for layer in zip(*parts, strict=True)]


def _means(
    states: torch.Tensor, owner: torch.Tensor, indices: torch.Tensor, counts: torch.Tensor
) -> Float64Array:
    tokens = states.flatten(0, 1)[indices].double()
    sums = tokens.new_zeros(len(counts), tokens.shape[1]).index_add(0, owner, tokens)
    return (sums / counts).cpu().numpy()
