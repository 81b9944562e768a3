"""Scores by the stream: what each text of any number of files costs, in order, and nothing held of the rest.

Models of counts are asked by several threads, a batch each; what runs on torch, or has threads of its own, by
one. Lines of words between blanks go to an n-gram model as bytes, and never become words in Python.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np

from langue.base.arrays import Array, Float64Array, Ids, Int64Array
from langue.base.parallel import parallel_imap
from langue.corpus.config import PAIRS, DataConfig
from langue.corpus.ledger import size
from langue.corpus.stream import Batch, By, read_batches
from langue.evaluation.pseudo import PseudoScore, pseudo_score_texts
from langue.evaluation.score import Score, perplexity, score_texts
from langue.interop.kenlm import Model as WordsModel
from langue.models.counts.ngram.model import NGram
from langue.models.folder import ModelFolder
from langue.protocols import Causal, Masked
from langue.tokens.tokenizer import UNK


class TextScore(NamedTuple):
    """What a text costs, as a whole."""

    text: str  # normalized
    bits: float
    tokens: int  # its end included
    unknowns: int  # of these, words that a closed vocabulary has not
    closed: bool  # such a model has no bits per byte

    @property
    def bits_per_byte(self) -> float | None:
        """None for a closed vocabulary, and for an empty text."""
        bytes = size(self.text)
        return self.bits / bytes if bytes and not self.closed else None

    @property
    def perplexity(self) -> float:
        """Per token, the end of the text counted as one."""
        return perplexity(self.bits / self.tokens)

    @property
    def log10(self) -> float:
        """Its probability, as KenLM tells it."""
        return -self.bits * math.log10(2)


@dataclass(frozen=True)
class BatchScores:
    """`TextScore` of the texts of a batch, as columns: arrays are `(texts,)`."""

    batch: Batch
    normalized: list[str] | None  # the texts, where they were changed
    bits: Float64Array
    tokens: Int64Array
    unknowns: Int64Array
    closed: bool

    @property
    def texts(self) -> list[str]:
        return self.batch.texts if self.normalized is None else self.normalized

    @cached_property
    def bits_per_byte(self) -> Float64Array:
        """NaN where there is none."""
        if self.closed:
            return np.full(len(self.bits), np.nan)
        sizes = np.array([size(text) for text in self.texts], np.float64)
        return np.divide(self.bits, sizes, out=np.full(len(sizes), np.nan), where=sizes > 0)

    def __len__(self) -> int:
        return len(self.bits)

    def __iter__(self) -> Iterator[TextScore]:
        columns = (self.texts, self.bits.tolist(), self.tokens.tolist(), self.unknowns.tolist())
        return (TextScore(*row, self.closed) for row in zip(*columns, strict=True))


class BatchScorer:
    """Scores batches of texts by a model that reads from left to right."""

    def __init__(self, folder: ModelFolder[Any]) -> None:
        self.folder: ModelFolder[Causal] = folder.require(Causal)
        self.model = self.folder.model
        self.tokenizer = self.folder.tokenizer
        self.closed = self.tokenizer.closed
        spelling = self.folder.normalization
        self._as_it_is = spelling.form == "none" and not spelling.fold_width
        self._words = (
            WordsModel.of(folder)
            if isinstance(self.model, NGram) and self.tokenizer.begin is not None and self._as_it_is
            else None
        )
        self._unknown = self.tokenizer.id(UNK) if self.tokenizer.kind == "whitespace" else -1

    @property
    def workers(self) -> int | None:
        """Threads that may ask it, each for a batch of its own; None: one a core."""
        return None if isinstance(self.model, NGram) else 1

    def __call__(self, batch: Batch) -> BatchScores:
        if self._words is not None and (lines := _as_lines(batch)) is not None:
            log_probs, tokens, unknowns = self._words.line_totals(lines)
            return self._columns(batch, None, log_probs, tokens, unknowns)
        texts = self.normalize(batch.texts)
        if self.folder.lines and any("\n" in text for text in texts):
            scores = score_texts(
                self.model, self.tokenizer, self.folder.normalization, batch.texts, lines=True
            )
            bits = np.array([score.total_bits for score in scores])
            counts = np.array([len(score.bits) for score in scores])
            return BatchScores(
                batch, [score.text for score in scores], bits, counts, np.zeros_like(counts), self.closed
            )
        return self.of_ids(batch, texts, self.encode(texts))

    def normalize(self, texts: Sequence[str]) -> list[str]:
        return [self.folder.normalization.apply(text) for text in texts]

    def encode(self, normalized: Sequence[str]) -> list[Ids]:
        """Texts in the ids of the model, each with its end."""
        eos = np.array([self.tokenizer.eos], np.uint32)
        return [np.concatenate((ids, eos)) for ids in self.tokenizer.encode_batch(normalized)]

    def of_ids(self, batch: Batch, texts: list[str] | None, sequences: Sequence[Ids]) -> BatchScores:
        """The scores of texts that are encoded."""
        if isinstance(self.model, NGram):
            sums, unknowns = self.model.sums(sequences, self._unknown)
        else:
            sums = np.array([log_p.sum(dtype=np.float64) for log_p in self.model.log_probs(sequences)])
            unknowns = np.array([np.count_nonzero(ids == self._unknown) for ids in sequences], np.int64)
        return self._columns(batch, texts, sums, np.array([len(ids) for ids in sequences]), unknowns)

    def _columns(
        self, batch: Batch, texts: list[str] | None, log_probs: Array, tokens: Array, unknowns: Array
    ) -> BatchScores:
        return BatchScores(batch, texts, log_probs / -math.log(2), tokens, unknowns, self.closed)


def _as_lines(batch: Batch) -> bytes | None:
    """The texts of a batch as lines; None where one of them has several."""
    if batch.lines is not None:
        return batch.lines.removeprefix(b"\xef\xbb\xbf")
    if any("\n" in text for text in batch.texts):
        return None
    return "".join(f"{text}\n" for text in batch.texts).encode("utf-8", "replace")


def config_of(folder: ModelFolder[Any], by: By, text_field: str | None) -> DataConfig:
    """How files are read for a model: by document, they are cut as the text that it was trained on."""
    rule = folder.description.documents
    usual = by == "document" and rule not in (None, "line", *PAIRS)
    return DataConfig(documents=rule if usual else "auto", text_field=text_field)  # type: ignore[arg-type]


R = TypeVar("R")


def score_batches(
    folder: ModelFolder[Any],
    names: Sequence[str],
    render: Callable[[BatchScores], R],
    *,
    by: By = "line",
    text_field: str | None = None,
) -> Iterator[R]:
    """What each text of some files costs, as `render` makes it of a batch, in order.

    Args:
        names: files, folders, pipes, `-` for standard input.
        by: what a text is in plain text: a line, or a document.
        text_field: of records; None is "text".

    Raises:
        Unsupported: the model gives texts no probability.
        LangueError: as `read_batches`.
    """
    scorer = BatchScorer(folder)
    batches = read_batches(names, config_of(folder, by, text_field), by=by)
    return parallel_imap(
        lambda batch: render(scorer(batch)), batches, workers=scorer.workers, flush=lambda batch: batch.last
    )


def score_tokens(
    folder: ModelFolder[Any],
    names: Sequence[str],
    render: Callable[[Sequence[Score | PseudoScore]], R],
    *,
    by: By = "line",
    text_field: str | None = None,
) -> Iterator[R]:
    """`score_batches` with a score of each token; of a model that reads in both directions too, of which
    every token is a reading of the whole text, so that texts come one by one."""
    for batch in read_batches(names, config_of(folder, by, text_field), by=by):
        yield from map(render, token_scores(folder, batch))


def token_scores(folder: ModelFolder[Any], batch: Batch) -> Iterator[Sequence[Score | PseudoScore]]:
    """The scores of the texts of a batch, some at a time."""
    model = folder.model if isinstance(folder.model, Masked) else folder.require(Causal).model
    if isinstance(model, Masked):
        for text in batch.texts:
            yield pseudo_score_texts(model, folder.tokenizer, folder.normalization, [text])
    else:
        yield score_texts(model, folder.tokenizer, folder.normalization, batch.texts, lines=folder.lines)
