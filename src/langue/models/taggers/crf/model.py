"""The CRF at work: tags, marginals, the n best, and what it has learned."""

import json
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from safetensors.numpy import save_file

from langue.base.arrays import Array, Float64Array, Floats
from langue.base.checked import ArraySpec, arrays_of, check, damaged, read_tensors
from langue.base.config import read_struct
from langue.corpus.schemes import Scheme
from langue.corpus.tagged import Sentence, groups
from langue.inference.chain import Chain
from langue.inference.maxproduct import n_best, viterbi
from langue.inference.sumproduct import log_partition, posteriors
from langue.models.taggers.crf.features import Extractor
from langue.models.taggers.crf.objective import Features, chain_of, score
from langue.models.taggers.crf.templates import parse
from langue.models.taggers.labels import Labels
from langue.protocols import Tagger, Weight

WEIGHTS = "weights.safetensors"
FEATURES = "features.json"
CHUNK_TOKENS = 1 << 15  # tokens tagged at a time: their scores stay in cache, and words are met again
MOST = 1e6  # of a weight: no sum of some is infinite
ARRAYS = {
    **arrays_of(Features),
    "theta": ArraySpec("float32", ("weights",), least=-MOST, most=MOST),
    # Of the extractor: the integers of its attributes, and where those of each template begin.
    "keys": ArraySpec("int64", ("attributes",)),
    "starts": ArraySpec("int64", ("templates + 1",), rising=True, first=0, last="attributes"),
    # Which labels may follow which, begin and end a sentence.
    "permitted": ArraySpec("bool", ("K", "K")),
    "start": ArraySpec("bool", ("K",)),
    "end": ArraySpec("bool", ("K",)),
}


class Table(msgspec.Struct):
    """What a folder says in words."""

    templates: tuple[str, ...]
    columns: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    labels: tuple[str, ...]
    scheme: Scheme | None
    encoding: Scheme | None
    values: dict[str, list[str]]  # of each part of a template, by number


class CRF(Tagger):
    """A `Tagger`.

    Args:
        theta: `(P + Q,)` weights, see `objective`.
        fixed: the scores of the constraints.
    """

    def __init__(
        self, extractor: Extractor, features: Features, theta: Array, labels: Labels, fixed: Chain
    ) -> None:
        self.extractor = extractor
        self.features = features
        self.theta = theta
        self.names = labels
        self.labels = labels.names
        self.outer = labels.outer()
        self.scheme = labels.scheme
        self.columns = extractor.columns
        self.chain = chain_of(features, theta, fixed)

    def tag(self, sentences: Sequence[Sentence]) -> list[tuple[str, ...]]:
        tagged = []
        for unary, offsets in self._score_groups(sentences):
            states = viterbi(self.chain, unary, offsets).states
            tagged += [
                self.names.tags(states[begin:end])
                for begin, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
            ]
        return tagged

    def marginals(self, sentences: Sequence[Sentence]) -> list[Floats]:
        probabilities: list[Floats] = []
        for unary, offsets in self._score_groups(sentences):
            probabilities += np.split(posteriors(self.chain, unary, offsets).states, offsets[1:-1])
        return probabilities

    def best(self, sentence: Sentence, n: int) -> list[tuple[float, tuple[str, ...]]]:
        ((unary, offsets),) = self._score_groups([sentence])
        log_z = float(log_partition(self.chain, unary, offsets)[0])

        def rank(n: int) -> list[tuple[float, Array]]:
            ranked = n_best(self.chain, unary, n)
            return list(zip((ranked.scores - log_z).tolist(), ranked.states, strict=True))

        return self.names.merge(rank, n, constraints=not np.isfinite(self.chain.transition).all())

    def strongest(self, top: int) -> list[Weight]:
        P = len(self.features.labels)
        owners = np.repeat(np.arange(len(self.extractor.keys)), np.diff(self.features.pointers))
        order = np.argsort(-np.abs(self.theta), kind="stable")[:top]
        return [Weight(float(self.theta[index]), *self._feature(int(index), P, owners)) for index in order]

    def _feature(self, index: int, P: int, owners: Array) -> tuple[str, str]:
        if index < P:
            return self.extractor.name(int(owners[index])), self.labels[self.features.labels[index]]
        before, after = self.features.transitions[index - P]
        return f"after {self.labels[before]}", self.labels[after]

    def size(self) -> dict[str, int]:
        return {"features": self.features.size, "attributes": len(self.extractor.keys)}

    def _score_groups(self, sentences: Sequence[Sentence]) -> Iterator[tuple[Float64Array, Array]]:
        """Unary scores and offsets of groups of sentences."""
        for group in groups(sentences, CHUNK_TOKENS):
            batch = self.extractor.extract(group)
            unary = np.empty((int(batch.offsets[-1]), len(self.labels)))
            yield score(batch, self.features, self.theta, unary), batch.offsets

    def save(self, folder: Path) -> None:
        arrays = {
            "keys": self.extractor.keys,
            "starts": self.extractor.starts,
            "pointers": self.features.pointers,
            "labels": self.features.labels,
            "transitions": self.features.transitions,
            "theta": self.theta,
            "start": np.isfinite(self.chain.start),
            "end": np.isfinite(self.chain.end),
            "permitted": np.isfinite(self.chain.transition),
        }
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / WEIGHTS)
        values = {name: values.names() for name, values in self.extractor.values.items()}
        table = Table(self.extractor.texts, self.columns, *self.names, values)
        text = json.dumps(msgspec.structs.asdict(table), ensure_ascii=False)
        (folder / FEATURES).write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "CRF":
        """Read a model folder.

        Raises:
            LangueError: the weights do not belong to the features, or are not what they must be.
        """
        table = read_struct(Table, folder / FEATURES)
        labels = Labels(table.labels, table.scheme, table.encoding)
        labels.check(folder / FEATURES)
        arrays = read_tensors(folder / WEIGHTS)
        count = len(parse(table.templates, table.columns))
        sizes = check(arrays, folder / WEIGHTS, ARRAYS, K=len(labels.names), templates=count)
        if len(arrays["theta"]) != sizes["P"] + sizes["Q"]:
            raise damaged(folder / WEIGHTS, "theta", "has not one weight for each of labels and transitions")
        permitted = [arrays[name] for name in ("permitted", "start", "end")]
        fixed = labels.chain(constraints=not all(map(np.all, permitted)))
        for name, one, own in zip(("permitted", "start", "end"), fixed, permitted, strict=True):
            if not np.array_equal(np.isfinite(one), own):
                raise damaged(folder / WEIGHTS, name, "is not what the labels permit")
        features = Features(*(arrays[name] for name in Features._fields))
        extractor = Extractor(table.templates, table.columns, table.values, arrays["keys"], arrays["starts"])
        for template, (begin, end) in zip(extractor.templates, pairwise(arrays["starts"]), strict=True):
            if arrays["keys"][begin:end].max(initial=0) >= extractor.combinations(template):
                raise damaged(folder / WEIGHTS, "keys", f"holds what is no value of {template}")
        return cls(extractor, features, arrays["theta"], labels, fixed)
