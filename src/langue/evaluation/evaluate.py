"""The yardstick: bits per byte of held-out documents, with its interval and self-tests.

bits per byte = -Σ log₂ p(tokens of the document, its end included) / bytes of the document
"""

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice, starmap
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from langue.base.errors import LangueError, Mismatch, Unsupported
from langue.base.groups import grouped
from langue.base.progress import bar
from langue.corpus.config import DataConfig
from langue.corpus.ledger import Ledger, size
from langue.corpus.normalise import Normalisation
from langue.corpus.pipeline import normalised
from langue.corpus.read import find, read
from langue.evaluation.bootstrap import Interval, interval, resampled_ratios
from langue.evaluation.checks import DOCUMENTS as CHECKED
from langue.evaluation.checks import Check
from langue.evaluation.checks import check as run_checks
from langue.evaluation.score import finite, perplexity
from langue.models.folder import ModelFolder
from langue.protocols import Causal, Floats, Ids
from langue.tokens.store import TOKENIZER, TokenStore
from langue.tokens.tokenizer import Tokenizer
from langue.tokens.words import count_words

CLOSED = "the vocabulary is closed, and <unk> hides what it cannot spell"
SHOWN = 7  # tokens before one that a model held impossible: the longest n-grams reach so far
GROUP = 1 << 16  # tokens scored at a time: enough to batch, little to hold


class Measured(NamedTuple):
    """A document to score, and what its score is divided by."""

    ids: Ids  # its closing `<eos>` included
    bytes: int
    words: int


@dataclass(frozen=True)
class Scores:
    """What each document costs a model; arrays are `(documents,)`."""

    bits: npt.NDArray[np.float64]
    bytes: npt.NDArray[np.int64]
    tokens: int
    words: int
    seconds: float
    impossible: Ids | None = None  # the first token of probability 0, after the tokens before it


@dataclass(frozen=True)
class Evaluation:
    """A model measured on documents."""

    name: str
    scores: Scores
    closed: bool  # perplexity only
    window: int | None
    stride: int | None
    checks: list[Check] = field(default_factory=list)
    reason: str | None = None  # why a figure is infinite, or there is none

    @property
    def total_bits(self) -> float:
        return float(self.scores.bits.sum())

    @property
    def bits_per_byte(self) -> float | None:
        return None if self.closed else self.total_bits / int(self.scores.bytes.sum())

    @property
    def bits_per_byte_interval(self) -> Interval | None:
        """95 %, by bootstrap over documents; None with one document, and none is made up."""
        if self.closed or len(self.scores.bits) < 2 or math.isinf(self.total_bits):
            return None
        return interval(resampled_ratios(self.scores.bits[None], self.scores.bytes)[0])

    @property
    def perplexity(self) -> float:
        """Per token, the end of each document counted as one."""
        return perplexity(self.total_bits / self.scores.tokens)

    @property
    def word_perplexity(self) -> float | None:
        """Per word; None where there is no word."""
        return perplexity(self.total_bits / self.scores.words) if self.scores.words else None

    @property
    def passed(self) -> bool:
        return all(found.passed for found in self.checks)

    def to_json(self) -> dict[str, Any]:
        span = self.bits_per_byte_interval
        return {
            "model": self.name,
            "bits_per_byte": finite(self.bits_per_byte),
            "bits_per_byte_interval": list(span) if span else None,
            "perplexity": finite(self.perplexity),
            "word_perplexity": finite(self.word_perplexity),
            "reason": self.reason,
            "tokens": self.scores.tokens,
            "words": self.scores.words,
            "bytes": int(self.scores.bytes.sum()),
            "documents": len(self.scores.bits),
            "window": self.window,
            "stride": self.stride,
            "seconds": round(self.scores.seconds, 3),
            "checks": [found._asdict() for found in self.checks],
        }

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
        why = f": {self.reason}" if self.closed and math.isinf(self.perplexity) else ""
        lines.append(f"perplexity       {self.perplexity:.4f} a token{why}")
        if self.word_perplexity is not None:
            lines.append(f"                 {self.word_perplexity:.4f} a word")
        lines.append(
            f"measured on      {len(self.scores.bits):,} documents, {self.scores.tokens:,} tokens, "
            f"{int(self.scores.bytes.sum()):,} bytes"
        )
        if self.window:
            lines.append(f"window           {self.window} tokens, stride {self.stride}")
        lines += [found.line() for found in self.checks]
        return "\n".join(lines)


