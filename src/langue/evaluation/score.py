"""The score of a text: natural logs inside, bits at the surface, each token with its bytes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from langue.base.arrays import Floats, Ids
from langue.corpus.normalize import Normalization
from langue.protocols import Causal
from langue.tokens.tokenizer import Tokenizer


def finite(value: float | None) -> float | None:
    """The value, or None for an infinite one, which JSON has no word for."""
    return value if value is not None and math.isfinite(value) else None


def perplexity(bits: float) -> float:
    """2 to the bits of a token or word; infinite where a model held impossible what occurs."""
    return math.exp2(min(bits, 1000.0)) if math.isfinite(bits) else math.inf


@dataclass(frozen=True)
class Score:
    """Bits of one document, its end included."""

    text: str  # normalized
    tokens: list[str]  # the text of each token; the last is the end of the document
    spans: Ids  # (tokens, 2): bytes of each token in the text
    bits: Floats  # (tokens,)
    closed: bool  # a closed vocabulary has no bits per byte: <unk> hides what it cannot spell

    @property
    def total_bits(self) -> float:
        return float(self.bits.sum())

    @property
    def bits_per_byte(self) -> float | None:
        """None for a closed vocabulary, and for an empty text."""
        size = len(self.text.encode())
        return self.total_bits / size if size and not self.closed else None

    @property
    def perplexity(self) -> float:
        """Per token, the end of the document counted as one."""
        return perplexity(self.total_bits / len(self.bits))

    def to_json(self, *, per_token: bool = False) -> dict[str, Any]:
        table: dict[str, Any] = {
            "text": self.text,
            "bits": finite(self.total_bits),
            "bits_per_byte": finite(self.bits_per_byte),
            "perplexity": finite(self.perplexity),
            "tokens": len(self.bits),
        }
        if math.isinf(self.total_bits):
            index = int(np.isinf(self.bits).argmax())
            before = "".join(self.tokens[max(0, index - 8) : index])
            table["reason"] = f"the model gives probability 0 to {self.tokens[index]!r} after {before!r}"
        if per_token:
            table["per_token"] = [
                {"token": token, "bytes": [int(start), int(end)], "bits": finite(float(bits))}
                for token, (start, end), bits in zip(self.tokens, self.spans, self.bits, strict=True)
            ]
        return table

    def row(self) -> str:
        per_byte = "-" if self.bits_per_byte is None else f"{self.bits_per_byte:.3f}"
        return f"{self.total_bits:.2f}\t{per_byte}\t{self.perplexity:.2f}\t{self.text!r}"

    def token_rows(self) -> list[str]:
        return [f"{bits:8.3f}  {token!r}" for token, bits in zip(self.tokens, self.bits, strict=True)]


def score_texts(
    model: Causal, tokenizer: Tokenizer, normalization: Normalization, texts: Sequence[str]
) -> list[Score]:
    """The scores of texts, each a document of its own."""
    normalized = [normalization.apply(text) for text in texts]
    encoded = [tokenizer.encode_with_spans(text) for text in normalized]
    scores = model.log_probs([np.append(ids, np.uint32(tokenizer.eos)) for ids, _ in encoded])
    results = []
    for text, (ids, spans), logs in zip(normalized, encoded, scores, strict=True):
        size = len(text.encode())
        pieces = [tokenizer.token_bytes(id).decode(errors="replace") for id in ids]
        bits = -logs.astype(np.float64) / math.log(2)
        results.append(Score(text, [*pieces, "<eos>"], np.r_[spans, [[size, size]]], bits, tokenizer.closed))
    return results
