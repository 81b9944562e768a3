"""Filtering of texts by a model of one's own good text, and by plain rules; each loss is counted.

A text is ranked by its bits per byte under a model of good text (as cc_net ranks by perplexity, Wenzek et
al. 2020), or by the difference to those under a model of other text (Moore and Lewis 2010): the lower, the
better. Bits per byte put languages and lengths on one scale. A share of the texts is kept by two passes: the
first writes the score of each text aside, and counts scores in bins; only the bin that the cut falls into is
sorted. Passes hold a batch for each worker, whatever is filtered, and what they count are whole numbers, so
that those of several parts add up.
"""

import heapq
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, NamedTuple

import numpy as np

from langue.base.arguments import check_count, check_number
from langue.base.arrays import Float64Array, Int64Array
from langue.base.errors import InvalidSetting, Unsupported
from langue.base.parallel import parallel_imap
from langue.corpus.ledger import size
from langue.corpus.stream import Batch
from langue.models.folder import ModelFolder
from langue.tasks.scoring import BatchScorer

BUCKETS = ("head", "middle", "tail")  # thirds, best first, as cc_net names them
LOWEST, HIGHEST, BINS = -16.0, 32.0, 48 << 10  # bits per byte that bins reach over, 1/1024 each
QUANTILES = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
SAMPLES = 3  # texts shown on either side of a cut
SHOWN = 100  # characters of each
_SYMBOL = re.compile(r"[^\w\s]")


@dataclass(frozen=True)
class Rules:
    """Plain rules; None leaves one out. A text that breaks several counts under the first."""

    min_bytes: int | None = None
    max_bytes: int | None = None
    max_repeated: float | None = None  # share of bytes in lines that stand above (Rae et al. 2021, table A1)
    max_symbols: float | None = None  # share of characters that are no letters, digits or blanks

    def __post_init__(self) -> None:
        for name, bytes in (("min_bytes", self.min_bytes), ("max_bytes", self.max_bytes)):
            if bytes is not None:
                check_count(name, bytes, most=2**53)
        for name, share in (("max_repeated", self.max_repeated), ("max_symbols", self.max_symbols)):
            if share is not None:
                check_number(name, share, least=0, most=1)
        if self.min_bytes is not None and self.max_bytes is not None and self.min_bytes > self.max_bytes:
            raise InvalidSetting(
                f"min_bytes = {self.min_bytes} and max_bytes = {self.max_bytes} leave no text between them"
            )

    def broken(self, text: str) -> str | None:
        """The first rule that a text breaks."""
        bytes = size(text)
        if self.min_bytes is not None and bytes < self.min_bytes:
            return "too short"
        if self.max_bytes is not None and bytes > self.max_bytes:
            return "too long"
        if self.max_repeated is not None and repeated(text) > self.max_repeated:
            return "repeated lines"
        if self.max_symbols is not None and symbols(text) > self.max_symbols:
            return "symbols"
        return None


def repeated(text: str) -> float:
    """The share of the characters of a text that are in lines which stand above."""
    lines = [line for line in text.split("\n") if line.strip()]
    total = sum(map(len, lines))
    return 1 - sum(map(len, set(lines))) / total if total else 0.0


def symbols(text: str) -> float:
    """The share of the characters of a text that are neither letters, digits nor blanks."""
    return len(_SYMBOL.findall(text)) / len(text) if text else 0.0


class Judged(NamedTuple):
    """A batch with the score of each text; NaN: it broke a rule."""

    batch: Batch
    scores: Float64Array
    sizes: Int64Array  # bytes of each text
    broken: list[str]  # the rules, one for each text that broke one