def evaluate_store(
    loaded: ModelFolder[Any], store: TokenStore, *, split: str = "test", check: bool = False
) -> Evaluation:
    """Measure a model on a split of a store.

    Raises:
        LangueError: the store was made with another tokenizer, or the split is empty.
    """
    loaded.require(Causal)
    check_tokenizer(loaded, store)
    chosen = store.split(split)
    measured = zip(chosen.documents(), chosen.bytes.tolist(), chosen.words.tolist(), strict=True)
    closed = bool(store.manifest["tokenizer"]["closed"])
    return _evaluation(
        loaded, starmap(Measured, measured), store.path, total=len(chosen), closed=closed, check=check
    )


def check_tokenizer(loaded: ModelFolder[Any], store: TokenStore) -> None:
    """Refuse a store whose ids mean other tokens than the model's."""
    if store.manifest["tokenizer"]["fingerprint"] != loaded.description.tokenizer:
        raise Mismatch(
            f"{store.path} has another tokenizer than {loaded.path}; prepare the text with "
            f"--set tokenizer.file={loaded.path / 'tokenizer.json'}, or evaluate the text file itself"
        )


def texts_of(path: Path, normalisation: Normalisation) -> Iterator[str]:
    """The documents of a text file, cut as `langue prepare` cuts one file."""
    ledger = Ledger()
    data = DataConfig(normalisation=normalisation)
    return (document.text for document in normalised(read(find([str(path)]), data, ledger), data, ledger))


def evaluate_text(
    loaded: ModelFolder[Any],
    tokenizer: Tokenizer,
    normalisation: Normalisation,
    path: Path,
    *,
    check: bool = False,
) -> Evaluation:
    """Measure a model on all documents of a text file, cut as `langue prepare` cuts one file."""
    measured = (
        Measured(np.append(tokenizer.encode(text), np.uint32(tokenizer.eos)), size(text), count_words(text))
        for text in texts_of(path, normalisation)
    )
    return _evaluation(loaded, measured, path, closed=tokenizer.closed, check=check)


def _evaluation(
    loaded: ModelFolder[Any],
    documents: Iterator[Measured],
    where: Path,
    *,
    total: int | None = None,
    closed: bool,
    check: bool,
) -> Evaluation:
    model = loaded.require(Causal).model
    if not model.normalised:
        raise Unsupported(
            f"{loaded.path} scores by stupid backoff: its scores are no probabilities and have no "
            "perplexity; they may still rank texts (langue score)"
        )
    first = list(islice(documents, CHECKED))
    if not first:
        raise LangueError(f"{where} holds no text: there is nothing to measure on")
    scores = score_documents(model, chain(first, documents), total)
    checks = run_checks(model, [document.ids for document in first]) if check else []
    reason = CLOSED if closed else None
    if scores.impossible is not None:
        reason = _impossible(Tokenizer.load(loaded.path / TOKENIZER), scores.impossible)
    return Evaluation(loaded.path.name, scores, closed, model.window, model.stride, checks, reason)


def _impossible(tokenizer: Tokenizer, ids: Ids) -> str:
    """What the model held impossible, in words."""
    *before, last = ("<eos>" if id == tokenizer.eos else tokenizer.decode([id]) for id in ids)
    return f"the model gives probability 0 to {last!r} after {''.join(before)!r}"


def score_documents(model: Causal, documents: Iterable[Measured], total: int | None = None) -> Scores:
    """Bits of every document, scored in groups.

    Args:
        total: how many there are, where that is known.
    """
    bits: list[float] = []
    sizes: list[int] = []
    impossible = None
    tokens = words = 0
    seconds = 0.0
    model.log_probs(
        [np.array([model.vocabulary.eos])]
    )  # what is compiled or mapped at first use is not timed
    with bar("scoring", total=total) as progress:
        for group in grouped(documents, lambda document: len(document.ids), GROUP):
            started = time.perf_counter()
            logs = model.log_probs([document.ids for document in group])
            seconds += time.perf_counter() - started
            impossible = impossible if impossible is not None else _first_impossible(model, group, logs)
            bits += [-float(log.sum(dtype=np.float64)) / math.log(2) for log in logs]
            sizes += [document.bytes for document in group]
            tokens += sum(map(len, logs))
            words += sum(document.words for document in group)
            progress.advance(len(group))
    return Scores(np.array(bits), np.array(sizes, np.int64), tokens, words, seconds, impossible)


def _first_impossible(model: Causal, group: Sequence[Measured], logs: Sequence[Floats]) -> Ids | None:
    """The first token of probability 0, after the tokens the model looked back on (up to `SHOWN`)."""
    reach = min(SHOWN, SHOWN if model.reach is None else model.reach)
    for document, log in zip(group, logs, strict=True):
        if np.isneginf(log).any():
            place = int(np.isneginf(log).argmax())
            return document.ids[max(0, place - reach) : place + 1]
    return None
