"""How near summaries come to those of people: ROUGE (Lin 2004) by rouge-score, chrF and BLEU by sacrebleu.

English words are stemmed, as published figures are; Chinese is compared by characters, and its rows say so.
How much of a summary is copied stands beside them: of n-grams of its document, however good it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from langue.base.arrays import Float64Array
from langue.base.errors import MissingExtra
from langue.corpus.units import tokens_of
from langue.evaluation.bootstrap import Interval, interval, resampled_ratios

ROUGE = ("rouge1", "rouge2", "rougeL", "rougeLsum")
COPIED = 3  # tokens in a row
MOSTLY = 0.3  # of letters: so many Han characters make a text Chinese


class Characters:
    """The tokenizer of Chinese that rouge-score is given: a character each, other scripts by words."""

    def tokenize(self, text: str) -> list[str]:
        return tokens_of(text)


def is_chinese(texts: Sequence[str]) -> bool:
    """Whether texts are compared by characters."""
    tokens = [token for text in texts for token in tokens_of(text)]
    return sum(len(token) == 1 and not token.isascii() for token in tokens) > MOSTLY * len(tokens)


@dataclass(frozen=True)
class SummaryScores:
    """Figures of the summaries of several documents, in per cent."""

    documents: int
    characters: bool  # whether tokens are characters of Chinese
    rouge: dict[str, Float64Array]  # F1 of each document
    chrf: float
    bleu: float
    copied: float  # share of tokens in runs of `COPIED` that stand in the document

    def mean(self, name: str) -> float:
        return float(self.rouge[name].mean())

    def interval(self, name: str) -> Interval | None:
        """Of the mean, by bootstrap over documents; None with one document."""
        values = self.rouge[name]
        if len(values) < 2:
            return None
        return interval(resampled_ratios(values[None], np.ones(len(values)))[0])

    def above(self, other: "SummaryScores", name: str) -> Interval | None:
        """Of the difference of two systems on the same documents (paired bootstrap)."""
        rows = np.stack([self.rouge[name], other.rouge[name]])
        if rows.shape[1] < 2:
            return None
        means = resampled_ratios(rows, np.ones(rows.shape[1]))
        return interval(means[0] - means[1])

    def to_json(self) -> dict[str, Any]:
        table: dict[str, Any] = {"documents": self.documents, "characters": self.characters}
        for name in self.rouge:
            bounds = self.interval(name)
            table[name] = {"value": self.mean(name), "interval": list(bounds) if bounds else None}
        return table | {"chrf": self.chrf, "bleu": self.bleu, "copied": self.copied}


def score_summaries(
    summaries: Sequence[str], references: Sequence[Sequence[str]], documents: Sequence[str]
) -> SummaryScores:
    """Compare summaries with those of people.

    Args:
        summaries: a sentence a line, where there are several (rougeLsum looks at lines).
        references: one or several of each document: of several, the mean counts.
        documents: to tell what is copied.

    Raises:
        MissingExtra: rouge-score or sacrebleu is not installed.
    """
    try:
        from rouge_score.rouge_scorer import RougeScorer
        from sacrebleu.metrics.bleu import BLEU
        from sacrebleu.metrics.chrf import CHRF
    except ImportError as error:
        name = (error.name or "rouge_score").partition(".")[0].replace("_", "-")
        raise MissingExtra(name, "eval", "ROUGE of summaries") from None
    chinese = is_chinese([text for texts in references for text in texts])
    names = ROUGE if any("\n" in text for texts in references for text in texts) else ROUGE[:3]
    scorer = RougeScorer(list(names), use_stemmer=not chinese, tokenizer=Characters() if chinese else None)
    rouge = {name: np.zeros(len(summaries)) for name in names}
    for row, (summary, texts) in enumerate(zip(summaries, references, strict=True)):
        scores = [scorer.score(text, summary) for text in texts]
        for name in names:
            rouge[name][row] = 100.0 * float(np.mean([score[name].fmeasure for score in scores]))
    # One list for each of the references that all documents have.
    columns = list(zip(*references, strict=False))
    bleu = BLEU(tokenize="zh" if chinese else "13a")
    return SummaryScores(
        documents=len(summaries),
        characters=chinese,
        rouge=rouge,
        chrf=float(CHRF().corpus_score(list(summaries), columns).score),
        bleu=float(bleu.corpus_score(list(summaries), columns).score),
        copied=100.0 * copied_share(summaries, documents),
    )


def copied_share(summaries: Sequence[str], documents: Sequence[str]) -> float:
    """Share of the tokens of summaries that stand in their document in a run of `COPIED` tokens or more."""
    copied = total = 0
    for summary, document in zip(summaries, documents, strict=True):
        for line in summary.splitlines():
            tokens = tokens_of(line)
            n = min(COPIED, len(tokens))
            if not n:
                continue
            source = tokens_of(document)
            runs = {tuple(source[k : k + n]) for k in range(len(source) - n + 1)}
            held = np.zeros(len(tokens), np.bool_)
            for k in range(len(tokens) - n + 1):
                if tuple(tokens[k : k + n]) in runs:
                    held[k : k + n] = True
            copied, total = copied + int(held.sum()), total + len(tokens)
    return copied / total if total else 0.0