class Judge:
    """Scores batches by the bits per byte of a model, or by the difference to those of another.

    Raises:
        Unsupported: a model has no bits per byte.
    """

    def __init__(
        self, good: ModelFolder[Any] | None, other: ModelFolder[Any] | None = None, rules: Rules | None = None
    ) -> None:
        self.rules = rules or Rules()
        self.scorers = [BatchScorer(folder) for folder in (good, other) if folder is not None]
        for scorer in self.scorers:
            if scorer.closed or not scorer.model.normalized:
                raise Unsupported(
                    f"{scorer.folder.path} has no bits per byte (its vocabulary is closed, or its scores are "
                    "no probabilities), by which texts are ranked; train one on a store: langue prepare GOOD "
                    "-o STORE; langue train ngram STORE -o MODEL"
                )

    @property
    def workers(self) -> int | None:
        """As `BatchScorer.workers`."""
        return 1 if any(scorer.workers == 1 for scorer in self.scorers) else None

    def __call__(self, batch: Batch) -> Judged:
        texts = batch.texts
        reasons = (
            [self.rules.broken(text) for text in texts] if self.rules != Rules() else [None] * len(texts)
        )
        whole = np.array([reason is None for reason in reasons], bool)
        chosen = [text for text, reason in zip(texts, reasons, strict=True) if reason is None]
        scores = np.full(len(texts), np.nan)
        if chosen and self.scorers:
            good, *other = self._bits_per_byte(Batch(batch.source, chosen))
            # An empty text has no bits per byte: it is the last of all.
            scores[whole] = np.nan_to_num(good - other[0] if other else good, nan=np.inf)
        elif chosen:
            scores[whole] = 0.0
        sizes = np.array([size(text) for text in texts], np.int64)
        return Judged(batch, scores, sizes, [reason for reason in reasons if reason is not None])

    def _bits_per_byte(self, batch: Batch) -> list[Float64Array]:
        """Of each model; what two of one tokenizer read is encoded once."""
        first, *others = self.scorers
        alike = {scorer.folder.preprocessing.fingerprint for scorer in self.scorers}
        spelled = {scorer.folder.normalization for scorer in self.scorers}
        if not others or len(alike) > 1 or len(spelled) > 1:
            return [scorer(batch).bits_per_byte for scorer in self.scorers]
        texts = first.normalize(batch.texts)
        sequences = first.encode(texts)
        return [scorer.of_ids(batch, texts, sequences).bits_per_byte for scorer in self.scorers]

    def again(self, batch: Batch, scores: Float64Array) -> Judged:
        """A batch whose scores are known: only the rules are asked once more, of the texts that broke one."""
        sizes = np.array([size(text) for text in batch.texts], np.int64)
        reasons = [self.rules.broken(batch.texts[row]) for row in np.flatnonzero(np.isnan(scores))]
        return Judged(batch, scores, sizes, [reason for reason in reasons if reason is not None])

    def judge(self, batches: Iterator[Batch]) -> Iterator[Judged]:
        """Batches in order, judged by as many threads as there may be."""
        return parallel_imap(self, batches, workers=self.workers, flush=lambda batch: batch.last)


@dataclass
class Histogram:
    """Scores counted in bins: what is needed of them, whatever their number. Two add up."""

    counts: Int64Array = field(default_factory=lambda: np.zeros(BINS + 1, np.int64))  # the last: infinite

    def add(self, scores: Float64Array) -> None:
        self.counts += np.bincount(bins_of(scores[~np.isnan(scores)]), minlength=BINS + 1)

    @property
    def total(self) -> int:
        return int(self.counts.sum())

    def bin_at(self, rank: int) -> tuple[int, int]:
        """The bin of the score of a rank (0 is the lowest), and its rank within the bin."""
        ends = np.cumsum(self.counts)
        index = int(np.searchsorted(ends, rank, side="right"))
        return index, rank - int(ends[index] - self.counts[index])

    def quantile(self, share: float) -> float:
        """To the width of a bin; NaN where there is nothing."""
        if not self.total:
            return math.nan
        index, _ = self.bin_at(min(int(share * self.total), self.total - 1))
        return math.inf if index == BINS else LOWEST + (index + 0.5) * (HIGHEST - LOWEST) / BINS


def bins_of(scores: Float64Array) -> Int64Array:
    scaled = np.clip((scores - LOWEST) * (BINS / (HIGHEST - LOWEST)), 0, BINS - 1)
    return np.where(np.isinf(scores), BINS, scaled).astype(np.int64)


def cut_at(share: float, histogram: Histogram, scores: Callable[[], Iterator[Float64Array]]) -> float:
    """The score up to which (it is kept) a share of the texts lies; -inf keeps nothing.

    Args:
        scores: all of them, in parts: a second reading, of which the texts of one bin are held.
    """
    count = round(share * histogram.total)
    if count == 0:
        return -math.inf
    index, rank = histogram.bin_at(count - 1)
    inside = [part[~np.isnan(part)] for part in scores()]
    held = np.sort(np.concatenate([part[bins_of(part) == index] for part in inside]))
    return float(held[rank])


class Sample(NamedTuple):
    """A text near a cut."""

    score: float
    text: str  # as much as is shown


