"""Pseudo-log-likelihood: how surprising each token of a text is, given all the others.

Σ log p(token | the rest), each token hidden in turn (Salazar et al. 2020, section 2). The parts of a
word give one another away; so while one is scored, those after it in its word are hidden too (Kauf and
Ivanova 2023, PLL-word-l2r). This is no probability of the text: a token is told by what comes after
it, so the sum over all texts is not one, and the figure stands beside no bits per byte.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from langue.base.arrays import BoolArray, Float64Array, Floats, Ids, Int64Array
from langue.corpus.normalize import Normalization
from langue.evaluation.score import quoted
from langue.protocols import Masked
from langue.tokens.boundaries import Boundaries
from langue.tokens.masked import add_special_tokens, chunks
from langue.tokens.masked_batch import Specials
from langue.tokens.tokenizer import Tokenizer

CHUNK_SEQUENCES = 128  # sequences read at a time


@dataclass(frozen=True)
class PseudoScore:
    """Pseudo-bits of one text."""

    text: str  # normalized
    tokens: list[str]
    spans: Ids  # (tokens, 2): bytes of each token in the text
    bits: Floats  # (tokens,)

    @property
    def total(self) -> float:
        return float(self.bits.sum())

    @property
    def per_byte(self) -> float | None:
        """None for an empty text."""
        size = len(self.text.encode())
        return self.total / size if size else None

    def to_json(self, *, per_token: bool = False) -> dict[str, Any]:
        table: dict[str, Any] = {
            "text": self.text,
            "pseudo_bits": self.total,
            "pseudo_bits_per_byte": self.per_byte,
            "tokens": len(self.bits),
        }
        if per_token:
            table["per_token"] = [
                {"token": token, "bytes": [int(start), int(end)], "pseudo_bits": float(bits)}
                for token, (start, end), bits in zip(self.tokens, self.spans, self.bits, strict=True)
            ]
        return table

    def row(self) -> str:
        per_byte = "-" if self.per_byte is None else f"{self.per_byte:.3f}"
        return f"{self.total:.2f}\t{per_byte}\t{self.text!r}"

    def token_rows(self) -> list[str]:
        return [f"{bits:8.3f}  {quoted(token)}" for token, bits in zip(self.tokens, self.bits, strict=True)]


def pseudo_score_texts(
    model: Masked, tokenizer: Tokenizer, normalization: Normalization, texts: Sequence[str]
) -> list[PseudoScore]:
    """The pseudo-scores of texts."""
    normalized = [normalization.apply(text) for text in texts]
    encoded = [tokenizer.encode_with_spans(text) for text in normalized]
    scores = pseudo_log_probs(model, Boundaries(tokenizer), [ids for ids, _ in encoded])
    return [
        PseudoScore(
            text,
            [tokenizer.token_bytes(id).decode(errors="backslashreplace") for id in ids],
            spans,
            -logs / math.log(2),
        )
        for text, (ids, spans), logs in zip(normalized, encoded, scores, strict=True)
    ]


def pseudo_log_probs(
    model: Masked, boundaries: Boundaries | None, sequences: Sequence[Ids]
) -> list[Float64Array]:
    """Natural-log pseudo-probability of each token of each sequence of text ids.

    Args:
        boundaries: finds words; without it, only the scored token itself is hidden.
    """
    log_probs = []
    for ids in sequences:
        begins = boundaries.words(ids) if boundaries else np.ones(len(ids), np.bool_)
        scores = [
            _piece(model, piece, words)
            for piece, words in zip(chunks(ids, model.window), chunks(begins, model.window), strict=True)
            if len(piece)
        ]
        log_probs.append(np.concatenate(scores) if scores else np.empty(0))
    return log_probs


def _piece(model: Masked, ids: Ids, begins: BoolArray) -> Float64Array:
    scores = np.empty(len(ids))
    variants = hidden_one_by_one(add_special_tokens(ids, model.specials), begins, model.specials)
    for first in range(0, len(ids), CHUNK_SEQUENCES):
        group = [next(variants) for _ in range(min(CHUNK_SEQUENCES, len(ids) - first))]
        positions = [np.array([first + index + 1]) for index in range(len(group))]
        rows = model.masked_log_probs(group, positions)
        for index, row in enumerate(rows):
            scores[first + index] = row[0, ids[first + index]]
    return scores


def hidden_one_by_one(framed_ids: Int64Array, begins: BoolArray, specials: Specials) -> Iterator[Int64Array]:
    """What is read to score each token in turn: it is hidden, and what follows it in its word."""
    edges = np.r_[np.flatnonzero(begins), len(begins)]
    for index in range(len(begins)):
        end = int(edges[np.searchsorted(edges, index, side="right")])
        variant = framed_ids.copy()
        variant[index + 1 : end + 1] = specials.mask
        yield variant
