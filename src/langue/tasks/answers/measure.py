"""Answering all questions of a file, and how well: the sentence or span, EM and F1, and "no answer"."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from langue.base.progress import bar
from langue.evaluation.bootstrap import Ratio, ratio
from langue.models.folder import ModelFolder
from langue.protocols import SpanPredictor
from langue.tasks.answers.answer import Answers, answer
from langue.tasks.answers.spans import answer_by_span
from langue.tasks.answers.squad import Asked, exact_match, f1, read_squad
from langue.tasks.retrieval.passages import Passages, Text
from langue.tasks.retrieval.terms import is_han

Unit = Literal["sentence", "span"]


class NoAnswer(NamedTuple):
    """How well unanswerable questions are told."""

    precision: float
    recall: float
    f1: float
    unanswerable: int


@dataclass(frozen=True)
class AnswerEvaluation:
    """The questions of a file, answered by sentences and measured where the file has right answers."""

    name: str
    questions: int
    sentence: Ratio | None  # whose best sentence has an answer, of the answerable, whatever the threshold;
    # None also of spans, which are not to hold an answer but to be one
    exact: Ratio  # of what is answered, all questions
    f1: Ratio
    no_answer: NoAnswer | None  # where some questions cannot be answered
    chinese: bool  # EM and F1 as CMRC's script counts
    seconds: float
    predictions: dict[str, str] = field(repr=False)  # by the id of a question; empty: no answer
    unit: Unit = "sentence"  # what is given as an answer
    baseline: "AnswerEvaluation | None" = None  # beside a model: what is reached without one
    passed: bool = True  # it has no self-tests

    def to_json(self) -> dict[str, Any]:
        return {
            "file": self.name,
            "questions": self.questions,
            "sentence": self.sentence.to_json() if self.sentence else None,
            "exact_match": self.exact.to_json(),
            "f1": self.f1.to_json(),
            "no_answer": self.no_answer._asdict() if self.no_answer else None,
            "counted_as": "cmrc2018" if self.chinese else "squad",
            "unit": self.unit,
            "seconds": round(self.seconds, 3),
            **({"baseline": self.baseline.to_json()} if self.baseline else {}),
        }

    def __str__(self) -> str:
        lines = []
        if self.sentence:
            lines.append(f"sentence   {_percent(self.sentence)}  the best sentence has an answer in it")
        script = "CMRC" if self.chinese else "SQuAD"
        lines += [
            f"EM         {_percent(self.exact)}  {self.unit}s as answers, counted as by {script}'s script",
            f"F1         {_percent(self.f1)}",
        ]
        if self.no_answer:
            told = self.no_answer
            lines.append(
                f"no answer  {told.f1:7.2%}  F1; precision {told.precision:.2%}, recall {told.recall:.2%} of "
                f"{told.unanswerable:,} unanswerable"
            )
        lines.append(f"measured on {self.questions:,} questions of {self.name}")
        if self.baseline:
            exact, overlap = self.baseline.exact.value, self.baseline.f1.value
            lines.append(f"baseline   EM {exact:.2%}, F1 {overlap:.2%}: the best sentence, without a model")
        return "\n".join(lines)


def _percent(figure: Ratio) -> str:
    if figure.interval is None:
        return f"{figure.value:7.2%}"
    return f"{figure.value:7.2%}  [{figure.interval[0]:.2%}, {figure.interval[1]:.2%}]"


def evaluate_spans(folder: ModelFolder[SpanPredictor], path: Path) -> AnswerEvaluation:
    """Measure a model of spans on the questions of a file, beside what is reached without one."""
    return replace(answer_squad(path, by=folder), baseline=answer_squad(path))


def answer_squad(
    path: Path,
    elsewhere: Passages | None = None,
    *,
    threshold: float | None = None,
    by: ModelFolder[SpanPredictor] | None = None,
) -> AnswerEvaluation:
    """Answer every question of a file in the format of SQuAD or CMRC 2018, and measure.

    Args:
        elsewhere: look here; None: each question in its own paragraph.
        threshold: as `answer` takes it.
        by: a model that gives spans; None: sentences, without one.

    Raises:
        LangueError: as `read_squad`.
    """
    started = time.perf_counter()
    paragraphs = read_squad(path)
    texts = (Text(f"{path.name}: paragraph {number}", one.text) for number, one in enumerate(paragraphs))
    passages = elsewhere or Passages.of(texts, "text")
    numbers = {passages.spans[number].text: number for number in range(len(passages))}
    say = partial(answer_by_span, folder=by) if by is not None else answer
    asked: list[Asked] = []
    given: list[Answers] = []
    with bar("answering", len(paragraphs)) as shown:
        for number, paragraph in enumerate(paragraphs):
            among = [numbers[number]] if elsewhere is None and number in numbers else None
            for one in paragraph.questions:
                asked.append(one)
                given.append(say(one.question, passages, threshold=threshold, among=among))
            shown.advance()
    unit: Unit = "span" if by is not None else "sentence"
    return _measured(path, asked, given, unit=unit, own=elsewhere is None, started=started)


def _measured(
    path: Path,
    asked: Sequence[Asked],
    given: Sequence[Answers],
    *,
    unit: Unit,
    own: bool,
    started: float,
) -> AnswerEvaluation:
    chinese = is_han("".join(one.question for one in asked[:100]))
    answers = [[gold.text for gold in one.answers] for one in asked]
    both = zip(asked, given, strict=True)
    held = [_holds(one, said, own=own) for one, said in both if one.answers and unit == "sentence"]
    pairs = list(zip(given, answers, strict=True))
    exact = [exact_match(said.text, right, chinese=chinese) for said, right in pairs]
    overlap = [f1(said.text, right, chinese=chinese) for said, right in pairs]
    return AnswerEvaluation(
        path.name,
        len(asked),
        _mean(held) if held else None,
        _mean(exact),
        _mean(overlap),
        _no_answer(given, answers),
        chinese,
        time.perf_counter() - started,
        {one.id: said.text for one, said in zip(asked, given, strict=True)},
        unit,
    )


def _holds(asked: Asked, said: Answers, *, own: bool) -> float:
    """Whether the best sentence has an answer in it: at its offset, or, in other texts, as a string."""
    if not said.candidates:
        return 0.0
    best = said.candidates[0]
    if own:
        return float(any(best.begin <= gold.begin < best.end for gold in asked.answers))
    return float(any(gold.text in best.text for gold in asked.answers))


def _mean(values: Sequence[float]) -> Ratio:
    return ratio(np.array(values, np.float64), np.ones(len(values)))


def _no_answer(given: Sequence[Answers], answers: Sequence[Sequence[str]]) -> NoAnswer | None:
    meant = [not right for right in answers]
    if not any(meant):
        return None
    said = [not one.answered for one in given]
    both = sum(one and other for one, other in zip(said, meant, strict=True))
    precision, recall = both / max(sum(said), 1), both / sum(meant)
    return NoAnswer(precision, recall, 2 * both / max(sum(said) + sum(meant), 1), sum(meant))