class Near:
    """The texts next to a cut, on its two sides."""

    def __init__(self, cut: float) -> None:
        self.cut = cut
        self._sides: tuple[list[Any], list[Any]] = ([], [])
        self._count = 0

    def add(self, scores: Float64Array, texts: Sequence[str]) -> None:
        if not math.isfinite(self.cut):
            return
        for side, kept in enumerate((scores <= self.cut, scores > self.cut)):
            rows = np.flatnonzero(kept & np.isfinite(scores))
            for row in rows[np.argsort(np.abs(scores[rows] - self.cut), kind="stable")[:SAMPLES]]:
                self._count += 1
                item = (
                    -abs(float(scores[row]) - self.cut),
                    -self._count,
                    float(scores[row]),
                    texts[row][:SHOWN],
                )
                heap = self._sides[side]
                heapq.heappush(heap, item) if len(heap) < SAMPLES else heapq.heappushpop(heap, item)

    @property
    def kept(self) -> list[Sample]:
        """The worst of those that were kept, best first."""
        return sorted(Sample(*item[2:]) for item in self._sides[0])

    @property
    def dropped(self) -> list[Sample]:
        return sorted(Sample(*item[2:]) for item in self._sides[1])


@dataclass
class FilterReport:
    """What was read, dropped for which reason, and kept."""

    ranked_by: str
    cut: float  # texts up to it were kept
    histogram: Histogram
    near: Near
    read: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)

    def count(self, judged: Judged, kept: Any) -> None:
        self.read["texts"] += len(judged.scores)
        self.read["bytes"] += int(judged.sizes.sum())
        self.kept["texts"] += int(np.count_nonzero(kept))
        self.kept["bytes"] += int(judged.sizes[kept].sum())
        self.dropped.update(judged.broken)
        if by_score := int(np.count_nonzero(~kept & ~np.isnan(judged.scores))):
            self.dropped["score"] += by_score

    @property
    def quantiles(self) -> dict[float, float]:
        return {share: self.histogram.quantile(share) for share in QUANTILES}

    def to_json(self) -> dict[str, Any]:
        return {
            "ranked_by": self.ranked_by,
            "cut": _finite(self.cut),
            "read": dict(self.read),
            "kept": dict(self.kept),
            "dropped": dict(self.dropped),
            "quantiles": {f"{share:g}": _finite(value) for share, value in self.quantiles.items()},
            "kept_next_to_cut": [sample._asdict() for sample in self.near.kept],
            "dropped_next_to_cut": [sample._asdict() for sample in self.near.dropped],
        }

    def __str__(self) -> str:
        lines = [f"read     {self.read['texts']:>12,} texts {self.read['bytes']:>16,} bytes"]
        for reason, count in self.dropped.most_common():
            lines.append(f"dropped  {count:>12,} texts   {reason}")
        lines.append(f"kept     {self.kept['texts']:>12,} texts {self.kept['bytes']:>16,} bytes")
        if self.ranked_by:
            cut = f"; kept up to {self.cut:.4f}" if math.isfinite(self.cut) else ""
            lines += ["", f"{self.ranked_by}{cut}", *self._bars()]
            shown = (f"{share:.0%}: {value:.3f}" for share, value in self.quantiles.items())
            lines.append("quantiles  " + "  ".join(shown))
        for name, samples in (("kept", self.near.kept), ("dropped", self.near.dropped)):
            lines += [f"{name:8} {sample.score:.4f}  {sample.text!r}" for sample in samples]
        return "\n".join(lines)

    def _bars(self) -> list[str]:
        """The histogram between its 1st and 99th percentile, a row for each of ten equal steps."""
        low, high = self.histogram.quantile(0.01), self.histogram.quantile(0.99)
        if not (math.isfinite(low) and math.isfinite(high) and high > low):
            return []
        edges = np.linspace(low, high, 11)
        ends = np.cumsum(self.histogram.counts)[bins_of(edges)]
        counts = np.diff(ends)
        most = max(int(counts.max()), 1)
        return [
            f"{begin:8.3f} to {end:7.3f} {count:>10,} {'█' * math.ceil(30 * count / most)}"
            for begin, end, count in zip(edges, edges[1:], counts.tolist(), strict=False)
        ]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def share_of(text: str | float) -> float:
    """A share as a person writes it: `30%`, or 0.3.

    Raises:
        InvalidSetting: it is none.
    """
    try:
        value = float(text[:-1]) / 100 if isinstance(text, str) and text.endswith("%") else float(text)
    except (TypeError, ValueError):
        value = math.nan
    if isinstance(text, bool) or not 0 < value <= 1:
        raise InvalidSetting(f"keep = {text} is no share; give one as 30% or 0.3")
    return value


class Spool:
    """The scores of the first pass, in a file."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, scores: Float64Array) -> None:
        self._file.write(scores.astype("<f8").tobytes())

    def parts(self, size: int = 1 << 16) -> Iterator[Float64Array]:
        self._file.seek(0)
        while data := self._file.read(8 * size):
            yield np.frombuffer(data, "<f8")

    def rewind(self) -> None:
        self._file.seek(0)

    def read(self, count: int) -> Float64Array:
        return np.frombuffer(self._file.read(8 * count), "<f8")
