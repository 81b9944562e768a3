"""The sentence that answers a question, out of many passages: the best by BM25, then the ranker on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from langue.base.arrays import Float64Array
from langue.tasks.answers.features import features
from langue.tasks.answers.questions import Question
from langue.tasks.answers.ranker import Ranker, log_softmax, ranker
from langue.tasks.retrieval.bm25 import best
from langue.tasks.retrieval.passages import Passages
from langue.tasks.retrieval.terms import terms_of

CANDIDATES = 10  # passages whose sentences are looked at: BM25 has the right one among them nearly always


class Answer(NamedTuple):
    """A sentence that may answer, and where it stands."""

    text: str
    score: float  # of the first the probability that it answers; of another as much less as it is less likely
    source: str  # file, record or document
    begin: int  # characters from the beginning of its text
    end: int
    begin_byte: int  # the same in UTF-8
    end_byte: int
    passage: str  # around it
    passage_begin: int  # characters from the beginning of its text


@dataclass(frozen=True)
class Answers:
    """What was found in answer to a question, the likeliest first."""

    question: str
    candidates: list[Answer]
    answerable: float  # the probability that the first does answer
    threshold: float
    by: str  # what answered: the package's own ranker, or the name of a model

    @property
    def answered(self) -> bool:
        """Whether there is an answer: "no answer" is one, too."""
        return bool(self.candidates) and self.answerable >= self.threshold

    @property
    def text(self) -> str:
        """Of the answer; empty where there is none."""
        return self.candidates[0].text if self.answered else ""

    def to_json(self) -> dict[str, Any]:
        return {
            "question": self.question,
            "answer": self.text or None,
            "answerable": round(self.answerable, 4),
            "threshold": self.threshold,
            "by": self.by,
            "candidates": [one._asdict() | {"score": round(one.score, 4)} for one in self.candidates],
        }

    def __str__(self) -> str:
        if not self.candidates:
            return "no answer: no passage shares a word with the question"
        lines = []
        if not self.answered:
            lines.append(
                f"no answer: the best sentence answers with probability {self.answerable:.2f}, "
                f"below {self.threshold:.2f}; it is"
            )
        for one in self.candidates:
            where = f"characters {one.begin:,}–{one.end:,}, bytes {one.begin_byte:,}–{one.end_byte:,}"
            lines += [" ".join(one.text.split()), f"    {one.score:.2f}  {one.source}, {where}"]
        return "\n".join(lines)


class Candidate(NamedTuple):
    """A passage that may hold the answer."""

    number: int  # of the passages
    bm25: float  # as a share of the most that the question could get
    table: Float64Array  # features of its sentences
    spans: Sequence[tuple[int, int]]


def candidates(question: Question, passages: Passages, among: Sequence[int] | None = None) -> list[Candidate]:
    """The passages that share most with a question, with the features of their sentences.

    Args:
        among: these passages; None: the best by BM25, and none that has no word of the question.
    """
    index = passages.index
    weights = index.weights(terms_of(question.text))
    scores = index.scores(weights) / (sum(weights.values()) or 1.0)
    if among is None:
        among = [number for number in best(scores, CANDIDATES) if scores[number] > 0]
    rows = []
    for number in among:
        spans = passages.sentences(number)
        text = passages.texts[passages.spans[number].text].text
        table = features(question, [text[begin:end] for begin, end in spans], index)
        rows.append(Candidate(number, float(scores[number]), table, spans))
    return rows


def answer(
    question: str,
    passages: Passages,
    *,
    k: int = 1,
    threshold: float | None = None,
    among: Sequence[int] | None = None,
    by: Ranker | None = None,
) -> Answers:
    """The sentences that answer a question, out of passages.

    Args:
        k: sentences, at most.
        threshold: of the probability below which there is no answer; None: that of the ranker.
        among: look in these passages only.
        by: instead of the ranker of the question's language.
    """
    asked = Question(question)
    by = by or ranker(han=asked.han)
    limit = by.threshold if threshold is None else threshold
    told = f"BM25 and langue's ranker of {'Chinese' if asked.han else 'English'} sentences"
    rows = candidates(asked, passages, among)
    if not rows:
        return Answers(question, [], 0.0, limit, told)
    scores = [row.table @ by.sentence for row in rows]
    of_passage = by.passages([row.bm25 for row in rows], scores)
    joint = np.concatenate(
        [score + log_softmax(some) for score, some in zip(of_passage, scores, strict=True)]
    )
    owners = [(row, line) for row, some in enumerate(scores) for line in range(len(some))]
    order = best(joint, k)
    first, line = owners[order[0]]
    likely = by.answerable(rows[first].table[line], scores[first], rows[first].bm25)
    beside = np.exp(joint - joint[order[0]])  # how likely each is beside the first
    chosen = []
    for index in order:
        row, line = owners[index]
        chosen.append(_answer(passages, rows[row], rows[row].spans[line], likely * float(beside[index])))
    return Answers(question, chosen, likely, limit, told)


def _answer(passages: Passages, row: Candidate, span: tuple[int, int], score: float) -> Answer:
    whole = passages.texts[passages.spans[row.number].text]
    around = passages.passage(row.number), passages.location(row.number)[0]
    sentence = whole.text[slice(*span)]
    return Answer(sentence, score, passages.name(row.number), *whole.location(*span), *around)
