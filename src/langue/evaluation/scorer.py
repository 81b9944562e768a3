"""Scorers: whatever tells how many bits a text costs, by which tokens.

The yardstick asks scorers, not models: that of a model of ours stands here, and those of other makers' models
can stand beside it. A scorer that cannot score a text says why.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from langue.base.arrays import Floats, Ids
from langue.base.errors import Mismatch
from langue.corpus.normalize import Normalization
from langue.evaluation.documents import (
    Document,
    Documents,
    StoredDocuments,
    check_pairs,
    encode_documents,
    sep_of,
)
from langue.evaluation.score import Score, score_texts
from langue.models.folder import ModelFolder
from langue.protocols import Causal

if TYPE_CHECKING:
    from langue.evaluation.adaptive import AdaptiveCounts

CLOSED = "the vocabulary is closed, and <unk> hides what it cannot spell"
NO_PROBABILITIES = "are no probabilities and have no perplexity; they may still rank texts (langue score)"
BEFORE = 7  # tokens before one that a model holds impossible: the longest n-grams reach so far


class TextBits(NamedTuple):
    """What a text costs: its tokens, its end included, and their bits."""

    bits: float
    tokens: int
    target_bits: float = math.nan  # of a pair, what is after the end of the source
    adaptive_bits: float = math.nan  # with counts that learn from the documents before, where asked for


@dataclass(frozen=True)
class Unscored:
    """A text that a scorer cannot score."""

    reason: str


class TextScorer(Protocol):
    """Tells what texts cost.

    Attributes:
        name: for tables.
        tokens_by: fingerprint of its tokenizer: perplexities by token compare only where it is the same.
        closed: why it has no bits per byte, though it has bits; None where it has.
        normalization: what it does to a text before it; None: nothing.
        window: tokens it sees at once; None where there is no bound.
        stride: tokens scored afresh each time the window moves on.
        impossible: the first tokens that got probability 0, in words; None: none so far.
        seconds: that `bits` took, encoding excluded.
    """

    name: str
    tokens_by: str
    closed: str | None
    window: int | None
    stride: int | None
    impossible: str | None
    seconds: float

    @property
    def normalization(self) -> Normalization | None: ...

    def prepare(self, documents: Documents) -> None:
        """Look at what is to be measured before the first document is."""

    def score(self, texts: Sequence[str]) -> "list[Score | Unscored]":
        """Tokens of each text with their byte spans and bits, each text a document of its own."""
        ...

    def bits(self, documents: Sequence[Document]) -> list[TextBits | Unscored]:
        """What each document costs: the sums of `score`, and nothing held beside them."""
        ...


def _bits(log_probs: Floats) -> float:
    return -float(log_probs.sum(dtype=np.float64)) / math.log(2)


class ModelScorer:
    """A `TextScorer` of a model folder. It takes the ids of a store of its tokenizer as they are.

    Args:
        adaptive: tell beside its bits those with counts that learn from the documents scored before.

    Raises:
        Unsupported: the model gives no text a probability from left to right.
    """

    def __init__(self, folder: ModelFolder[Any], *, adaptive: bool = False) -> None:
        self.folder: ModelFolder[Causal] = folder.require(Causal)
        self.model = self.folder.model
        self.name = folder.path.name
        self.tokens_by = folder.preprocessing.fingerprint
        self.window, self.stride = self.model.window, self.model.stride
        self.impossible: str | None = None
        self.seconds = 0.0
        self.closed: str | None = None
        self.adaptive = adaptive
        self._counts: AdaptiveCounts | None = None
        self._takes_ids = False
        self._sep: int | None = None

    @property
    def normalization(self) -> Normalization:
        return self.folder.normalization

    def score(self, texts: Sequence[str]) -> list[Score | Unscored]:
        folder = self.folder
        return [*score_texts(self.model, folder.tokenizer, folder.normalization, texts, lines=folder.lines)]

    def bits(self, documents: Sequence[Document]) -> list[TextBits | Unscored]:
        if not self.model.normalized:
            return [Unscored(f"{self.model.scores_are} {NO_PROBABILITIES}")] * len(documents)
        sequences = self.encode(documents)
        started = time.perf_counter()
        log_probs = self.model.log_probs(sequences)
        self.seconds += time.perf_counter() - started
        if self.impossible is None:
            self.impossible = self._first_impossible(sequences, log_probs)
        adapted = self._counts.mix(sequences, log_probs) if self._counts else None
        return [
            TextBits(
                _bits(log_p),
                len(log_p),
                self._target_bits(ids, log_p),
                _bits(adapted[index]) if adapted else math.nan,
            )
            for index, (ids, log_p) in enumerate(zip(sequences, log_probs, strict=True))
        ]

    def _target_bits(self, ids: Ids, log_p: Floats) -> float:
        if self._sep is None or not len(ends := np.flatnonzero(ids == self._sep)):
            return math.nan
        return _bits(log_p[ends[0] + 1 :])

    def encode(self, documents: Sequence[Document]) -> list[Ids]:
        """The documents in the ids of the model, each closed by `<eos>`."""
        if all(document.ids is not None for document in documents) and self._takes_ids:
            return [document.ids for document in documents if document.ids is not None]
        return encode_documents(documents, self.folder)

    def prepare(self, documents: Documents) -> None:
        """Look at what is to be measured before the first document is.

        Raises:
            Mismatch: they are stored with a closed vocabulary, so that no other tokenizer can read them; or
                they are pairs, and the model was trained on texts.
        """
        self._takes_ids = documents.fingerprint == self.tokens_by
        if isinstance(documents, StoredDocuments) and self._takes_ids:
            self._sep = documents.store.sep
        else:
            check_pairs(documents, self.folder)
            self._sep = sep_of(self.folder)
        if isinstance(documents, StoredDocuments) and not self._takes_ids:
            if documents.closed:
                raise Mismatch(
                    f"{documents.name} is a store of a closed vocabulary, whose <unk> stands for lost text, "
                    f"and {self.folder.path} has another tokenizer; measure on the text file itself"
                )
            documents.with_texts()
        self.seconds, self.impossible = 0.0, None
        if self.adaptive:
            from langue.evaluation.adaptive import AdaptiveCounts  # compiled code, which few need

            self._counts = AdaptiveCounts(self.model.vocabulary.size, self.model.vocabulary.eos)
        closed = documents.closed if self._takes_ids else self.folder.tokenizer.closed
        self.closed = CLOSED if closed else None
        self.model.log_probs([np.array([self.model.vocabulary.eos])])  # compiling, mapping: not timed

    def _first_impossible(self, sequences: Sequence[Ids], log_probs: Sequence[Floats]) -> str | None:
        """The first token of probability 0, after those the model looked back on, in words."""
        reach = min(BEFORE, BEFORE if self.model.reach is None else self.model.reach)
        for ids, log_p in zip(sequences, log_probs, strict=True):
            if np.isneginf(log_p).any():
                index = int(np.isneginf(log_p).argmax())
                tokenizer = self.folder.tokenizer
                *before, last = (
                    "<eos>" if id == tokenizer.eos else tokenizer.decode([id])
                    for id in ids[max(0, index - reach) : index + 1]
                )
                return f"the model gives probability 0 to {last!r} after {''.join(before)!r}"
        return None
