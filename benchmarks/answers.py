"""The sentence that answers: how often it is the right one, beside BM25, on SQuAD and CMRC 2018.

    python benchmarks/answers.py [--write]     # --write: keep the weights that the package ships

English is measured on twelve parts of whole articles, each by weights that are learned from the others; those
that are shipped are learned from all. The Chinese weights are learned from CMRC's trial part and measured on
its dev part. A sentence is right if an answer begins in it, at its offset. Unanswerable questions are made:
each question is asked again of the passage that BM25 likes best among those without the answer's text.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from langue.evaluation.bootstrap import ratio
from langue.models.taggers.crf.minimize import minimize
from langue.tasks.answers import ranker as models
from langue.tasks.answers.answer import Candidate, candidates
from langue.tasks.answers.features import NAMES
from langue.tasks.answers.questions import TYPES, Question
from langue.tasks.answers.squad import read_squad
from langue.tasks.retrieval.passages import Passages, Text

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
FOLDS = 12
PENALTY = 3.0  # of the squares of the weights of standardized features
Floats = npt.NDArray[np.float64]


class Row(NamedTuple):
    """A question, the passage that it was asked about, and others."""

    article: int
    type: str
    right: npt.NDArray[np.bool_]  # of the sentences of its own passage
    own: Candidate
    best: list[Candidate]  # of all passages, by BM25
    rank: int  # of its own among all by BM25
    without: Candidate | None  # the best that does not hold the answer


def rows_of(file: Path) -> list[Row]:
    paragraphs = read_squad(file)
    passages = Passages.of((Text(str(n), one.text) for n, one in enumerate(paragraphs)), "text")
    rows = []
    for number, paragraph in enumerate(paragraphs):
        for asked in paragraph.questions:
            question = Question(asked.question)
            best = candidates(question, passages)
            order = [one.number for one in best]
            own = (
                best[order.index(number)] if number in order else candidates(question, passages, [number])[0]
            )
            starts = [gold.begin for gold in asked.answers]
            right = np.array([any(begin <= start < end for start in starts) for begin, end in own.spans])
            texts = [gold.text for gold in asked.answers]
            without = [one for one in best if not any(text in passages.passage(one.number) for text in texts)]
            rank = order.index(number) if number in order else len(order)
            rows.append(
                Row(paragraph.article, question.type, right, own, best, rank, without[0] if without else None)
            )
    return rows


def conditional_logit(tables: Sequence[Floats], right: Sequence[npt.NDArray[np.bool_]]) -> Floats:
    """Weights under which the right rows of each table have the largest share (McFadden 1974)."""
    kept = [(table, one) for table, one in zip(tables, right, strict=True) if one.any()]
    stacked = np.concatenate([table for table, _ in kept])
    scale = stacked.std(0) + 1e-9
    stacked /= scale
    marked = np.concatenate([one for _, one in kept])
    starts = np.cumsum([0, *(len(table) for table, _ in kept)])[:-1]
    owner = np.repeat(np.arange(len(kept)), [len(table) for table, _ in kept])

    def loss(theta: Floats) -> tuple[float, Floats]:
        scores = stacked @ theta
        scores -= np.maximum.reduceat(scores, starts)[owner]
        weights = np.exp(scores)
        total = np.add.reduceat(weights, starts)
        of_right = np.add.reduceat(weights * marked, starts)
        difference = weights / total[owner] - weights * marked / of_right[owner]
        value = np.log(total / of_right).sum() + PENALTY / 2 * theta @ theta
        return float(value), stacked.T @ difference + PENALTY * theta

    return minimize(loss, np.zeros(stacked.shape[1]), steps=300, tolerance=1e-6).theta / scale


def logistic(table: Floats, marked: npt.NDArray[np.bool_]) -> Floats:
    """Weights of a logistic regression; the last column is the bias."""
    scale = table.std(0)
    scale[scale < 1e-9] = 1.0

    def loss(theta: Floats) -> tuple[float, Floats]:
        scores = (table / scale) @ theta
        value = np.logaddexp(0, np.where(marked, -scores, scores)).sum() + theta[:-1] @ theta[:-1] / 2
        gradient = (table / scale).T @ (1 / (1 + np.exp(-scores)) - marked)
        return float(value), gradient + np.r_[theta[:-1], 0.0]

    return minimize(loss, np.zeros(table.shape[1]), steps=300, tolerance=1e-7).theta / scale


class Asked(NamedTuple):
    """What is said of a passage: whether it can be right, is, and how likely it was said to be."""

    answerable: bool
    right: bool
    likely: float


def learn(rows: Sequence[Row]) -> models.Ranker:
    sentence = conditional_logit([row.own.table for row in rows], [row.right for row in rows])
    tables, marks = [], []
    for row in rows:
        scores = [one.table @ sentence for one in row.best]
        if row.best:
            tables.append(models.passage_features([one.bm25 for one in row.best], scores))
            marks.append(np.array([one.number == row.own.number for one in row.best]))
    passage = conditional_logit(tables, marks)
    asked, told = [], []
    for row in rows:
        for one, right in ((row.own, row.right), (row.without, None)):
            if one is not None:
                scores = one.table @ sentence
                line = int(scores.argmax())
                asked.append(models.answer_features(one.table[line], scores, one.bm25))
                told.append(right is not None and bool(right[line]))
    answer = logistic(np.array(asked), np.array(told))
    drawn = models.Ranker(sentence, passage, answer, 0.5, 0.0)
    said = asked_of(rows, drawn)
    cuts = np.quantile([one.likely for one in said], np.linspace(0.02, 0.98, 97))
    threshold = max(cuts, key=lambda cut: np.mean([correct(one, cut) for one in said]))
    return models.Ranker(sentence, passage, answer, float(threshold), 0.0)


def asked_of(rows: Sequence[Row], by: models.Ranker) -> list[Asked]:
    """Every question, asked of its own passage and of one without the answer."""
    asked = []
    for row in rows:
        for one, right in ((row.own, row.right), (row.without, None)):
            if one is not None:
                scores = one.table @ by.sentence
                line = int(scores.argmax())
                likely = by.answerable(one.table[line], scores, one.bm25)
                asked.append(Asked(right is not None, right is not None and bool(right[line]), likely))
    return asked


def correct(one: Asked, threshold: float) -> bool:
    return one.right if one.likely >= threshold else not one.answerable


def f1_of_no_answer(asked: Sequence[Asked], threshold: float) -> float:
    said = np.array([one.likely < threshold for one in asked])
    meant = np.array([not one.answerable for one in asked])
    return float(2 * (said & meant).sum() / max(said.sum() + meant.sum(), 1))


class Figures:
    """Rows measured by rankers that have not seen them."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.right: list[bool] = []
        self.rank: list[int] = []
        self.anywhere: list[bool] = []
        self.asked: list[Asked] = []
        self.said: list[bool] = []
        self.correct: list[bool] = []

    def add(self, rows: Sequence[Row], by: models.Ranker) -> None:
        for row in rows:
            scores = [one.table @ by.sentence for one in row.best]
            self.rows.append(row)
            self.right.append(bool(row.right[int((row.own.table @ by.sentence).argmax())]))
            of_passage = by.passages([one.bm25 for one in row.best], scores) if row.best else np.empty(0)
            order = [row.best[index].number for index in np.argsort(-of_passage, kind="stable")]
            self.rank.append(order.index(row.own.number) if row.own.number in order else len(order))
            joint = [
                part + models.log_softmax(some).max() for part, some in zip(of_passage, scores, strict=True)
            ]
            taken = row.best[int(np.argmax(joint))] if joint else row.own
            own = taken.number == row.own.number
            self.anywhere.append(own and self.right[-1])
        asked = asked_of(rows, by)
        self.asked += [one._replace(likely=float(one.likely >= by.threshold)) for one in asked]
        self.correct += [correct(one, by.threshold) for one in asked]

    def print(self, name: str) -> None:
        print(f"{name}: {len(self.rows):,} questions, {len({row.article for row in self.rows}):,} articles")
        bm25 = [bool(row.right[int(row.own.table[:, 0].argmax())]) for row in self.rows]
        first = share([bool(row.right[0]) for row in self.rows])
        print(f"  the sentence, within the given paragraph   first {first}")
        print(f"{'':45}BM25  {share(bm25)}")
        print(f"{'':45}ours  {share(self.right)}")
        gain = np.array(self.right, float) - np.array(bm25, float)
        print(f"{'':45}gain  {share(gain)}")
        for k in (1, 5):
            of_bm25 = share([row.rank < k for row in self.rows])
            print(f"  the paragraph, of all: recall@{k}            BM25  {of_bm25}")
            print(f"{'':45}ours  {share([rank < k for rank in self.rank])}")
        print(f"  the sentence, of all paragraphs            ours  {share(self.anywhere)}")
        f1 = f1_of_no_answer(self.asked, 0.5)
        always = f1_of_no_answer([one._replace(likely=0.0) for one in self.asked], 0.5)
        print(
            f"  no answer, half of {len(self.asked):,} unanswerable: F1 {f1:.2%} (said always: {always:.2%})"
        )
        print(f"  right sentence or rightly none             ours  {share(self.correct)}")
        by_type = {
            one: [right for row, right in zip(self.rows, self.right, strict=True) if row.type == one]
            for one in TYPES
        }
        told = "  ".join(
            f"{one} {np.mean(some):.0%} of {len(some):,}" for one, some in by_type.items() if some
        )
        print(f"  by type: {told}", flush=True)


