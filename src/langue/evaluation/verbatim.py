"""What of a text stands in the training text: where a string occurs, and how much was copied.

Both ask an `infinigram` model, which is the training text with an index. They see tokens: a string is
found where its tokens stand, with or without a space before it. Over the tokenizers `bytes` and `chars`
that is every place; over words and subwords, every place that begins and ends between tokens.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from langue.base.errors import LangueError
from langue.models.counts.infinigram import InfiniGram
from langue.models.folder import ModelFolder
from langue.protocols import Searchable
from langue.tokens.tokenizer import Tokenizer

AROUND = 12  # tokens shown before and after an occurrence


@dataclass(frozen=True)
class Occurrence:
    """One place where a string stands."""

    document: int  # of the training split, the first is 0
    before: str
    after: str


@dataclass(frozen=True)
class Found:
    """All places where a string stands."""

    text: str
    count: int
    documents: int  # in which it stands
    occurrences: list[Occurrence]  # the first few

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        lines = [f"{self.text!r}: {self.count:,} times in {self.documents:,} documents"]
        for place in self.occurrences:
            shown = f"{place.before}[{self.text}]{place.after}".replace("\n", "\\n")
            lines.append(f"{place.document:>8}  {shown}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Span:
    """A piece of a text that stands in the training text, as long as it goes."""

    text: str
    tokens: int
    document: int


@dataclass(frozen=True)
class Copied:
    """How much of a text stands verbatim in the training text."""

    bytes: int
    copied: int  # bytes in spans of at least `min_tokens` tokens
    min_tokens: int
    spans: list[Span]  # the longest first

    @property
    def share(self) -> float:
        return self.copied / self.bytes if self.bytes else 0.0

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "share": self.share}

    def __str__(self) -> str:
        lines = [
            f"{self.share:.1%} of {self.bytes:,} bytes stand in the training text, "
            f"in pieces of {self.min_tokens} tokens and more"
        ]
        lines += [
            f"{span.tokens:>6} tokens  document {span.document:>6}  {span.text!r}" for span in self.spans
        ]
        return "\n".join(lines)


def find(loaded: ModelFolder[Any], tokenizer: Tokenizer, text: str, *, limit: int = 10) -> Found:
    """Where a text, normalized, stands in what the model was trained on.

    Raises:
        LangueError: the model is no `infinigram`, or the text is empty.
    """
    model = _model(loaded)
    if not text:
        raise LangueError("there is nothing to find: the text is empty")
    spelled = [tokenizer.encode(text), tokenizer.encode(f" {text}")]
    if spelled[1].tolist()[-len(spelled[0]) :] == spelled[0].tolist():
        spelled.pop()  # a space that is a token of its own finds nothing new
    found = [(int(place), len(ids)) for ids in spelled for place in model.range(ids)]
    documents = model.documents(np.array([place for place, _ in found], np.int64))
    occurrences = []
    for (place, size), document in sorted(zip(found, documents.tolist(), strict=True))[:limit]:
        head, tail = model.stream[max(0, place - AROUND) : place], model.stream[place + size :][:AROUND]
        occurrences.append(
            Occurrence(document, _inside(tokenizer, model, head[::-1])[0], _inside(tokenizer, model, tail)[1])
        )
    return Found(text, len(found), len(np.unique(documents)), occurrences)


def copied(
    loaded: ModelFolder[Any], tokenizer: Tokenizer, text: str, *, min_tokens: int = 8, limit: int = 10
) -> Copied:
    """How much of a text, normalized, stands verbatim in what the model was trained on.

    Args:
        min_tokens: tokens of a piece that counts as copied; shorter ones are the language's own.

    Raises:
        LangueError: the model is no `infinigram`.
    """
    model = _model(loaded)
    ids, spans = tokenizer.encode_with_spans(text)
    data = text.encode()
    lengths, places = model.matches(ids)
    # A piece is as long as it goes where the next token no longer prolongs it.
    last = np.r_[lengths[1:] != lengths[:-1] + 1, np.ones(min(1, len(ids)), bool)] & (lengths >= min_tokens)
    covered = np.zeros(len(data) + 1, np.int64)
    found = []
    for end in np.flatnonzero(last):
        begin = end + 1 - lengths[end]
        low, high = int(spans[begin, 0]), int(spans[end, 1])
        covered[low] += 1
        covered[high] -= 1
        found.append((int(lengths[end]), low, high, int(places[end])))
    found.sort(key=lambda span: (-span[0], span[1]))
    documents = model.documents(np.array([place for *_, place in found[:limit]], np.int64))
    pieces = [
        Span(data[low:high].decode(errors="replace"), size, int(document))
        for (size, low, high, _), document in zip(found, documents, strict=False)
    ]
    return Copied(len(data), int((np.cumsum(covered)[:-1] > 0).sum()), min_tokens, pieces)


def _model(loaded: ModelFolder[Any]) -> InfiniGram:
    model = loaded.require(Searchable).model
    assert isinstance(model, InfiniGram)
    return model


def _inside(tokenizer: Tokenizer, model: InfiniGram, ids: Any) -> tuple[str, str]:
    """The text of ids up to the end of their document; read backwards, and read forwards."""
    ends = np.flatnonzero((ids == model.vocabulary.size) | (ids == model.vocabulary.eos))
    kept = ids[: ends[0]] if len(ends) else ids
    return tokenizer.decode(kept[::-1]), tokenizer.decode(kept)
