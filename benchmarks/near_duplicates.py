"""How many near-duplicates `langue prepare` finds, and how many it takes for such that are none.

    python benchmarks/near_duplicates.py [--pairs 300] [--others 10000]

Texts of five and of three sentences, from the English and the Chinese of ../shared/data: of each pair the
second has one sentence replaced by another of the corpus. Unrelated pairs have no sentence in common;
templated ones are the same form, filled in with other names, places and numbers. Each set is prepared as a
corpus of documents, and its report is read: with `--near-duplicates=drop` what it drops, else what it counts.
"""

import argparse
import json
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import langue

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
CHANGES = ((5, "drop", 0.9), (3, "count", 0.8))  # sentences, what is done about it, the share that is wanted
UNRELATED, TEMPLATED = 0.001, 0.01  # that are taken at most
FORMS = {  # each a third of what an announcement says: the rest is another name, place, number
    "en": "{0} of {1} will meet on {2} at {3} in {4}. Those who want to speak about {5} write to {6} before "
    "{7}. Last year {8} came, and {9} was chosen by {10} votes against {11}.",
    "zh": "{0}定于{2}在{4}召开{1}会议，讨论{5}问题。有意发言者请于{7}前联系{6}。"
    "去年共有{8}出席，{9}以{10}票对{11}票当选。",
}


def english() -> list[str]:
    """Sentences of news and of an encyclopedia."""
    with (DATA / "cnn-dailymail-sample" / "sample.jsonl").open(encoding="utf-8") as file:
        text = " ".join(json.loads(line)["article"] for line in file)
    text += (DATA / "wikitext-2" / "train.txt").read_text(encoding="utf-8")
    return different(re.split(r"(?<=[.!?])\s+", text), 40, 300)


def chinese() -> list[str]:
    """Sentences of novels."""
    novels = ("三国演义.txt", "红楼梦.txt", "水浒传.txt")
    text = "".join((DATA / "chinese-classics" / name).read_text(encoding="utf-8") for name in novels)
    return different(re.findall(r"[^。！？\r\n\u3000]+[。！？]", text), 12, 80)


def different(sentences: list[str], least: int, most: int) -> list[str]:
    """Sentences of these lengths, each once."""
    return list(dict.fromkeys(one.strip() for one in sentences if least <= len(one.strip()) <= most))


def changed(sentences: Iterator[str], count: int, draw: np.random.Generator) -> tuple[list[str], list[str]]:
    one = [next(sentences) for _ in range(count)]
    other = one.copy()
    other[draw.integers(count)] = next(sentences)
    return one, other


def taken(texts: list[str], near: str) -> int:
    """How many of some texts are near-duplicates of one before, by the report of a preparation."""
    with tempfile.TemporaryDirectory() as name:
        source, rows = Path(name) / "texts.jsonl", [json.dumps({"text": text}) + "\n" for text in texts]
        source.write_text("".join(rows), encoding="utf-8")
        report = langue.prepare(source, Path(name) / "store", near_duplicates=near, kind="bytes")
    if near == "drop":
        return report.ledger["dropped"].get("near-duplicate", {}).get("documents", 0)
    return report.ledger["near_duplicates"]


def stream(sentences: list[str], draw: np.random.Generator) -> Iterator[str]:
    """All sentences in an order that is drawn, and again in another."""
    while True:
        yield from (sentences[index] for index in draw.permutation(len(sentences)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pairs", type=int, default=300)
    parser.add_argument("--others", type=int, default=10_000)
    chosen = parser.parse_args()
    corpora = ("chinese-classics", "cnn-dailymail-sample", "wikitext-2")
    if not all((DATA / corpus).is_dir() for corpus in corpora):
        print(f"needs the corpora of {DATA}")
        return
    print("| language | texts | near-duplicates | wanted |\n|---|---|---|---|")
    sources: dict[str, Callable[[], list[str]]] = {"en": english, "zh": chinese}
    for language, read in sources.items():
        draw, sentences = np.random.default_rng(1), read()
        joint = " " if language == "en" else ""
        for count, near, wanted in CHANGES:
            source = stream(sentences, draw)
            pairs = [changed(source, count, draw) for _ in range(chosen.pairs)]
            found = taken([joint.join(text) for pair in pairs for text in pair], near)
            what = "dropped" if near == "drop" else "reported"
            print(
                f"| {language} | {chosen.pairs} pairs, one sentence of {count} changed | {what} "
                f"{found / chosen.pairs:.1%} | ≥ {wanted:.0%} |",
                flush=True,
            )
        size = min(5, len(sentences) // (2 * chosen.others))
        source = stream(sentences, draw)
        texts = [joint.join(next(source) for _ in range(max(size, 1))) for _ in range(2 * chosen.others)]
        found = taken(texts, "count")
        print(
            f"| {language} | {chosen.others:,} unrelated pairs of {max(size, 1)} sentences | "
            f"{found / chosen.others:.2%} | ≤ {UNRELATED:.1%} |",
            flush=True,
        )
        words = different(re.findall(r"\w+" if language == "en" else r"\w{2}", " ".join(sentences)), 2, 12)
        forms = [FORMS[language].format(*draw.choice(words, 12)) for _ in range(chosen.others // 5)]
        found = taken(forms, "count")
        print(
            f"| {language} | {len(forms) // 2:,} templated pairs | {found / (len(forms) // 2):.2%} | "
            f"≤ {TEMPLATED:.0%} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
