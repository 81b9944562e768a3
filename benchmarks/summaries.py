"""Summaries beside methods without training: BBC News, CNN/DailyMail, DialogSum and the titles of CSL.

    python benchmarks/summaries.py [bbc cnn dialogsum csl]     # all of them: writes results/summaries.md

The settings were chosen on dev and train parts: LexRank's power of the idf on BBC's dev part, what early
sentences gain (`EARLY`) on those of BBC, DialogSum and CSL; features on BBC's. Rankers are trained on BBC's
train part, DialogSum's and CSL's dev parts. It takes minutes, most of them rouge-score's.
"""

import argparse
import gzip
import json
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from langue.corpus.summary_pairs import SummaryPair
from langue.models.summarizers.ranker import Ranker, RankerConfig, train
from langue.tasks.summarize import Length, Summarizer
from langue.tasks.summary_scores import SummaryScores, score_summaries

DATA = Path(__file__).resolve().parents[1] / ".." / "shared" / "data"
RESULTS = Path(__file__).parent / "results" / "summaries.md"
PROCESSOR = "AMD EPYC (Zen 3, AVX2, no bfloat16), two cores, shared with other work"
METHODS = ("lead", "centroid", "textrank", "lexrank")
# What CNN/DailyMail's articles begin with: authors, when they were published, the agency.
DATELINE = re.compile(
    r"(?:By \. (?:.{1,200}?(?=PUBLISHED: |UPDATED: )|.{1,60}? \. ))?"
    r"(?:PUBLISHED: \. .{1,60}? \. )?(?:\| \. )?(?:UPDATED: \. .{1,60}? \. )?(?:.{0,40}?\(CNN\) -- )?"
)


class Task(NamedTuple):
    """Documents to summarize, with one or several references each."""

    title: str
    texts: Sequence[str]
    references: Sequence[Sequence[str]]
    length: Length
    unit: str = "sentence"
    ranker: Ranker | None = None


def records(name: str) -> list[dict[str, str]]:
    path = DATA / name
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in data.decode().splitlines()]


def bbc() -> Task:
    training = [
        SummaryPair(one["article"], one["summary"]) for one in records("bbc-news-summary/train.jsonl.gz")
    ]
    test = records("bbc-news-summary/test.jsonl")
    return Task(
        "BBC News Summary, test (200), 0.4 of the sentences",
        [one["article"] for one in test],
        [[one["summary"]] for one in test],
        Length(ratio=0.4),
        ranker=train(RankerConfig(), training),
    )


def cnn() -> Task:
    sample = records("cnn-dailymail-sample/sample.jsonl")
    return Task(
        "CNN/DailyMail sample (100), 3 sentences, datelines stripped",
        [DATELINE.sub("", one["article"]) for one in sample],
        [[one["highlights"]] for one in sample],
        Length(sentences=3),
    )


def dialogsum() -> Task:
    training = [SummaryPair(one["dialogue"], one["summary"]) for one in records("dialogsum/dev.jsonl")]
    test = records("dialogsum/test.jsonl")
    return Task(
        "DialogSum, test (500), 3 turns, mean of 3 references",
        [one["dialogue"] for one in test],
        [[one[f"summary{k}"] for k in (1, 2, 3)] for one in test],
        Length(sentences=3),
        "line",
        train(RankerConfig(unit="line"), training),
    )


def csl() -> Task:
    def pairs(part: str) -> list[SummaryPair]:
        lines = (DATA / "csl-title" / f"{part}.tsv").read_text("utf-8").splitlines()
        return [SummaryPair(*line.split("\t")[1:3]) for line in lines]

    test = pairs("test")
    return Task(
        "CSL, test (1,000), a title by clauses of the abstract",
        [pair.text for pair in test],
        [[pair.summary] for pair in test],
        Length(sentences=1),
        "clause",
        train(RankerConfig(unit="clause"), pairs("dev")),
    )


def measure(task: Task) -> dict[str, SummaryScores]:
    systems = {name: Summarizer(name, task.length, unit=task.unit) for name in METHODS}
    if task.ranker is not None:
        systems["ranker"] = Summarizer("ranker", task.length, task.ranker, task.unit)
    scores = {}
    for name, system in systems.items():
        chosen = [system.summarize(text).sentences for text in task.texts]
        summaries = ["\n".join(sentence.text for sentence in sentences) for sentences in chosen]
        scores[name] = score_summaries(summaries, task.references, task.texts)
    return scores


def table(task: Task, scores: dict[str, SummaryScores]) -> list[str]:
    names = list(next(iter(scores.values())).rouge)
    unit = ", by characters" if next(iter(scores.values())).characters else ""
    lines = [f"## {task.title}", "", f"ROUGE F1{unit}, 95 % intervals by bootstrap over documents.", ""]
    lines.append(
        "| method | "
        + " | ".join(name.replace("rouge", "ROUGE-") for name in names)
        + " | chrF | BLEU | copied |"
    )
    lines.append("|---" * (len(names) + 4) + "|")
    for method, row in scores.items():
        cells = []
        for name in names:
            low, high = row.interval(name) or (0.0, 0.0)
            cells.append(f"{row.mean(name):.1f} [{low:.1f}, {high:.1f}]")
        cells += [f"{row.chrf:.1f}", f"{row.bleu:.1f}", f"{row.copied:.0f} %"]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    best = "ranker" if "ranker" in scores else "lexrank"
    low, high = scores[best].above(scores["lead"], "rouge1") or (0.0, 0.0)
    return [*lines, "", f"{best} above lead, ROUGE-1: {low:+.1f} to {high:+.1f} (paired bootstrap).", ""]


def main() -> None:
    builders = {build.__name__: build for build in (bbc, cnn, dialogsum, csl)}
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("sets", nargs="*", help=", ".join(builders))
    chosen = options.parse_args().sets or list(builders)
    if unknown := [name for name in chosen if name not in builders]:
        options.error(f"no set {unknown[0]}")
    lines = ["# Summaries", "", "Written by `python benchmarks/summaries.py` on", PROCESSOR + ".", ""]
    for build in (builders[name] for name in chosen):
        started = time.process_time()
        task = build()
        trained = time.process_time() - started
        rows = table(task, measure(task))
        if task.ranker is not None:
            rows.append(f"The ranker was trained in {trained:.0f} s of CPU time.\n")
        print("\n".join(rows), flush=True)
        lines += rows
    if len(chosen) == len(builders):
        RESULTS.write_text("\n".join(lines), "utf-8")


if __name__ == "__main__":
    main()
