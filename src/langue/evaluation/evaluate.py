"""The yardstick: bits per byte of held-out documents, with its interval and self-tests.

bits per byte = -Σ log₂ p(tokens of the document, its end included) / bytes of the document
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

import numpy as np

from langue.base.arrays import Float64Array, Int64Array
from langue.base.errors import LangueError, Unsupported
from langue.base.groups import group_by_size
from langue.base.progress import bar
from langue.base.wording import counted
from langue.corpus.ledger import size
from langue.evaluation.bootstrap import Interval, interval, resampled_ratios
from langue.evaluation.checks import DOCUMENTS as CHECKED
from langue.evaluation.checks import Check
from langue.evaluation.checks import check as run_checks
from langue.evaluation.documents import Document, Documents
from langue.evaluation.score import finite, perplexity
from langue.evaluation.scorer import ModelScorer, TextScorer, Unscored

CHUNK_BYTES = 1 << 18  # bytes of text scored at a time: enough to batch, little to hold


@dataclass(frozen=True)
class Scores:
    """What each document costs a model; arrays are `(documents,)`."""

    bits: Float64Array  # NaN: it could not be scored
    bytes: Int64Array
    tokens: int
    words: int
    seconds: float
    target_bits: Float64Array | None = None  # of pairs: of what is after the end of the source
    target_bytes: Int64Array | None = None
    adaptive_bits: Float64Array | None = None  # with counts that learn from the documents before


@dataclass(frozen=True, repr=False)
class Evaluation:
    """A model measured on documents."""

    name: str
    scores: Scores
    closed: bool  # perplexity only
    window: int | None
    stride: int | None
    tokens_by: str  # perplexities by token compare only where this is the same
    cut: str  # what was measured on, and how it was cut into documents
    normalization: str  # in which the bytes are counted
    checks: list[Check] = field(default_factory=list)
    reason: str | None = None  # why a figure is infinite, or there is none

    @property
    def total_bits(self) -> float:
        return float(self.scores.bits.sum())

    @property
    def scored(self) -> bool:
        """Whether every document got a score."""
        return not math.isnan(self.total_bits)

    @property
    def bits_per_byte(self) -> float | None:
        if self.closed or not self.scored:
            return None
        return self.total_bits / int(self.scores.bytes.sum())

    @property
    def bits_per_byte_interval(self) -> Interval | None:
        """95 %, by bootstrap over documents; None with one document, and none is made up."""
        if self.closed or len(self.scores.bits) < 2 or not math.isfinite(self.total_bits):
            return None
        return interval(resampled_ratios(self.scores.bits[None], self.scores.bytes)[0])

    @property
    def target_bits_per_byte(self) -> float | None:
        """Of pairs, what a target costs given its source, by the bytes of the target."""
        if self.closed or self.scores.target_bits is None or not self.scored:
            return None
        assert self.scores.target_bytes is not None
        return float(self.scores.target_bits.sum()) / int(self.scores.target_bytes.sum())

    @property
    def target_bits_per_byte_interval(self) -> Interval | None:
        """95 %, as that of all bytes."""
        bits, sizes = self.scores.target_bits, self.scores.target_bytes
        if self.closed or bits is None or sizes is None or len(bits) < 2 or not np.isfinite(bits.sum()):
            return None
        return interval(resampled_ratios(bits[None], sizes)[0])

    @property
    def adaptive_bits_per_byte(self) -> float | None:
        """With counts that learn from each document once it is scored (`AdaptiveCounts`)."""
        if self.closed or self.scores.adaptive_bits is None or not self.scored:
            return None
        return float(self.scores.adaptive_bits.sum()) / int(self.scores.bytes.sum())

    @property
    def perplexity(self) -> float | None:
        """Per token, the end of each document counted as one; None where a document got no score."""
        return perplexity(self.total_bits / self.scores.tokens) if self.scored else None

    @property
    def word_perplexity(self) -> float | None:
        """Per word; None where there is no word."""
        if not self.scored or not self.scores.words:
            return None
        return perplexity(self.total_bits / self.scores.words)

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        span = self.bits_per_byte_interval
        return {
            "model": self.name,
            "bits_per_byte": finite(self.bits_per_byte),
            "bits_per_byte_interval": list(span) if span else None,
            **self._of_targets(),
            **self._adaptive(),
            "perplexity": finite(self.perplexity),
            "word_perplexity": finite(self.word_perplexity),
            "reason": self.reason,
            "tokens": self.scores.tokens,
            "words": self.scores.words,
            "bytes": int(self.scores.bytes.sum()),
            "documents": len(self.scores.bits),
            "measured_on": self.cut,
            "normalization": self.normalization,
            "window": self.window,
            "stride": self.stride,
            "seconds": round(self.scores.seconds, 3),
            "checks": [check._asdict() for check in self.checks],
        }

    def _of_targets(self) -> dict[str, Any]:
        if self.scores.target_bits is None:
            return {}
        span = self.target_bits_per_byte_interval
        return {
            "target_bits_per_byte": finite(self.target_bits_per_byte),
            "target_bits_per_byte_interval": list(span) if span else None,
        }

    def _adaptive(self) -> dict[str, Any]:
        if self.scores.adaptive_bits is None:
            return {}
        return {"adaptive_bits_per_byte": finite(self.adaptive_bits_per_byte)}

    def __repr__(self) -> str:
        """As it is printed: a notebook shows this, and the arrays are of every document."""
        return str(self)

    def __str__(self) -> str:
        lines = []
        if self.bits_per_byte is None:
            lines.append(f"bits per byte    none: {self.reason}")
        elif math.isinf(self.bits_per_byte):
            lines.append(f"bits per byte    infinite: {self.reason}")
        else:
            span = self.bits_per_byte_interval
            shown = f"  [{span[0]:.4f}, {span[1]:.4f}]" if span else "  (one document: no interval)"
            lines.append(f"bits per byte    {self.bits_per_byte:.4f}{shown}")
        if self.target_bits_per_byte is not None:
            span = self.target_bits_per_byte_interval
            shown = f"  [{span[0]:.4f}, {span[1]:.4f}]" if span else ""
            lines.append(
                f"                 {self.target_bits_per_byte:.4f}{shown} of targets, given their sources"
            )
        if self.adaptive_bits_per_byte is not None:
            lines.append(
                f"adaptive         {self.adaptive_bits_per_byte:.4f}  with counts that learn from every text "
                "once it is scored; not to be compared with the above"
            )
        why = f": {self.reason}" if self.closed and math.isinf(self.perplexity or 0.0) else ""
        lines.append(f"perplexity       {self.perplexity:.4f} a token{why}")
        if self.word_perplexity is not None:
            lines.append(f"                 {self.word_perplexity:.4f} a word")
        lines.append(
            f"measured on      {counted(len(self.scores.bits), 'document')}, {self.scores.tokens:,} tokens, "
            f"{int(self.scores.bytes.sum()):,} bytes ({self.normalization})"
        )
        lines.append(f"                 {self.cut}")
        if self.window:
            lines.append(f"window           {self.window} tokens, stride {self.stride}")
        lines += [check.line() for check in self.checks]
        return "\n".join(lines)


def evaluate(scorer: TextScorer, documents: Documents, *, check: bool = False) -> Evaluation:
    """Measure a model on documents.

    Args:
        check: also run the self-tests of its scores on the first documents.

    Raises:
        LangueError: there are no documents, or they are stored in a form the model cannot read.
        Unsupported: self-tests were asked of a model that is none of ours.
    """
    if documents.pairs and not isinstance(scorer, ModelScorer):
        raise Unsupported(
            f"{scorer.name} is no model of langue: it scores texts, and {documents.name} holds pairs"
        )
    scorer.prepare(documents)
    read = iter(documents)
    first = list(islice(read, CHECKED))
    if not first:
        raise LangueError(f"{documents.name} holds no text: there is nothing to measure on")
    scores, reasons = score_documents(
        scorer, chain(first, read), len(documents) or None, pairs=documents.pairs
    )
    checks: list[Check] = []
    if check:
        if not isinstance(scorer, ModelScorer):
            raise Unsupported(
                f"{scorer.name} is no model of langue; the self-tests ask more than scores of texts"
            )
        checks = run_checks(scorer.model, scorer.encode(first))
    return Evaluation(
        scorer.name,
        scores,
        bool(scorer.closed),
        scorer.window,
        scorer.stride,
        scorer.tokens_by,
        documents.cut,
        documents.normalization.spell(),
        checks,
        next(iter(reasons), None) or scorer.impossible or scorer.closed,
    )


def score_documents(
    scorer: TextScorer, documents: Iterable[Document], total: int | None = None, *, pairs: bool = False
) -> tuple[Scores, list[str]]:
    """Bits of every document, scored in groups; and why some were not.

    Args:
        total: how many there are, where that is known.
        pairs: whether they are pairs, of which the targets are measured alone, too.
    """
    bits: list[float] = []
    sizes: list[int] = []
    target_bits: list[float] = []
    target_sizes: list[int] = []
    adaptive_bits: list[float] = []
    reasons: dict[str, None] = {}
    tokens = words = 0
    with bar("scoring", total=total) as progress:
        for group in group_by_size(documents, lambda document: document.bytes + 1, CHUNK_BYTES):
            for document, cost in zip(group, scorer.bits(group), strict=True):
                if isinstance(cost, Unscored):
                    reasons[cost.reason] = None
                    bits.append(math.nan)
                else:
                    bits.append(cost.bits)
                    tokens += cost.tokens
                adaptive_bits.append(math.nan if isinstance(cost, Unscored) else cost.adaptive_bits)
                if pairs:
                    target_bits.append(math.nan if isinstance(cost, Unscored) else cost.target_bits)
                    target_sizes.append(size(document.texts[1]))
                sizes.append(document.bytes)
                words += document.words
            progress.advance(len(group))
    adapted = np.array(adaptive_bits)
    scores = Scores(
        np.array(bits),
        np.array(sizes, np.int64),
        tokens,
        words,
        scorer.seconds,
        np.array(target_bits) if pairs else None,
        np.array(target_sizes, np.int64) if pairs else None,
        None if np.isnan(adapted).all() else adapted,
    )
    return scores, list(reasons)
