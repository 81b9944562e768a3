"""The n-gram model at work: ids in, log-probabilities out."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from langue.base.arrays import Array, Floats, Ids, Int64Array
from langue.base.errors import Mismatch
from langue.inference.decoding import StateDecoder
from langue.models.counts.ngram.draw import draw
from langue.models.counts.ngram.score import distribution, line_totals, read, score, score_marks, step
from langue.models.counts.ngram.tables import Tables
from langue.nn.compiled.choice import Writing
from langue.protocols import Causal, Vocabulary
from langue.protocols.drawing import DrawingDecoder, Draws
from langue.protocols.explanation import NGramExplanation


class NGram(Causal):
    """A `Causal` model; contexts have no bound but the order."""

    window: int | None = None
    stride: int | None = None

    def __init__(self, vocabulary: Vocabulary, tables: Tables, *, scores_are: str | None = None) -> None:
        self.vocabulary = vocabulary
        self.normalized = scores_are is None  # whether its scores are probabilities
        self.scores_are = scores_are or Causal.scores_are
        self.rounded_down = tables.quantized  # its probabilities sum to a little less than one
        self.tables = tables.narrow()
        self.reach: int = tables.order - 1
        self.longest_match = tables.order - 1
        self.begin = vocabulary.size if tables.order > 1 else -1  # the state after `<s>`

    def log_probs(self, sequences: Sequence[Ids]) -> list[Floats]:
        return self.log_probs_and_lengths(sequences)[0]

    def log_probs_and_lengths(self, sequences: Sequence[Ids]) -> tuple[list[Floats], list[Array]]:
        """Natural-log probability of each token, and the length of the n-gram that was found for it."""
        ends = np.cumsum([len(ids) + 1 for ids in sequences], dtype=np.int64)
        stream = np.full(int(ends[-1]) if len(ends) else 0, self.vocabulary.size, np.uint32)
        for ids, end in zip(sequences, ends, strict=True):
            self._check(np.asarray(ids))
            stream[end - len(ids) : end] = ids
        log_probs, lengths = score(self.tables, stream)
        score_marks(self.tables, stream, np.r_[np.int64(0), ends], log_probs, lengths)
        parts = [slice(end - len(ids), end) for ids, end in zip(sequences, ends, strict=True)]
        return [log_probs[part] for part in parts], [lengths[part] for part in parts]

    def sums(self, sequences: Sequence[Ids], unknown: int = -1) -> tuple[Floats, Int64Array]:
        """The sum of `log_probs` of each sequence, and how often it has the token `unknown`: faster, of short
        ones, than to add them up."""
        lengths = np.array([len(ids) for ids in sequences], np.int64)
        begins = np.concatenate(([0], np.cumsum(lengths + 1)))
        flat = np.concatenate(sequences) if len(sequences) else np.empty(0, np.uint32)
        self._check(flat)
        stream = np.full(int(begins[-1]), self.vocabulary.size, np.uint32)
        tokens = np.ones(len(stream), bool)
        tokens[begins[:-1]] = False
        stream[tokens] = flat
        log_probs, matched = score(self.tables, stream)
        score_marks(self.tables, stream, begins, log_probs, matched)
        sums, counts = np.empty(len(lengths)), np.empty(len(lengths), np.int64)
        line_totals(stream, begins, unknown, log_probs, sums, counts)
        return sums, counts

    def log_probs_and_matches(self, sequences: Sequence[Ids]) -> tuple[list[Floats], list[Array]]:
        """`log_probs`, and tokens of the context that each token is predicted from; `<s>` is one."""
        log_probs, lengths = self.log_probs_and_lengths(sequences)
        return log_probs, [
            np.minimum(np.r_[1, row[:-1]][: len(row)], self.longest_match).astype(np.int64) for row in lengths
        ]

    def next_log_probs(self, contexts: Sequence[Ids]) -> Floats:
        return self.decoder(contexts).log_probs()

    def decoder(self, prompts: Sequence[Ids], *, depth: int = 0) -> "NGramDecoder":
        return NGramDecoder(self, prompts, depth)

    def explain(self, context: Ids, id: int) -> NGramExplanation:
        from langue.models.counts.ngram.explain import explain  # which reads a model

        self.vocabulary.check(context, [id])
        return explain(self, np.asarray(context), id)

    def state(self, ids: Ids, *, begin: bool = True) -> int:
        """The state after some tokens, at the beginning of a document or (not `begin`) anywhere."""
        before = States(np.array([self.begin if begin else -1]), np.ones(1, np.int64))
        return int(self.read(before, [np.asarray(ids)]).nodes[0])

    def read(self, states: "States", ids: Sequence[Ids]) -> "States":
        """Read on, in each row any number of tokens; only the last `reach` of them make a difference."""
        if self.reach > 1 and ids and all(len(some) == 1 for some in ids):  # a step of generation
            after, _, lengths = self.advance(states.nodes, np.array(ids, np.int64)[:, 0])
            return States(after, lengths.astype(np.int64))
        last = [np.asarray(some)[max(0, len(some) - self.reach) :] for some in ids if len(some)]
        counts = np.array([len(some) for some in ids], np.int64)
        words = np.concatenate(last) if last else np.empty(0, np.int64)
        self._check(words)
        self._check_states(states.nodes)
        nodes, lengths = states.nodes.copy(), states.lengths.copy()
        nodes[(counts >= self.reach) & (counts > 0)] = -1
        read(self.tables, nodes, lengths, words.astype(np.int64), np.minimum(counts, self.reach))
        return States(nodes, lengths)

    def advance(self, states: Array, ids: Ids) -> tuple[Array, Floats, Array]:
        """Read one token in each state: for generation, and for rescoring lists that share beginnings.

        Args:
            states: `(batch,)`; they are equal where the tables tell their futures not apart.
            ids: `(batch,)`.

        Returns:
            The states after it, its natural-log probabilities, and the lengths of the n-grams found.

        Raises:
            Mismatch: an id is of no token, or a state is not one of this model.
        """
        self._check(np.asarray(ids))
        self._check_states(np.asarray(states))
        words, after = np.array(ids, np.int64), np.array(states, np.int64)
        log_probs, lengths = np.empty(len(ids), np.float32), np.empty(len(ids), np.uint8)
        step(self.tables, after, words, log_probs, lengths)
        return after, log_probs, lengths

    def _check(self, ids: Array) -> None:
        """As `Vocabulary.check`, but that the id of `<s>`, after the vocabulary's, has a node."""
        if ids.size and (ids.dtype.kind not in "iu" or ids.min() < 0 or ids.max() > self.vocabulary.size):
            raise Mismatch(f"a token id is not one of 0 to {self.vocabulary.size - 1}")

    def _check_states(self, states: Array) -> None:
        """A state is a context, or -1: compiled code goes on from wherever it points."""
        contexts = len(self.tables.log_backoff)
        if states.size and (states.dtype.kind not in "iu" or states.min() < -1 or states.max() >= contexts):
            raise Mismatch("a state is not one of this model; states of one model mean nothing to another")

    def size(self) -> dict[str, int]:
        return {"ngrams": len(self.tables.suffix), "bytes": sum(array.nbytes for array in self.tables)}

    def save(self, folder: Path) -> None:
        self.tables.save(folder)


