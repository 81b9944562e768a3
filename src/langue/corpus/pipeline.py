"""The way of a document into a corpus: read, normalize, drop what repeats, split.

`cut` reads files into parts, `clean` brings the documents of a part to one spelling and notes what is to be
known of them, `repeats.py` finds those that stand there twice: tasks over files (`base/stages.py`). `select`
decides by those notes, in the order in which documents were read: it wants to see all, and reads no text.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path
from zlib import crc32

from langue.base.errors import Mismatch
from langue.base.progress import log
from langue.base.seeds import derive
from langue.base.stages import Executor, Stage, run_stage
from langue.base.wording import counted
from langue.corpus import duplicates
from langue.corpus.config import DataConfig
from langue.corpus.document import Document
from langue.corpus.gap_sentences import gap_sentences
from langue.corpus.ledger import FEW, Ledger, document_size, size
from langue.corpus.lines import naming_choices
from langue.corpus.parts import (
    CORPUS,
    PART_BYTES,
    PARTS,
    RULE,
    Fact,
    Facts,
    Job,
    PartLedger,
    RawPart,
    RepeatRule,
    Row,
    SourceTask,
    part_names,
    read_part,
    source_tasks,
    unpack,
    write_part,
)
from langue.corpus.read import LONG, read
from langue.corpus.repeats import Repeats, RowHashes, find_repeats, make_folders, write_hashes
from langue.corpus.sources import Source
from langue.corpus.split import SPLITS, assign

NO_REPEATS = RepeatRule("ignore", "ignore")


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


def make_job(
    sources: Mapping[str, Sequence[Source]], config: DataConfig, *, sample_seed: int | None = None
) -> Job:
    """What is read, in tasks: some small files together, a large one alone.

    Args:
        sources: the files of `train`, and of `valid` and `test` where the user gave them. A held-out split
            without files is cut from `train` by hash.
        sample_seed: of the sample of texts that a vocabulary is learned from; None: there is none.
    """
    tasks = [task for split in SPLITS for task in source_tasks(sources.get(split, ()), split, PART_BYTES)]
    return Job(
        config,
        given=[split for split, files in sources.items() if files and split != "train"],
        several={split: len(files) for split, files in sources.items()},
        total={split: sum(source.size for source in files) for split, files in sources.items()},
        tasks=tasks,
        part_bytes=PART_BYTES,
        sample_seed=sample_seed,
    )


def read_corpus(folder: Path, job: Job, executor: Executor) -> Callable[[int], str]:
    """The documents of a job in one spelling, as parts in a folder of stages, and which of them repeat.

    Returns:
        The name of the file that a part begins with, for people.

    Raises:
        LangueError: a file is binary, damaged or not UTF-8.
    """
    for name in ("raw", "texts", "facts", "kept", "ids"):
        (folder / name).mkdir(exist_ok=True)
    make_folders(folder)
    write_part(folder / CORPUS, job)

    def of(number: int) -> str:
        return unpack(job.tasks[number].names[0])

    run_stage(Stage("reading", cut, len(job.tasks), of), folder, executor)
    if not (folder / PARTS).exists():
        names = sorted(path.name for path in (folder / "raw").iterdir() if not path.name.startswith("."))
        write_part(folder / RULE, repeat_rule((_raw(folder, name) for name in names), job))
        write_part(folder / PARTS, names)
    names = part_names(folder)

    def of_part(number: int) -> str:
        return of(int(names[number].partition("-")[0]))

    run_stage(Stage("cleaning", clean, len(names), of_part), folder, executor)
    find_repeats(folder, read_part(folder / RULE, RepeatRule), executor)
    return of_part


def _raw(folder: Path, name: str) -> RawPart:
    return read_part(folder / "raw" / name, RawPart)


def cut(number: int, folder: Path) -> None:
    """A task: the documents of some files, in parts."""
    job = read_part(folder / CORPUS, Job)
    task = job.tasks[number]
    with naming_choices():
        for index, part in enumerate(cut_parts(task, job)):
            write_part(folder / "raw" / f"{number:07}-{index:07}", part)


def cut_parts(task: SourceTask, job: Job) -> Iterator[RawPart]:
    """The documents of some files, in parts; there is at least one, for what the ledger counts.

    Raises:
        LangueError: a file is binary, damaged or not UTF-8.
    """
    ledger = PartLedger()
    held, split = 0, task.split
    several, total = job.several[split], job.total[split]
    for document in read(task.sources(), job.data, ledger, several=several, total=total):
        row = Row.of(document)
        ledger.rows.append(row)
        held += sum(map(len, row.texts))
        if held >= job.part_bytes:
            yield RawPart(split, ledger.take(), ledger.rows)
            ledger.rows, held = [], 0
    yield RawPart(split, ledger.take(), ledger.rows)


def clean(number: int, folder: Path) -> None:
    """A task: the documents of a part in one spelling, and what is to be known of them."""
    name = part_names(folder)[number]
    raw = folder / "raw" / name
    if not raw.exists() and (folder / "facts" / name).exists():
        return  # it was stopped between the end of the work and its mark
    rule = read_part(folder / RULE, RepeatRule)
    rows, facts, hashes = clean_part(_raw(folder, name), read_part(folder / CORPUS, Job), rule)
    write_part(folder / "texts" / name, rows)
    write_hashes(folder, name, hashes, rule)
    write_part(folder / "facts" / name, facts)
    raw.unlink()


def clean_part(part: RawPart, job: Job, rule: RepeatRule) -> tuple[list[Row], Facts, list[RowHashes]]:
    """The rows of a part in one spelling, what is to be known of each, and what tells it from others."""
    ledger = PartLedger()
    part.counts.add_to(ledger)
    rows = ledger.rows  # what is lost on the way is put there by the ledger
    facts: list[Fact] = []
    hashes: list[RowHashes] = []

    def documents() -> Iterator[Document]:
        for row in part.rows:
            if row.lost:
                rows.append(row)
            else:
                yield row.document

    def note_lost() -> None:
        facts.extend(Fact(row.lost, document_size(row.document)) for row in rows[len(facts) :])

    normalized = normalize_documents(documents(), job.data, ledger)
    if job.data.gap_sentences:
        normalized = gap_sentences(normalized, job.data, ledger)
    for document in normalized:
        note_lost()
        split = _split_of(document, part.split, job)
        if rule != NO_REPEATS:
            hashes.append(_hashes_of(document, len(rows), split, rule))
        rows.append(Row.of(document))
        facts.append(_fact_of(document, split, job.sample_seed))
    note_lost()
    return rows, Facts(ledger.take(), facts), hashes


def _fact_of(document: Document, split: str, sample_seed: int | None) -> Fact:
    return Fact(
        "",
        document_size(document),
        split,
        crc32(document.text.encode()),
        ()
        if sample_seed is None
        else tuple((derive(sample_seed, text), size(text)) for text in document.texts),
    )


def _hashes_of(document: Document, row: int, split: str, rule: RepeatRule) -> RowHashes:
    text = document.joined
    key = duplicates.key_of(text) if rule.exact != "ignore" else b""
    return RowHashes(row, split, key, duplicates.sketch_of(text) if rule.near != "ignore" else None)


def _split_of(document: Document, split: str, job: Job) -> str:
    """A held-out split without files is cut from train, by hash."""
    if split != "train" or len(job.given) == 2:
        return split
    drawn = assign(document.text, job.data)  # pairs of one source land together
    return "train" if drawn in job.given else drawn


def repeat_rule(parts: Iterable[RawPart], job: Job) -> RepeatRule:
    """What is done about repeats, once the first file has shown what its documents are."""
    config = job.data
    rules: list[str] = []
    for part in parts:
        rules += [rule for _, rule in part.counts.rules]
        if part.rows:
            break
    lines = not {"line", "pairs"}.isdisjoint(rules)
    drop = config.duplicates == "drop" or (config.duplicates == "auto" and not lines and not job.given)
    near = config.near_duplicates
    if near == "auto":
        near = "count" if drop and duplicates.available() else "ignore"
        if drop and near == "ignore":
            log.info("near-duplicates are not counted: pip install 'langue[data]' for that")
    if near != "ignore":
        duplicates.check_available()
    return RepeatRule("drop" if drop else "count" if job.given else "ignore", near)


def select(folder: Path, rule: RepeatRule, ledger: Ledger) -> Iterator[tuple[str, list[Fact], list[bool]]]:
    """Of each part its name, the facts, and which of its rows are kept; what is not is told the ledger.

    Train comes first, so that a repeat in a given file is a leak, and named as one.
    """
    repeats = Repeats(folder)
    if rule.near != "ignore":
        ledger.near_duplicates = 0
    for part, name in enumerate(part_names(folder)):
        facts = read_part(folder / "facts" / name, Facts)
        facts.counts.add_to(ledger)
        lost = _lost(facts.rows, repeats.duplicates(part), repeats.near(part), rule, ledger)
        if any(lost) and ledger.writes_dropped:
            rows = read_part(folder / "texts" / name, list[Row])
            for row, reason in zip(rows, lost, strict=True):
                if reason:
                    ledger.drop(row.document, reason)
        for fact, reason in zip(facts.rows, lost, strict=True):
            if not reason:
                ledger.keep(fact.split, fact.size, fact.text_hash)
            elif not ledger.writes_dropped:
                ledger.count_dropped(fact.size, reason)
        yield name, facts.rows, [not reason for reason in lost]


def _lost(
    facts: Sequence[Fact], repeated: Mapping[int, str], near: Set[int], rule: RepeatRule, ledger: Ledger
) -> list[str]:
    """Why each document of a part is dropped; "" where it is not.

    Args:
        repeated: the rows of texts that were there before, with the split that the first of these is of.
        near: the rows that are much like an earlier one.
    """
    lost = [fact.lost for fact in facts]
    for row, split in repeated.items():
        if split == "train" and facts[row].split != "train":
            ledger.leaks[facts[row].split] += 1
        if rule.exact == "drop":
            lost[row] = "duplicate"
    for row in near:
        if not lost[row]:
            ledger.near_duplicates = (ledger.near_duplicates or 0) + 1
            if rule.near == "drop":
                lost[row] = "near-duplicate"
    return lost


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
        raise Mismatch(f"there is no text to prepare{why if dropped else ''}; give files that hold some")
    shares = {"valid": config.valid_fraction, "test": config.test_fraction, "train": 1.0}
    empty = [split for split, count in documents.items() if count == 0 and shares[split] > 0]
    if empty:
        raise Mismatch(
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
        return f"Documents are {size:,} bytes long: say where they end (--documents=line or blank-line), "
    return "Give more text, say where documents end (--documents=line), "
