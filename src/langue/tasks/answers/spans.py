"""The span of a text that answers a question, by a network: windows of the text, and the best pair of ends.

As Devlin et al. 2019, section 4.2: a span is worth the sum of the two logits of its ends, "no answer" that of
both at `[CLS]`. The windows of a text, and several passages, are compared by these sums (Chen et al. 2017).
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from langue.base.arrays import Floats, Ids, Int64Array
from langue.base.errors import LangueError
from langue.corpus.normalize import Normalization
from langue.corpus.sentences import SentenceSpan, stripped
from langue.models.folder import ModelFolder
from langue.protocols import SpanPredictor
from langue.tasks.answers.answer import CANDIDATES, Answer, Answers
from langue.tasks.retrieval.bm25 import best
from langue.tasks.retrieval.passages import Passages
from langue.tasks.retrieval.terms import terms_of
from langue.tokens.tokenizer import Tokenizer

MOST_QUESTION = 64  # tokens of a question that are read (Devlin et al.'s script)
MOST_SPANS = 20  # that are compared for an answer, of a window and of all (the same)
LEAST_TEXT = 8  # tokens of a text that a window is to have room for


class Window(NamedTuple):
    """A question and a part of a text, as the encoder reads them."""

    ids: Int64Array
    types: Int64Array
    first: int  # index of the first token of the text
    spans: Int64Array  # (tokens of the text, 2): the characters that each comes from

    def ends(self, begin: int, end: int) -> tuple[int, int] | None:
        """Index of the first and last token of a stretch of characters; None where it is not in here."""
        inside = np.flatnonzero((self.spans[:, 1] > begin) & (self.spans[:, 0] < end))
        if not len(inside) or self.spans[inside[0], 0] > begin or self.spans[inside[-1], 1] < end:
            return None
        return self.first + int(inside[0]), self.first + int(inside[-1])


class Span(NamedTuple):
    """A stretch of a text that may answer."""

    begin: int  # characters
    end: int
    score: float  # the sum of the logits of its ends


class Reading(NamedTuple):
    """What the windows of a text say."""

    spans: list[Span]  # the best first
    nothing: float  # score of "no answer": of the window that is surest that it has one


class SpanReader:
    """Turns questions and texts into windows, and what a model says of these into spans."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        normalization: Normalization,
        specials: tuple[int, int, int],
        *,
        window: int,
        overlap: int,
    ) -> None:
        self.tokenizer = tokenizer
        self.normalization = normalization
        self.cls, self.sep, _ = specials
        self.window = window
        self.overlap = overlap
        if window < LEAST_TEXT + 4:
            raise LangueError(f"a window of {window} tokens has no room for a question and a text")

    @classmethod
    def of(cls, folder: ModelFolder[SpanPredictor]) -> "SpanReader":
        model = folder.model
        return cls(
            folder.tokenizer,
            folder.normalization,
            model.specials,
            window=model.window,
            overlap=model.overlap,
        )

    def windows(self, question: str, text: str) -> list[Window]:
        """A question with each part of a text; parts overlap, and none but the last has room left."""
        asked = self.tokenizer.encode(self.normalization.apply(question))
        asked = asked[: min(MOST_QUESTION, self.window - 3 - LEAST_TEXT)]
        ids, spans = self._read(text)
        room = self.window - len(asked) - 3
        step = room - min(self.overlap, room // 2)
        head = np.concatenate([[self.cls], asked, [self.sep]])
        windows = []
        for begin in range(0, max(len(ids) - room, 0) + step, step):
            read = np.concatenate([head, ids[begin : begin + room], [self.sep]]).astype(np.int64)
            types = (np.arange(len(read)) >= len(head)).astype(np.int64)
            windows.append(Window(read, types, len(head), spans[begin : begin + room]))
            if begin + room >= len(ids):
                break
        return windows

    def _read(self, text: str) -> tuple[Ids, Int64Array]:
        """Ids of a text, and the characters of the text as it was given that each comes from."""
        aligned = self.normalization.aligned(text)
        ids, spans = self.tokenizer.encode_with_spans(aligned.text)
        starts = np.cumsum([0, *(len(character.encode()) for character in aligned.text)])  # in bytes
        begins = np.searchsorted(starts, spans[:, 0], side="right") - 1  # a token may begin within one
        ends = np.searchsorted(starts, spans[:, 1], side="left")
        origins = np.asarray(aligned.origins, np.int64)
        return ids, np.stack([origins[begins], np.maximum(origins[ends], origins[begins])], 1)


def read_spans(model: SpanPredictor, windows: Sequence[Sequence[Window]]) -> list[Reading]:
    """What a model says of texts, each of which is given by its windows."""
    every = [window for some in windows for window in some]
    logits = iter(model.span_logits([one.ids for one in every], [one.types for one in every]))
    return [_reading(some, [next(logits) for _ in some], model.max_answer_tokens) for some in windows]


def _reading(windows: Sequence[Window], logits: Sequence[Floats], longest: int) -> Reading:
    spans: dict[tuple[int, int], float] = {}  # the best score of the same characters in two windows
    nothing = np.inf
    for window, scores in zip(windows, logits, strict=True):
        nothing = min(nothing, float(scores[0].sum()))
        for begin, end, score in _best_spans(scores[window.first : -1], longest):
            characters = int(window.spans[begin, 0]), int(window.spans[end, 1])
            spans[characters] = max(score, spans.get(characters, -np.inf))
    ordered = sorted(spans.items(), key=lambda item: (-item[1], item[0]))[:MOST_SPANS]
    return Reading([Span(*characters, score) for characters, score in ordered], nothing)


def _best_spans(logits: Floats, longest: int) -> Iterator[tuple[int, int, float]]:
    """First and last token and score of the best spans of at most `longest` tokens.

    Args:
        logits: of the tokens of the text, `(T, 2)`.
    """
    T = len(logits)
    table = np.full((min(longest, T), T), -np.inf)  # by tokens behind the first, and the first
    for behind in range(len(table)):
        table[behind, : T - behind] = logits[: T - behind, 0] + logits[behind:, 1]
    for index in best(table.ravel(), MOST_SPANS):
        behind, begin = divmod(index, T)
        if np.isfinite(table[behind, begin]):
            yield begin, begin + behind, float(table[behind, begin])


def answerable(reading: Reading) -> float:
    """The probability that the best span answers, beside that nothing does."""
    if not reading.spans:
        return 0.0
    return float(1 / (1 + np.exp(np.clip(reading.nothing - reading.spans[0].score, -50.0, 50.0))))


def answer_of(reading: Reading, text: str, threshold: float) -> str:
    """The best span of a text; nothing where that is likelier."""
    if answerable(reading) < threshold or not reading.spans:
        return ""
    return text[reading.spans[0].begin : reading.spans[0].end].strip()


def answer_by_span(
    question: str,
    passages: Passages,
    folder: ModelFolder[SpanPredictor],
    *,
    k: int = 1,
    threshold: float | None = None,
    among: Sequence[int] | None = None,
) -> Answers:
    """The spans that answer a question, out of passages: the best passages by BM25, read by a model.

    Args:
        threshold: of the probability below which there is no answer; None: that of the model.
        among: look in these passages only.
    """
    model, reader = folder.model, SpanReader.of(folder)
    limit = model.threshold if threshold is None else threshold
    if among is None:
        scores = passages.index.scores(passages.index.weights(terms_of(question)))
        among = [number for number in best(scores, CANDIDATES) if scores[number] > 0]
    if not among:
        return Answers(question, [], 0.0, limit, folder.path.name)
    readings = read_spans(model, [reader.windows(question, passages.passage(number)) for number in among])
    spans = [(span, number) for number, some in zip(among, readings, strict=True) for span in some.spans]
    spans.sort(key=lambda one: -one[0].score)
    spans = spans[:MOST_SPANS]
    if not spans:
        return Answers(question, [], 0.0, limit, folder.path.name)
    likely = answerable(Reading([spans[0][0]], min(some.nothing for some in readings)))
    shares = np.exp([span.score - spans[0][0].score for span, _ in spans])
    shares *= likely / shares.sum()
    chosen = [
        _answer(passages, number, span, float(share))
        for (span, number), share in list(zip(spans, shares, strict=True))[:k]
    ]
    return Answers(question, chosen, likely, limit, folder.path.name)


def _answer(passages: Passages, number: int, span: Span, score: float) -> Answer:
    text, offset, _ = passages.spans[number]
    whole = passages.texts[text]
    begin, end = stripped(whole.text, SentenceSpan(offset + span.begin, offset + span.end))
    around = passages.passage(number), passages.location(number)[0]
    where = whole.location(begin, end)
    return Answer(whole.text[begin:end], score, passages.name(number), *where, *around)
