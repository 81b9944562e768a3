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


def quoted(token: str) -> str:
    """The text of a token for a table; the bytes of half a character stay `\\x…`."""
    return repr(token).replace("\\\\x", "\\x")


@dataclass(frozen=True)
class Score:
    """Bits of one document, its end included."""

    text: str  # normalized
    tokens: list[str]  # the text of each token, bytes of half a character as \\x…; the last is the end
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
        return [f"{bits:8.3f}  {quoted(token)}" for token, bits in zip(self.tokens, self.bits, strict=True)]


def score_texts(
    model: Causal,
    tokenizer: Tokenizer,
    normalization: Normalization,
    texts: Sequence[str],
    *,
    lines: bool = False,
) -> list[Score]:
    """The scores of texts, each a document of its own.

    Args:
        lines: a document is one line (`ModelFolder.lines`): each line of a text begins as one does.
    """
    normalized = [normalization.apply(text) for text in texts]
    if lines:
        normalized = [text.removesuffix("\n") for text in normalized]  # `<eos>` stands for that one
    encoded = [tokenizer.encode_with_spans(text) for text in normalized]
    sequences = [np.append(ids, np.uint32(tokenizer.eos)) for ids, _ in encoded]
    read = zip(normalized, encoded, strict=True)
    ends = [_line_ends(text, spans) if lines else [] for text, (_, spans) in read]
    scores = _log_probs(model, sequences, ends)
    return [
        _score(tokenizer, text, ids, spans, logs)
        for text, (ids, spans), logs in zip(normalized, encoded, scores, strict=True)
    ]


def _line_ends(text: str, spans: Ids) -> list[int]:
    """The tokens after which a line of a text begins; a `</s>` that is written in it ends none."""
    data = text.encode()
    return [index + 1 for index, (begin, end) in enumerate(spans.tolist()) if data[begin:end] == b"\n"]


def _log_probs(model: Causal, sequences: list[Ids], ends: list[list[int]]) -> list[Floats]:
    cut = [np.split(ids, line_ends) for ids, line_ends in zip(sequences, ends, strict=True)]
    scores = iter(model.log_probs([line for parts in cut for line in parts]))
    return [np.concatenate([next(scores) for _ in parts]) for parts in cut]


def score_target(model: Causal, tokenizer: Tokenizer, prompt: Ids, target: str) -> Score:
    """The score of a target (normalized) after the ids of a prompt, its end included."""
    ids, spans = tokenizer.encode_with_spans(target)
    (logs,) = model.log_probs([np.concatenate([prompt, ids, np.array([tokenizer.eos], np.uint32)])])
    return _score(tokenizer, target, ids, spans, logs[len(prompt) :])


def _score(tokenizer: Tokenizer, text: str, ids: Ids, spans: Ids, logs: Floats) -> Score:
    """The score of a text by the natural-log probabilities of its tokens and of its end."""
    size = len(text.encode())
    pieces = [tokenizer.token_bytes(id).decode(errors="backslashreplace") for id in ids]
    bits = -logs.astype(np.float64) / math.log(2)
    return Score(text, [*pieces, "<eos>"], np.r_[spans, [[size, size]]], bits, tokenizer.closed)
