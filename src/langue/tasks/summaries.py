"""Training a ranker on documents and their summaries, and measuring it beside what needs no training."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langue.base.checksums import sha256
from langue.base.config import decode
from langue.base.errors import LangueError
from langue.base.files import check_free
from langue.base.progress import bar, log
from langue.base.wording import counted
from langue.corpus.sentences import sentences_of
from langue.corpus.summary_pairs import SummaryDataConfig, SummaryPair, read_summary_pairs
from langue.corpus.units import Unit
from langue.models.folder import DESCRIPTION, ModelFolder, save
from langue.protocols import SentenceRanker, Seq2Seq
from langue.tasks.abstractive import METHOD as ABSTRACTIVE
from langue.tasks.abstractive import AbstractiveSummarizer
from langue.tasks.summarize import DEFAULT, Length, Method, Summarizer
from langue.tasks.summary_scores import ROUGE, SummaryScores, score_summaries
from langue.training.recipe import Recipe
from langue.training.run_folder import only_writer

BASELINES: tuple[Method, ...] = (DEFAULT, "lead")  # which are measured beside a model


def train_ranker(
    recipe: Recipe, data: Path, output: Path, *, overwrite: bool = False, resume: bool = False
) -> None:
    """Learn from a file of pairs and write a model folder.

    Raises:
        LangueError: the file is not of its form, the output is in the way, or there is nothing to learn.
    """
    if resume:
        raise LangueError("ranker keeps no checkpoints; train it again without --resume")
    assert isinstance(recipe.data, SummaryDataConfig) and recipe.family.estimate is not None
    with only_writer(output):
        check_free(output, marker=DESCRIPTION, overwrite=overwrite)
        pairs = list(read_summary_pairs(data, recipe.data))
        started = time.perf_counter()
        model = recipe.family.estimate(recipe.model, pairs)
        measured = {"seconds": round(time.perf_counter() - started, 3), **model.learned}
        log.info(
            "%s: %s documents, %.1f%% of their sentences are in a summary",
            data,
            f"{len(pairs):,}",
            100 * measured["share"],
        )
        save(
            output,
            model,
            family=recipe.family,
            config=recipe.model,
            recipe=recipe.to_table(),
            measured=measured,
            data={"file": data.name, "sha256": sha256(data), "documents": len(pairs)},
            card=_card(len(pairs), measured),
            overwrite=overwrite,
        )


def _card(documents: int, measured: dict[str, Any]) -> str:
    return (
        "# ranker: logistic regression that ranks sentences for a summary\n\n"
        f"Trained in {measured['seconds']:,.1f} s on {documents:,} documents with a summary each, which hold "
        f"{measured['share']:.1%} of their sentences.\n\n"
        "Made with langue. Use it: `langue summarize FILE --model MODEL`; measure it: "
        "`langue evaluate MODEL PAIRS`. It says what a summary is made of, not how likely a text is: it has "
        "no bits per byte.\n"
    )


@dataclass(frozen=True)
class SummaryEvaluation:
    """A model measured on documents with summaries, beside methods without training."""

    name: str
    system: str  # the method of the model, whose scores come first
    length: str  # what summaries are made of
    scores: dict[str, SummaryScores]  # by method
    seconds: float
    ratio: float | None = None  # of the sentences, where that is the length
    passed: bool = True  # it has no self-tests of scores

    def to_json(self) -> dict[str, Any]:
        return {
            "model": self.name,
            "method": self.system,
            **({} if self.ratio is None else {"ratio": self.ratio}),
            **self.scores[self.system].to_json(),
            "baselines": {
                method: scores.to_json() for method, scores in self.scores.items() if method != self.system
            },
            "seconds": round(self.seconds, 3),
        }

    def __str__(self) -> str:
        own = self.scores[self.system]
        names = [name for name in ROUGE if name in own.rouge]
        unit = " of characters" if own.characters else ""
        lines = [
            f"{'':11} " + " ".join(f"{label(name):>22}" for name in names) + "   chrF   BLEU  copied",
        ]
        for method, scores in self.scores.items():
            cells = []
            for name in names:
                bounds = scores.interval(name)
                shown = f" [{bounds[0]:.2f}, {bounds[1]:.2f}]" if bounds else ""
                cells.append(f"{f'{scores.mean(name):.2f}{shown}':>22}")
            lines.append(
                f"{method:11} {' '.join(cells)} {scores.chrf:6.2f} {scores.bleu:6.2f} {scores.copied:6.1f}%"
            )
        for method in BASELINES:
            bounds = own.above(self.scores[method], names[0])
            if bounds is not None:
                verdict = "better" if bounds[0] > 0 else "worse" if bounds[1] < 0 else "can't tell"
                span = f"{bounds[0]:+.2f} to {bounds[1]:+.2f}"
                lines.append(f"{self.system} − {method}: {label(names[0])} {span}, {verdict}")
        lines.append(
            f"{own.documents:,} documents; ROUGE is F1{unit} in per cent with 95 % intervals; summaries are "
            f"{self.length}"
        )
        return "\n".join(lines)


def label(name: str) -> str:
    """A figure of rouge-score as papers spell it."""
    return name.replace("rouge", "ROUGE-")


def evaluate_ranker(folder: ModelFolder[SentenceRanker], path: Path) -> SummaryEvaluation:
    """Measure a ranker on a file of pairs, with the methods that need no training beside it.

    Raises:
        LangueError: the file is not of its form.
        MissingExtra: rouge-score or sacrebleu is not installed.
    """
    layout = decode(SummaryDataConfig, folder.description.recipe.get("data", {}), "data")
    pairs = list(read_summary_pairs(path, layout))
    ratio = min(max(folder.description.figures().share, 1e-6), 1.0)
    started = time.perf_counter()
    ranker = Summarizer("ranker", Length(ratio=ratio), folder.model, folder.model.unit)
    scores = {"ranker": _measure(ranker, pairs), **_baselines(pairs, ranker.length, ranker.unit)}
    length = f"{ratio:.1%} of the sentences, as in training"
    seconds = time.perf_counter() - started
    return SummaryEvaluation(folder.path.name, "ranker", length, scores, seconds, ratio)


def evaluate_abstractive(
    folder: ModelFolder[Seq2Seq], path: Path, layout: SummaryDataConfig
) -> SummaryEvaluation:
    """Measure a model that writes summaries on a file of pairs, with methods that choose sentences beside it:
    of each document as many as the summaries of people have in the mean.

    Raises:
        LangueError: the file is not of its form.
        MissingExtra: rouge-score or sacrebleu is not installed.
    """
    pairs = list(read_summary_pairs(path, layout))
    sentences = sum(len(sentences_of(pair.summary)) for pair in pairs)
    number = max(1, round(sentences / len(pairs)))
    started = time.perf_counter()
    written = AbstractiveSummarizer(folder).summarize_all(pair.text for pair in pairs)
    summaries = []
    with bar(ABSTRACTIVE, len(pairs)) as progress:
        for summary in written:
            summaries.append("\n".join(sentences_of(summary.text)))
            progress.advance()
    scores = {ABSTRACTIVE: _scores(summaries, pairs), **_baselines(pairs, Length(sentences=number))}
    seconds = time.perf_counter() - started
    length = f"as long as the model writes them; {counted(number, 'sentence')} by the other methods"
    return SummaryEvaluation(folder.path.name, ABSTRACTIVE, length, scores, seconds)


def _baselines(pairs: list[SummaryPair], length: Length, unit: Unit = "sentence") -> dict[str, SummaryScores]:
    return {method: _measure(Summarizer(method, length, unit=unit), pairs) for method in BASELINES}


def _measure(system: Summarizer, pairs: list[SummaryPair]) -> SummaryScores:
    summaries = []
    with bar(system.method, len(pairs)) as progress:
        for pair in pairs:
            chosen = system.summarize(pair.text, title=pair.title).sentences
            summaries.append("\n".join(sentence.text for sentence in chosen))
            progress.advance()
    return _scores(summaries, pairs)


def _scores(summaries: list[str], pairs: list[SummaryPair]) -> SummaryScores:
    return score_summaries(summaries, [[pair.summary] for pair in pairs], [pair.text for pair in pairs])