class States(NamedTuple):
    """What an n-gram model remembers of each row."""

    nodes: Array  # (B,) contexts, or -1
    lengths: Int64Array  # (B,) of the last n-gram that was found


class NGramDecoder(StateDecoder[States], DrawingDecoder):
    """One context for each sequence, and the length of its last n-gram."""

    def __init__(self, model: NGram, prompts: Sequence[Ids], depth: int) -> None:
        self.model = model
        super().__init__(model.vocabulary, prompts, depth)

    @property
    def work(self) -> int:
        return self.model.vocabulary.size

    def check(self, *ids: Ids) -> None:
        for some in ids:
            self.model._check(np.asarray(some))

    def start(self, rows: int) -> States:
        return States(np.full(rows, self.model.begin, np.int64), np.ones(rows, np.int64))

    def read(self, state: States, ids: Sequence[Ids]) -> States:
        return self.model.read(state, ids)

    def take(self, state: States, rows: list[int]) -> States:
        return States(*(part[rows] for part in state))

    def join(self, one: States, other: States) -> States:
        return States(*map(np.concatenate, zip(one, other, strict=True)))

    def distributions(self, state: States) -> Floats:
        rows = np.empty((len(state.nodes), self.model.vocabulary.size), np.float32)
        self.model._check_states(state.nodes)
        for node, row in zip(state.nodes, rows, strict=True):
            distribution(self.model.tables, int(node), row)
        return rows

    def checked(self) -> States:
        """Its state, which compiled code may index by."""
        self.model._check_states(self.state.nodes)
        return self.state

    def draw(self, draws: Draws) -> tuple[list[Ids], list[Floats]]:
        nodes, lengths = (part.copy() for part in self.checked())
        writing = Writing.by(draws)
        draw(self.model.tables, nodes, lengths, writing.arrays())
        self.state = States(nodes, lengths)
        drawn, log_probs = writing.drawn()
        self.remember(drawn)
        return drawn, log_probs

    def match_lengths(self) -> Array:
        return np.minimum(self.state.lengths, self.model.longest_match)