def share(values: Sequence[bool] | Floats) -> str:
    """A mean with its interval over questions."""
    figure = ratio(np.array(values, float), np.ones(len(values)))
    assert figure.interval is not None
    low, high = figure.interval
    return f"{figure.value:7.2%} [{low:.2%}, {high:.2%}]"


def table_of(by: models.Ranker, f1: float) -> dict[str, Any]:
    parts = {"sentence": NAMES, "passage": models.OF_PASSAGE, "answer": models.OF_ANSWER}
    table: dict[str, Any] = {
        part: {name: round(float(weight), 4) for name, weight in zip(names, getattr(by, part), strict=True)}
        for part, names in parts.items()
    }
    return table | {"threshold": round(by.threshold, 3), "threshold_f1": round(f1, 4)}


def timed(work: Callable[[], Any], what: str) -> Any:
    started = time.process_time()
    result = work()
    print(f"({what}: {time.process_time() - started:.0f} s of CPU)", flush=True)
    return result


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--write", action="store_true", help="keep the weights that the package ships")
    chosen = options.parse_args()
    english = timed(lambda: rows_of(DATA / "squad" / "dev.json"), "features of SQuAD")
    figures = Figures()
    for fold in range(FOLDS):
        by = learn([row for row in english if row.article % FOLDS != fold])
        figures.add([row for row in english if row.article % FOLDS == fold], by)
    figures.print("SQuAD 1.1, 24 articles of dev, each measured by weights of others")
    tables = {"english": table_of(learn(english), f1_of_no_answer(figures.asked, 0.5))}
    trial = timed(lambda: rows_of(DATA / "cmrc2018" / "trial.json"), "features of CMRC trial")
    dev = timed(lambda: rows_of(DATA / "cmrc2018" / "dev.json"), "features of CMRC dev")
    by, figures = learn(trial), Figures()
    figures.add(dev, by)
    figures.print("CMRC 2018 dev, measured by weights of trial")
    tables["chinese"] = table_of(by, f1_of_no_answer(figures.asked, 0.5))
    if chosen.write:
        note = (
            "Made by benchmarks/answers.py --write. English: learned from SQuAD 1.1 (24 articles of dev); "
            "Chinese: from CMRC 2018 (trial). Both are CC BY-SA 4.0; none of their text is here."
        )
        models.WEIGHTS.write_text(json.dumps({"note": note, **tables}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
