"""Extractive summaries: sentences of a document, chosen by a method, as many as a length allows."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from langue.base.arguments import check_choice, check_count, check_text
from langue.base.arrays import Float64Array
from langue.base.errors import InvalidSetting
from langue.base.progress import log
from langue.base.scripts import HAN
from langue.corpus.units import DocumentUnits, Unit, split_document
from langue.models.summarizers.salience import SentenceTerms, centroid, lead, lexrank, textrank
from langue.models.summarizers.terms import own_background
from langue.protocols import SentenceRanker
from langue.tokens.words import count_words

Method = Literal["lead", "centroid", "textrank", "lexrank", "ranker"]
METHODS: tuple[Method, ...] = get_args(Method)
DEFAULT: Method = "lexrank"  # the best without training: benchmarks/results/summaries.md
# What the first sentence gains of its score by LexRank, the second half of it, and so on: of 0 to 1, the best
# mean over the dev parts of BBC, DialogSum and CSL.
EARLY = 0.2
SENTENCES = 3  # where no length is given: what a summary of news is measured with
TERMS = 5  # that an explanation names
_HAN = re.compile(f"[{HAN}]")
_JOINED = frozenset("。！？…」』”’）】》，；：、.,;:!?")


class Length(NamedTuple):
    """How long a summary may be; one of them is set."""

    sentences: int | None = None
    characters: int | None = None
    words: int | None = None
    ratio: float | None = None  # of the sentences

    @classmethod
    def of(
        cls, sentences: int | None, characters: int | None, words: int | None, ratio: float | None
    ) -> "Length":
        """The one that is given, else three sentences.

        Raises:
            InvalidSetting: several are given, or one is out of its bounds.
        """
        given = {
            name: value
            for name, value in zip(cls._fields, (sentences, characters, words, ratio), strict=True)
            if value is not None
        }
        if len(given) > 1:
            raise InvalidSetting(
                f"a summary has one length: choose one of {' and '.join(f'--{name}' for name in given)}"
            )
        if not given:
            return cls(sentences=SENTENCES)
        for name, value in given.items():
            if name != "ratio":
                check_count(name, value, least=1)
            elif isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
                raise InvalidSetting(f"ratio is {value!r}; give a number above 0, at most 1")
        return cls(sentences, characters, words, ratio)


@dataclass(frozen=True)
class ChosenSentence:
    """A sentence of a summary: characters `begin` to `end` - 1 of its document."""

    text: str
    begin: int
    end: int
    number: int  # in the document, from 1
    rank: int  # among its sentences, from 1
    score: float
    reasons: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        table = {
            "text": self.text,
            "begin": self.begin,
            "end": self.end,
            "number": self.number,
            "rank": self.rank,
            "score": round(self.score, 6),
        }
        return table | ({"reasons": list(self.reasons)} if self.reasons else {})


@dataclass(frozen=True)
class Summary:
    """The summary of a document."""

    text: str
    sentences: tuple[ChosenSentence, ...]  # in the order of the document; none of one that was written
    method: str
    total: int  # sentences that the document has
    copied: float | None = None  # of one that was written: the share that stands in the document, in runs
    cut: bool = False  # whether the document was longer than what the model that wrote it reads

    def to_json(self) -> dict[str, Any]:
        table = {
            "summary": self.text,
            "method": self.method,
            "sentences": [sentence.to_json() for sentence in self.sentences],
            "total": self.total,
        }
        if self.copied is not None:
            table |= {"copied": round(self.copied, 4), "cut": self.cut}
        return table

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Summarizer:
    """A method, ready for any number of documents.

    Args:
        model: the trained ranker, of the method `ranker`.
        unit: what is chosen; of a ranker, what it was trained to choose.
    """

    method: Method
    length: Length
    model: SentenceRanker | None = None
    unit: Unit = "sentence"

    def __post_init__(self) -> None:
        check_choice("method", self.method, METHODS)
        check_choice("unit", self.unit, get_args(Unit))
        if (self.method == "ranker") != (self.model is not None):
            raise InvalidSetting(
                "the method ranker uses a model: langue train ranker PAIRS -o MODEL, and name its folder"
                if self.model is None
                else f"the method {self.method} uses no model; leave it out, or choose ranker"
            )

    def summarize(self, text: str, *, title: str = "", explain: bool = False) -> Summary:
        """The summary of a text; "" of one without sentences.

        Args:
            title: what it is about, beside the text; left out, its first heading.
            explain: tell why each sentence was chosen.
        """
        document = split_document(check_text("text", text), check_text("title", title), self.unit)
        matrix = SentenceTerms(document.sentences)
        scores = self._scores(document, matrix)
        ranked = np.argsort(-scores, kind="stable").tolist()
        chosen = sorted(_choose(document, _distinct(document, ranked), self.length))
        if ranked and not chosen:
            log.warning("no sentence is so short: the summary is empty; give it more room")
        reasons = self._reasons(document, matrix, chosen) if explain else [[] for _ in chosen]
        ranks = {index: rank for rank, index in enumerate(ranked, 1)}
        sentences = tuple(
            ChosenSentence(
                text[document.spans[k].begin : document.spans[k].end],
                document.spans[k].begin,
                document.spans[k].end,
                k + 1,
                ranks[k],
                float(scores[k]),
                tuple(why),
            )
            for k, why in zip(chosen, reasons, strict=True)
        )
        return Summary(join(sentences, self.unit), sentences, self.method, len(document.spans))

    def _scores(self, document: DocumentUnits, matrix: SentenceTerms) -> Float64Array:
        if self.model is not None:
            return np.asarray(self.model.sentence_log_odds(document), np.float64)
        methods: dict[str, Callable[[], Float64Array]] = {
            "lead": lambda: lead(matrix),
            "centroid": lambda: centroid(matrix, own_background().idf(matrix.terms)),
            "textrank": lambda: textrank(matrix),
            "lexrank": lambda: lexrank(matrix, own_background().idf(matrix.terms)) * early(matrix.N),
        }
        return methods[self.method]()

    def _reasons(
        self, document: DocumentUnits, matrix: SentenceTerms, chosen: Sequence[int]
    ) -> list[list[str]]:
        if self.model is not None:
            return self.model.sentence_reasons(document, chosen)
        if self.method == "lead":
            return [[f"sentence {index + 1} of {matrix.N}"] for index in chosen]
        shared = (", ".join(_shared(matrix, index)) for index in chosen)
        return [[f"shares with others: {terms}" if terms else "shares no term"] for terms in shared]


def early(number: int) -> Float64Array:
    """Factors for the first sentences of a document, where most say what they are about: `(number,)`."""
    return 1.0 + EARLY / (1.0 + np.arange(number, dtype=np.float64))


def _shared(matrix: SentenceTerms, row: int) -> list[str]:
    """The terms that tie a sentence most to the others."""
    weights = matrix.weighed(own_background().idf(matrix.terms))
    total = matrix.sum_by_term(weights)
    begin, end = np.searchsorted(matrix.rows, [row, row + 1])
    terms = [(weights[k] * (total[matrix.columns[k]] - weights[k]), k) for k in range(begin, end)]
    strongest = sorted(terms, key=lambda pair: -pair[0])[:TERMS]
    return [matrix.terms[matrix.columns[k]] for pull, k in strongest if pull > 0]


def _distinct(document: DocumentUnits, ranked: Sequence[int]) -> list[int]:
    """Those that no better one says word for word, as a book says "He went on." many times."""
    sentences, best = document.sentences, dict[str, int]()
    for index in ranked:
        best.setdefault(sentences[index].strip(), index)
    return list(best.values())


def _choose(document: DocumentUnits, ranked: Sequence[int], length: Length) -> list[int]:
    """The best sentences that there is room for."""
    if length.sentences is not None or length.ratio is not None:
        number = length.sentences or max(1, round((length.ratio or 0.0) * len(ranked)))
        return list(ranked[:number])
    best = ranked[: (len(ranked) + 1) // 2]  # room that is left is not filled with what says little
    return _fitting(document, best, length) or _fitting(document, ranked, length)[:1]


def _fitting(document: DocumentUnits, ranked: Sequence[int], length: Length) -> list[int]:
    """The best that fit into so many words or characters together."""
    size = count_words if length.words is not None else len
    room = length.words or length.characters or 0
    chosen: list[int] = []
    for index in ranked:
        begin, end = document.spans[index]
        blank = 1 if chosen and length.characters else 0
        needed = size(document.text[begin:end]) + blank
        if needed <= room:
            chosen.append(index)
            room -= needed
    return chosen


def join(sentences: Sequence[ChosenSentence], unit: Unit = "sentence") -> str:
    """Sentences as one text: with a blank between them, of Chinese without, lines as lines."""
    if unit == "line":
        return "\n".join(sentence.text for sentence in sentences)
    text = ""
    for sentence in sentences:
        text += (_between(text, sentence.text, unit) if text else "") + sentence.text
    return text


def _between(before: str, after: str, unit: Unit) -> str:
    chinese = before[-1] in "。！？…」』）】》" or _HAN.match(before[-1]) or _HAN.match(after)
    if unit == "clause" and before[-1] not in _JOINED:
        return "，" if chinese else ", "
    return "" if chinese else " "
