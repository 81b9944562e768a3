"""The way of a document into a corpus: read, normalize, drop what repeats, split.

Each step takes documents and yields documents; what it drops it tells the ledger.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing

from langue.base.errors import LangueError
from langue.base.progress import log
from langue.base.wording import counted
from langue.corpus import duplicates
from langue.corpus.config import DataConfig
from langue.corpus.document import Document
from langue.corpus.gap_sentences import gap_sentences
from langue.corpus.ledger import FEW, Ledger, document_size
from langue.corpus.read import LONG, read
from langue.corpus.sources import Source
from langue.corpus.split import assign

Assigned = tuple[str, Document]  # (split, document)


def normalize_documents(
    documents: Iterable[Document], config: DataConfig, ledger: Ledger
) -> Iterator[Document]:
    """Documents in one spelling; those with nothing but white space, or such a half, are dropped as empty."""
    for document in documents:
        ledger.read["documents"] += 1
        ledger.read["bytes"] += document_size(document)
        normalized = [config.normalization.count(text) for text in document.texts]
        texts = tuple(one.text for one in normalized)
        if texts != document.texts:
            ledger.changed["documents normalized"] += 1
            ledger.changed["control characters removed"] += sum(one.removed for one in normalized)
        if not all(text.strip() for text in texts):
            whole = document.target is None
            ledger.drop(document, "empty" if whole else f"empty {'target' if texts[0].strip() else 'source'}")
            continue
        yield document._replace(text=texts[0], target=texts[1] if len(texts) > 1 else None)


def assign_splits(
    sources: Mapping[str, Sequence[Source]], config: DataConfig, ledger: Ledger
) -> Iterator[Assigned]:
    """Every document that is kept, with its split.

    Args:
        sources: the files of `train`, and of `valid` and `test` where the user gave them. A held-out
            split without files is cut from `train` by hash.

    Raises:
        LangueError: a file is binary, damaged or not UTF-8, or there is nothing to read.
    """
    given = {split for split, files in sources.items() if files and split != "train"}
    with closing(Repeats(config, ledger, by_files=bool(given))) as repeats:
        # Train first, so that a repeat found later in a given file is a leak, and named as one.
        for split in ("train", "valid", "test"):
            documents = normalize_documents(read(sources.get(split, ()), config, ledger), config, ledger)
            if config.gap_sentences:
                documents = gap_sentences(documents, config, ledger)
            for document in documents:
                target = split
                if split == "train" and len(given) < 2:
                    drawn = assign(document.text, config)  # pairs of one source land together
                    target = "train" if drawn in given else drawn
                if repeats.keep(target, document):
                    ledger.keep(target, document)
                    yield target, document


class Repeats:
    """Counts and drops repeated documents, and finds held-out ones that stand in train."""

    def __init__(self, config: DataConfig, ledger: Ledger, *, by_files: bool) -> None:
        self._config = config
        self._ledger = ledger
        self._by_files = by_files
        self._seen = duplicates.Seen()
        self._near: duplicates.NearDuplicates | None = None
        self._decided = False
        self._drop = False

    def keep(self, split: str, document: Document) -> bool:
        self._decide()
        if self._by_files or self._drop:
            first = self._seen.add(document.joined, split)
            if first == "train" and split != "train":
                self._ledger.leaks[split] += 1
            if first is not None and self._drop:
                self._ledger.drop(document, "duplicate")
                return False
        if self._near is not None and self._near.add(document.joined):
            self._ledger.near_duplicates = (self._ledger.near_duplicates or 0) + 1
            if self._config.near_duplicates == "drop":
                self._ledger.drop(document, "near-duplicate")
                return False
        return True

    def _decide(self) -> None:
        """The rule for repeats, once the first file has shown what its documents are."""
        if self._decided:
            return
        self._decided = True
        lines = not {"line", "pairs"}.isdisjoint(self._ledger.rules.values())
        wanted = self._config.duplicates
        self._drop = wanted == "drop" or (wanted == "auto" and not lines and not self._by_files)
        near = self._config.near_duplicates
        if near == "auto":
            near = "count" if self._drop and duplicates.available() else "ignore"
            if self._drop and near == "ignore":
                log.info("near-duplicates are not counted: pip install 'langue[data]' for that")
        if near != "ignore":
            self._near = duplicates.NearDuplicates()
            self._ledger.near_duplicates = 0

    def close(self) -> None:
        self._seen.close()
        if self._near is not None:
            self._near.close()


def check_splits(ledger: Ledger, config: DataConfig) -> None:
    """Raise a `LangueError` that says what to do where a split came out empty."""
    documents = {
        split: ledger.kept[split]["documents"] if split in ledger.kept else 0
        for split in ("train", "valid", "test")
    }
    total = sum(documents.values())
    dropped = {reason: counter["documents"] for reason, counter in ledger.dropped.items()}
    why = "; dropped: " + ", ".join(f"{count:,} {reason}" for reason, count in dropped.items())
    if total == 0:
        raise LangueError(f"there is no text to prepare{why if dropped else ''}; give files that hold some")
    shares = {"valid": config.valid_fraction, "test": config.test_fraction, "train": 1.0}
    empty = [split for split, count in documents.items() if count == 0 and shares[split] > 0]
    if empty:
        raise LangueError(
            f"not enough text for a split: of {counted(total, 'document')} none came to {' and '.join(empty)}"
            f"{why if dropped else ''}. {_remedy(ledger, total, sum(dropped.values()))}name files "
            "(--valid FILE --test FILE), or raise the shares (--set data.valid_fraction=0.2 "
            "--set data.test_fraction=0.2)"
        )


def _remedy(ledger: Ledger, total: int, dropped: int) -> str:
    """What to do about too few documents, by why there are so few."""
    size = sum(counter["bytes"] for counter in ledger.kept.values()) // total
    if dropped > total:
        return "Most of what was read is gone: keep what repeats (--duplicates=keep), give other text, "
    if len(ledger.different) < FEW and 2 * len(ledger.different) <= total:
        texts = counted(len(ledger.different), "text")
        return f"They are {texts} again and again, and equal ones share a split: give other text, "
    if "pairs" in ledger.rules.values():
        return "Give more pairs, "
    if 0 < ledger.lines <= ledger.read["files"] + ledger.changed["lines cut for their length"]:
        return f"The text is one line, documents are {size:,} bytes long: cut it into lines first, "
    if size > LONG:
        return f"Documents are {size:,} bytes long: say where they end (--documents line or blank-line), "
    return "Give more text, say where documents end (--documents line), "
