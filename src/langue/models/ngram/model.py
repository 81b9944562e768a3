"""The n-gram model at work: walking the trie of `estimate.Tables`.

The state is one node: the longest context seen in training that the words so far end with. A word
that is its child has that child's probability; else the context backs off to its suffix.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numba import njit

from langue.models.ngram.estimate import Tables
from langue.models.protocol import Floats, Ids, Vocabulary


class NGram:
    """A `Causal` model; contexts have no bound but the order."""

    window: int | None = None
    stride: int | None = None

    def __init__(self, vocabulary: Vocabulary, tables: Tables) -> None:
        self.vocabulary = vocabulary
        self.tables = tables
        for array in tables:
            array.flags.writeable = False  # as mapped ones are: compiled code is made for one of them
        self.start = vocabulary.size  # the node of `<s>`

    def log_probs(self, sequences: Sequence[Ids]) -> list[Floats]:
        found = [np.empty(len(ids), np.float32) for ids in sequences]
        for ids, scores in zip(sequences, found, strict=True):
            _score(*self.tables, self.start, np.array(ids, np.uint32), scores)
        return list(found)

    def next_log_probs(self, contexts: Sequence[Ids]) -> Floats:
        return self.decoder(contexts).log_probs()

    def decoder(self, prompts: Sequence[Ids]) -> "NGramDecoder":
        ends = [
            _score(*self.tables, self.start, np.array(ids, np.uint32), np.empty(len(ids), np.float32))
            for ids in prompts
        ]
        return NGramDecoder(self, np.array(ends, np.uint32))

    def size(self) -> dict[str, int]:
        return {"ngrams": len(self.tables.word)}

    def save(self, folder: Path) -> None:
        for name, array in self.tables._asdict().items():
            np.save(folder / f"{name}.npy", array, allow_pickle=False)

    @classmethod
    def load(cls, folder: Path, vocabulary: Vocabulary) -> "NGram":
        """Map the tables of a model folder."""
        files = (folder / f"{name}.npy" for name in Tables._fields)
        return cls(
            vocabulary,
            Tables(*(np.asarray(np.load(file, mmap_mode="r", allow_pickle=False)) for file in files)),
        )


class NGramDecoder:
    """One trie node for each sequence: `nodes` `(batch,)`."""

    def __init__(self, model: NGram, nodes: Ids) -> None:
        self.model = model
        self.nodes = nodes

    def log_probs(self) -> Floats:
        found = np.empty((len(self.nodes), self.model.vocabulary.size), np.float32)
        for node, row in zip(self.nodes, found, strict=True):
            _distribution(*self.model.tables, int(node), row)
        return found

    def append(self, ids: Ids) -> None:
        ignored = np.empty(1, np.float32)
        for index, id in enumerate(ids):
            word = np.array([id], np.uint32)
            self.nodes[index] = _score(*self.model.tables, int(self.nodes[index]), word, ignored)


@njit(nogil=True, cache=True)
def _score(word, log_prob, suffix, log_backoff, children, state, ids, scores):  # type: ignore[no-untyped-def]
    """Fill `scores` with the log-probability of each id after `state`; returns the state at the end."""
    contexts = len(log_backoff)
    for position in range(len(ids)):
        target = np.int64(ids[position])
        total = np.float32(0)
        node = target  # the unigram, unless a longer match is found
        while state < contexts:
            child = _find(word, np.int64(children[state]), np.int64(children[state + 1]), target)
            if child >= 0:
                node = child
                break
            total += log_backoff[state]
            if suffix[state] == state:
                break
            state = np.int64(suffix[state])
        scores[position] = total + log_prob[node]
        state = node if node < contexts else np.int64(suffix[node])
    return state


@njit(nogil=True, cache=True)
def _find(word, low, high, target):  # type: ignore[no-untyped-def]
    """The node in [low, high) whose last word is `target`, or -1."""
    end = high
    while low < high:
        middle = (low + high) // 2
        if word[middle] < target:
            low = middle + 1
        else:
            high = middle
    return np.int64(low) if low < end and word[low] == target else np.int64(-1)


@njit(nogil=True, cache=True)
def _distribution(word, log_prob, suffix, log_backoff, children, state, row):  # type: ignore[no-untyped-def]
    """Fill `row` with the log-probabilities of every word after `state`: the shortest context first,
    each longer one backing off from it and overwriting what it has seen itself."""
    row[:] = log_prob[: len(row)]
    contexts = len(log_backoff)
    chain = [state]
    while suffix[chain[-1]] != chain[-1]:
        chain.append(np.int64(suffix[chain[-1]]))
    for node in chain[::-1]:
        if node >= contexts:
            continue
        row += log_backoff[node]
        for child in range(children[node], children[node + 1]):
            row[word[child]] = log_prob[child]
