"""Write the embedded document frequencies of English and Chinese (`models/summarizers/data/*.tsv.gz`).

    python benchmarks/backgrounds.py

English: the paragraphs of WikiText-2's train part and the documents of UD English EWT's. Chinese: the
passages of CMRC 2018 (trial and dev) and the sentences of UD Chinese GSD (dev), in groups of four. All are
CC BY-SA. The same texts give the same bytes.
"""

import gzip
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import langue.models.summarizers
from langue.base.scripts import HAN
from langue.models.summarizers.terms import Background, terms_of

DATA = Path(__file__).resolve().parents[1] / ".." / "shared" / "data"
SHORTEST = 200  # characters of a paragraph
HAN_TERM = re.compile(f"[{HAN}]")
LEAST = 2  # documents with a term that is kept


def english() -> Iterator[str]:
    for line in (DATA / "wikitext-2" / "train.txt").read_text("utf-8").splitlines():
        if len(line) >= SHORTEST:
            yield line.replace("<unk>", " ").replace(" @-@ ", "-").replace(" @,@ ", ",").replace(" @.@ ", ".")
    packed = (DATA / "ud-english-ewt" / "train.conllu.gz").read_bytes()
    yield from documents(gzip.decompress(packed).decode(), "# newdoc")


def chinese() -> Iterator[str]:
    for name in ("trial", "dev"):
        for article in json.loads((DATA / "cmrc2018" / f"{name}.json").read_text("utf-8"))["data"]:
            yield from (paragraph["context"] for paragraph in article["paragraphs"])
    sentences = list(documents((DATA / "ud-chinese-gsd" / "dev.conllu").read_text("utf-8"), "# sent_id"))
    yield from ("".join(sentences[begin : begin + 4]) for begin in range(0, len(sentences), 4))


def documents(treebank: str, mark: str) -> Iterator[str]:
    """The texts of a treebank, cut where lines begin with `mark`."""
    held: list[str] = []
    for line in treebank.splitlines():
        if line.startswith(mark) and held:
            yield " ".join(held)
            held = []
        elif line.startswith("# text = "):
            held.append(line.removeprefix("# text = "))
    yield " ".join(held)


def main() -> None:
    folder = Path(str(langue.models.summarizers.__path__[0])) / "data"
    for name, texts in (("english", english()), ("chinese", chinese())):
        background = Background.of(map(terms_of, texts))
        han = name == "chinese"  # what stands there of the other language says nothing of it
        kept = {
            term: count
            for term, count in background.frequencies.items()
            if count >= LEAST and bool(HAN_TERM.match(term)) == han
        }
        rows = [f"{term}\t{count:.0f}" for term, count in kept.items()]
        table = "\n".join([f"{background.documents:.0f}", *rows]) + "\n"
        buffer = io.BytesIO()
        with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0, filename="") as file:
            file.write(table.encode())
        (folder / f"{name}.tsv.gz").write_bytes(buffer.getvalue())
        size = len(buffer.getvalue())
        print(f"{name}: {background.documents:,.0f} documents, {len(rows):,} terms, {size:,} bytes")


if __name__ == "__main__":
    main()
