"""Probing: what a linear classifier reads off the frozen states of each layer (Alain and Bengio 2016).

The states of a text, averaged over its tokens, go to a logistic regression; of a pair, how its two texts
differ and agree, |u - v| and u * v (Conneau and Kiela 2018, SentEval), and their cosine, each of the three
with the same weight: hundreds of numbers for each of few labels hide the one that says most. Nothing of the
encoder is learned. Beside each layer stands the same of random weights: what of it is the probe's alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from langue.base.arrays import Float64Array, Int64Array
from langue.base.config import encode
from langue.base.errors import Unsupported
from langue.base.progress import bar
from langue.corpus.labeled import Example, read_labeled
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
from langue.tasks.retrieval.similarity import cosines
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


class ProbeData(NamedTuple):
    """What a probe learns from, and what it is measured on."""

    learned: list[Example]
    measured: list[Example]
    targets: Int64Array  # labels of those that are learned from, by number
    answers: Int64Array
    classes: int

    @classmethod
    def read(cls, train: Path, test: Path) -> "ProbeData":
        learned = read_labeled(train, texts=None)
        measured = read_labeled(test, texts=len(learned[0].texts))
        labels = sorted({example.label for example in learned})
        return cls(learned, measured, numbers(learned, labels), numbers(measured, labels), len(labels))


class Features(NamedTuple):
    """What a probe reads of each example: `(examples, width)`, in blocks of so many columns."""

    learned: Float64Array
    measured: Float64Array
    blocks: tuple[int, ...]

    def guesses(self, given: ProbeData, rows: Int64Array | slice = slice(None)) -> Int64Array:
        """The labels that are likeliest by a logistic regression on these rows of what is learned from."""
        table = self.learned[rows]
        mean, scale = table.mean(0), np.maximum(table.std(0), 1e-6)
        if len(self.blocks) > 1:  # the penalty is then the same on all of a block as on another
            scale *= np.sqrt(np.repeat(self.blocks, self.blocks))
        labels = given.targets[rows]
        weights = learn(Matrix.dense((table - mean) / scale), labels, given.classes, penalty=PENALTY)
        guesses: Int64Array = log_probs(Matrix.dense((self.measured - mean) / scale), weights).argmax(-1)
        return guesses


def probe(folder: ModelFolder[Masked], train: Path, test: Path) -> Probing:
    """Probe every layer of an encoder with labeled texts, or pairs of them.

    Raises:
        LangueError: a file is not of its format, or has a label that the training file has not.
        Unsupported: it is no encoder of langue's.
    """
    given = ProbeData.read(train, test)
    layers, random = (
        [share(layer.guesses(given) == given.answers) for layer in some] for some in both(folder, given)
    )
    baselines = {
        one.name: one.accuracy for one in measure_baselines(given.learned, given.measured, BASELINES)
    }
    return Probing(folder.path.name, layers, random, baselines, len(given.measured))


def both(folder: ModelFolder[Masked], given: ProbeData) -> tuple[list[Features], list[Features]]:
    """Of each layer, what an encoder makes of the examples, and what the same of random weights does.

    Raises:
        Unsupported: it is no encoder of langue's.
    """
    model = folder.model
    if not isinstance(model, MaskedModel):
        raise Unsupported(f"{folder.path} ({folder.family.name}) has no layers to look into")
    reader = Reader(model, folder.tokenizer, folder.normalization)
    config = encode(folder.config) | {"init_from": ""}
    untrained = build_encoder(folder.family.name, config, model.vocabulary, 0).to(model.device)
    learned, measured = (_read_apart(reader, some) for some in (given.learned, given.measured))
    told = []
    for some in (model, untrained):
        sides = (_features(some, learned), _features(some, measured))
        blocks = (model.width,) if len(learned) == 1 else (model.width, model.width, 1)
        told.append([Features(*tables, blocks) for tables in zip(*sides, strict=True)])
    return told[0], told[1]


def _read_apart(reader: Reader, examples: Sequence[Example]) -> list[list[Read]]:
    """The first texts of all examples, and of pairs the second ones, each by itself."""
    sides = range(len(examples[0].texts))
    return [reader.read([one._replace(texts=(one.texts[side],)) for one in examples]) for side in sides]


def _features(model: MaskedModel, sides: Sequence[Sequence[Read]]) -> list[Float64Array]:
    """Of each layer."""
    states = [layer_states(model, side) for side in sides]
    if len(states) == 1:
        return states[0]
    return [np.concatenate([np.abs(u - v), u * v, cosines(u, v)], 1) for u, v in zip(*states, strict=True)]


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
