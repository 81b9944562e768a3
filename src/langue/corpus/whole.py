"""Whole documents of files, with the records they come from: what is summarized, one at a time."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from langue.base.errors import LangueError
from langue.base.progress import log
from langue.corpus.config import DataConfig
from langue.corpus.fields import Record, holds_records, read_fields
from langue.corpus.ledger import Ledger
from langue.corpus.read import read
from langue.corpus.sources import Source, check_text_field, collect, nothing_in


class WholeDocument(NamedTuple):
    """A text file, or a record."""

    name: str
    text: str
    title: str
    record: Record | None


def read_documents(
    names: Sequence[str], text_field: str | None = None, title_field: str | None = None
) -> Iterator[WholeDocument]:
    """The documents of files, folders and standard input (`-`): a text file is one, and each record is one.

    Args:
        text_field: of records; None is "text".
        title_field: of records; None: they have none.

    Raises:
        LangueError: a file is missing, binary, damaged or not UTF-8; a record has no such field; there is
            nothing in any.
    """
    config = DataConfig(documents="file", text_field=text_field)
    empty: list[str] = []
    count = 0
    with collect(names, config=config) as sources:
        check_text_field(sources, config)
        if title_field and not any(holds_records(source, text_field) for source in sources):
            raise LangueError(f"{', '.join(names)}: plain text has no titles; leave --title-field out")
        for source in sources:
            before = count
            for document in _documents(source, config, text_field, title_field):
                count += 1
                yield document
            if count == before:
                empty.append(source.name)
    if not count:
        raise nothing_in(names)
    for name in empty:
        log.warning("%s is empty", name)


def _documents(
    source: Source, config: DataConfig, text_field: str | None, title_field: str | None
) -> Iterator[WholeDocument]:
    if not holds_records(source, text_field):
        for document in read([source], config, Ledger(), warn=False):
            yield WholeDocument(source.name, document.text, "", None)
        return
    for located in read_fields(source):
        text = located.text(text_field or "text", "--text-field")
        title = located.text(title_field, "--title-field") if title_field else ""
        yield WholeDocument(located.where, text, title, located.record)
