"""The log-linear model at work: a context's rows of W, added to b and normalized.

Only the words that stand in these rows differ from b, so Z costs as much as the rows are long.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from langue.base.arrays import Floats, Ids, Int64Array
from langue.base.checked import once, read_array
from langue.base.compiled import njit
from langue.inference.decoding import ContextDecoder
from langue.models.counts.loglinear.features import Weights, count_of, hashes
from langue.protocols import Causal, Vocabulary
from langue.protocols.explanation import FeatureExplanation, FeatureWeight
from langue.tokens.contexts import contexts_of


class LogLinear(Causal):
    """A `Causal` model; contexts have no bound but the order."""

    window: int | None = None
    stride: int | None = None

    def __init__(self, vocabulary: Vocabulary, order: int, skips: bool, weights: Weights) -> None:
        self.vocabulary = vocabulary
        self.order = order
        self.features = count_of(order, skips)
        self.weights = weights
        for array in weights:
            array.flags.writeable = False  # as mapped ones are: compiled code is made for one of them
        self.base = np.exp(weights.bias.astype(np.float64))  # exp(b), of which Z is made

    def log_probs(self, sequences: Sequence[Ids]) -> list[Floats]:
        self.vocabulary.check(*sequences)
        log_probs = []
        for ids in sequences:
            before = contexts_of(ids[:-1], self.order, self.vocabulary.eos)[: len(ids)]
            words = np.asarray(ids, np.int64)
            log_probs.append(_score(self.weights, self.base, self.features, before, words))
        return log_probs

    def next_log_probs(self, contexts: Sequence[Ids]) -> Floats:
        return self.decoder(contexts).log_probs()

    def decoder(self, prompts: Sequence[Ids], *, depth: int = 0) -> "LogLinearDecoder":
        return LogLinearDecoder(self, prompts, depth)

    def explain(self, context: Ids, id: int) -> FeatureExplanation:
        """The weight that each feature of a context gives a token, and Z."""
        self.vocabulary.check(context, [id])
        before = contexts_of(np.asarray(context), self.order, self.vocabulary.eos)[-1]
        rows = rows_of(self.weights, self.features, before)
        scores = np.array(self.weights.bias, np.float64)
        _add_rows(self.weights, rows, scores)
        features = []
        for number, row in enumerate(rows.tolist()):
            begin, end = self.weights.starts[row : row + 2].tolist()
            entry = begin + int(np.searchsorted(self.weights.word[begin:end], id))
            known = entry < end and int(self.weights.word[entry]) == id
            features.append(
                FeatureWeight(
                    *self._feature(before, number), float(self.weights.weight[entry]) if known else None
                )
            )
        log_z = float(np.logaddexp.reduce(scores))
        return FeatureExplanation(float(self.weights.bias[id]), tuple(features), log_z)

    def _feature(self, before: Int64Array, number: int) -> tuple[tuple[int, ...], int]:
        """The tokens of a feature, in the order of `hashes`, and how far back the last of them stands."""
        reach = len(before)
        if number < reach:
            return tuple(before[reach - number - 1 :].tolist()), 1
        back = number - reach + 2
        return (int(before[reach - back]),), back

    def size(self) -> dict[str, int]:
        used = np.count_nonzero(self.weights.weight)
        return {"parameters": int(used) + len(self.weights.bias)}

    def save(self, folder: Path) -> None:
        for name, array in self.weights._asdict().items():
            np.save(folder / f"{name}.npy", array, allow_pickle=False)

    @classmethod
    def load(cls, folder: Path, vocabulary: Vocabulary, order: int, skips: bool) -> "LogLinear":
        """Map the weights of a model folder.

        Raises:
            LangueError: an array is not what it must be; it is named.
        """
        files = [folder / f"{name}.npy" for name in Weights._fields]
        weights, features = Weights(*map(read_array, files)), count_of(order, skips)
        once(files, (vocabulary.size, features), lambda: weights.check(folder, vocabulary.size, features))
        return cls(vocabulary, order, skips, weights)


class LogLinearDecoder(ContextDecoder):
    """The last order - 1 tokens of each sequence."""

    def __init__(self, model: LogLinear, prompts: Sequence[Ids], depth: int) -> None:
        self.model = model
        super().__init__(model.vocabulary, model.order, prompts, depth)

    def distributions(self, state: Int64Array) -> Floats:
        model = self.model
        log_probs = np.empty((len(state), model.vocabulary.size), np.float32)
        for before, row in zip(state, log_probs, strict=True):
            scores = np.array(model.weights.bias, np.float64)
            _add_rows(model.weights, rows_of(model.weights, model.features, before), scores)
            row[:] = scores - np.logaddexp.reduce(scores)
        return log_probs


@njit
def rows_of(weights, features, before):
    """Which rows of W a context has `(features,)`."""
    rows = np.empty(features, np.uint64)
    hashes(before, features, rows)
    mask = np.uint64(len(weights.starts) - 2)
    for index in range(features):
        rows[index] &= mask
    return rows


@njit
def _add_rows(weights, rows, scores):
    for row in rows:
        for entry in range(weights.starts[row], weights.starts[row + np.uint64(1)]):
            scores[weights.word[entry]] += weights.weight[entry]


@njit
def normalize(weights, rows, q, total):
    """Raise `q`, which is exp(b), to the exp(scores) of a context, and return Z; `total` is Σ exp(b)."""
    z = total
    for row in rows:
        for entry in range(weights.starts[row], weights.starts[row + np.uint64(1)]):
            word = weights.word[entry]
            raised = q[word] * np.exp(np.float64(weights.weight[entry]))
            z += raised - q[word]
            q[word] = raised
    return z


@njit
def _score(weights, base, features, before, ids):
    """The log-probability of each id after its context `(tokens, order - 1)`."""
    log_probs = np.empty(len(ids), np.float32)
    q = base.copy()
    total = base.sum()
    for index in range(len(ids)):
        rows = rows_of(weights, features, before[index])
        z = normalize(weights, rows, q, total)
        log_probs[index] = np.log(q[ids[index]] / z)
        for row in rows:
            for entry in range(weights.starts[row], weights.starts[row + np.uint64(1)]):
                q[weights.word[entry]] = base[weights.word[entry]]
    return log_probs
