"""The CRF at work: tags, marginals, the n best, and what it has learned."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from langue.base.arrays import Array, Float64Array, Floats
from langue.base.errors import LangueError
from langue.base.files import read_json
from langue.corpus.tagged import Sentence, groups
from langue.inference.chain import Chain
from langue.inference.maxproduct import n_best, viterbi
from langue.inference.sumproduct import log_partition, posteriors
from langue.models.taggers.crf.features import Extractor
from langue.models.taggers.crf.objective import Features, chain_of, score
from langue.models.taggers.labels import Labels
from langue.protocols import Tagger, Weight

WEIGHTS = "weights.safetensors"
FEATURES = "features.json"
CHUNK_TOKENS = 1 << 15  # tokens tagged at a time: their scores stay in cache, and words are met again


class CRF(Tagger):
    """A `Tagger`.

    Args:
        theta: `(P + Q,)` weights, see `objective`.
        fixed: the scores of the constraints.
    """

    interrupted = False  # whether Ctrl-C ended its training early

    def __init__(
        self, extractor: Extractor, features: Features, theta: Array, labels: Labels, fixed: Chain
    ) -> None:
        self.extractor = extractor
        self.features = features
        self.theta = theta
        self.names = labels
        self.labels = labels.names
        self.columns = extractor.columns
        self.chain = chain_of(features, theta, fixed)

    def tag(self, sentences: Sequence[Sentence]) -> list[tuple[str, ...]]:
        found = []
        for unary, offsets in self._scored(sentences):
            states = viterbi(self.chain, unary, offsets).states
            found += [
                self.names.tags(states[begin:end])
                for begin, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
            ]
        return found

    def marginals(self, sentences: Sequence[Sentence]) -> list[Floats]:
        found: list[Floats] = []
        for unary, offsets in self._scored(sentences):
            found += np.split(posteriors(self.chain, unary, offsets).states, offsets[1:-1])
        return found

    def best(self, sentence: Sentence, n: int) -> list[tuple[float, tuple[str, ...]]]:
        ((unary, offsets),) = self._scored([sentence])
        log_z = float(log_partition(self.chain, unary, offsets)[0])
        ranked = n_best(self.chain, unary, n)
        return [
            (float(score) - log_z, self.names.tags(states))
            for states, score in zip(ranked.states, ranked.scores, strict=True)
        ]

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

    def _scored(self, sentences: Sequence[Sentence]) -> Iterator[tuple[Float64Array, Array]]:
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
        table: dict[str, Any] = {
            "templates": self.extractor.texts,
            "columns": self.columns,
            "labels": self.labels,
            "scheme": self.names.scheme,
            "encoding": self.names.encoding,
            "values": {name: values.names() for name, values in self.extractor.values.items()},
        }
        (folder / FEATURES).write_text(json.dumps(table, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "CRF":
        """Read a model folder.

        Raises:
            LangueError: the weights do not belong to the features.
        """
        table, arrays = read_json(folder / FEATURES), load_file(folder / WEIGHTS)
        features = Features(arrays["pointers"], arrays["labels"], arrays["transitions"])
        if len(arrays["theta"]) != features.size or features.pointers[-1] != len(features.labels):
            raise LangueError(f"{folder / WEIGHTS} does not fit the model; train it again")
        extractor = Extractor(
            table["templates"], table["columns"], table["values"], arrays["keys"], arrays["starts"]
        )
        fixed = Chain.of(*(np.where(arrays[name], 0.0, -np.inf) for name in ("permitted", "start", "end")))
        labels = Labels(tuple(table["labels"]), table["scheme"], table["encoding"])
        return cls(extractor, features, arrays["theta"], labels, fixed)
