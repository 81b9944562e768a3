"""Titles of CSL's abstracts, written: gap sentences without labels, then a thousand pairs of the dev part.

    python benchmarks/abstractive.py FOLDER [--pretraining 800] [--steps 500]

Gap sentences are those of all Chinese text at hand that has sentences in a row: CMRC's passages, the
abstracts of CSL's dev part, three novels; in passages about as long as an abstract. Nothing of CSL's test
part is learned from. Settings are those of one small network, fixed beforehand; the validation split, a
twentieth of either, chooses the weights. FOLDER keeps stores and models: what is there is not made again,
and a training that was stopped goes on. It writes results/abstractive.md.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import langue
from langue.corpus.sentences import sentences_of

DATA = Path(__file__).resolve().parents[1] / ".." / "shared" / "data"
RESULTS = Path(__file__).parent / "results" / "abstractive.md"
PROCESSOR = "AMD EPYC (Zen 3, AVX2, no bfloat16), one thread on two cores, shared with much other work"
NETWORK = {"layers": 2, "width": 128, "heads": 4, "context": 384}
TRAINING = {"optimizer": "muon", "batch_tokens": 2048, "evaluations": 4, "validation_tokens": 4096}
RATES = 12e-3, 5e-3  # of gap sentences, and of the pairs
PASSAGE = 200  # characters: as long as an abstract
BERT = 59.8  # ROUGE-L as published, of a BERT learning from the whole training part


def texts() -> Iterator[str]:
    for part in ("dev", "trial"):
        table = json.loads((DATA / "cmrc2018" / f"{part}.json").read_text("utf-8"))
        for article in table["data"]:
            yield from (paragraph["context"] for paragraph in article["paragraphs"])
    yield from (text for text, _ in titles("dev"))
    for path in sorted((DATA / "chinese-classics").glob("*.txt")):
        yield from path.read_text("utf-8").split("\n")


def passages() -> Iterator[str]:
    for text in texts():
        gathered = ""
        for sentence in sentences_of(text):
            gathered += sentence
            if len(gathered) >= PASSAGE:
                yield gathered
                gathered = ""
        if gathered:
            yield gathered


def titles(part: str) -> Iterator[tuple[str, str]]:
    for line in (DATA / "csl-title" / f"{part}.tsv").read_text("utf-8").splitlines():
        _, abstract, title = line.split("\t")
        yield abstract, title


def write(path: Path, rows: Iterator[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def pairs(folder: Path, part: str) -> Path:
    rows = ({"text": abstract, "summary": title} for abstract, title in titles(part))
    return write(folder / f"{part}.jsonl", rows)


def make(folder: Path, pretraining: int, steps: int) -> None:
    """Stores and models that are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    gaps, csl = folder / "gaps", folder / "csl"
    if not gaps.exists():
        read = write(folder / "passages.jsonl", ({"text": text} for text in passages()))
        langue.prepare(
            read, gaps, kind="chars", gap_sentences=0.25, gap_sentences_kept=0.5, test_fraction=0.01
        )
    if not csl.exists():
        langue.prepare(
            pairs(folder, "dev"),
            csl,
            documents="summaries",
            file=str(gaps / "tokenizer.json"),
            test_fraction=0.0,
        )
    if not (folder / "pretrained").exists():
        langue.train(
            "transformer",
            gaps,
            folder / "pretrained",
            steps=pretraining,
            resume=True,
            learning_rate=RATES[0],
            **NETWORK,
            **TRAINING,
        )
    if not (folder / "model").exists():
        langue.train(
            "transformer",
            csl,
            folder / "model",
            init_from=str(folder / "pretrained"),
            steps=steps,
            resume=True,
            learning_rate=RATES[1],
            dropout=0.1,
            **TRAINING,
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pretraining", type=int, default=800, help="steps on gap sentences")
    parser.add_argument("--steps", type=int, default=500, help="on the thousand pairs")
    given = parser.parse_args()
    make(given.folder, given.pretraining, given.steps)
    measured = langue.evaluate(given.folder / "model", pairs(given.folder, "test"))
    model = langue.load(given.folder / "model")
    before = langue.load(given.folder / "pretrained").info()["measured"]
    after = model.info()["measured"]
    samples = [
        f"- {langue.summarize(abstract, model=model).text} (of people: {title})"
        for abstract, title in list(titles("test"))[:8]
    ]
    lines = [
        "# Titles that are written",
        "",
        f"Written by `python benchmarks/abstractive.py FOLDER --pretraining {given.pretraining} "
        f"--steps {given.steps}` on",
        PROCESSOR + ".",
        "",
        f"CSL, test (1,000): {model.summary()}. Gap sentences: {before['tokens']:,} tokens in "
        f"{before['seconds']:,.0f} s; 1,000 pairs: {after['tokens']:,} tokens in {after['seconds']:,.0f} s.",
        "",
        "```",
        str(measured),
        "```",
        "",
        f"A BERT that learned from the whole training part has a published ROUGE-L of {BERT}.",
        "",
        *samples,
        "",
    ]
    print("\n".join(lines))
    RESULTS.write_text("\n".join(lines), "utf-8")


if __name__ == "__main__":
    main()
