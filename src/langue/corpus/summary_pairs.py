"""Documents and their summaries, a record each, of JSON lines or of a table: what a ranker learns from."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec

from langue.base.config import Config
from langue.base.errors import LangueError
from langue.corpus.config import DOCUMENT_FIELDS, SUMMARY_FIELDS
from langue.corpus.fields import Located, read_fields
from langue.corpus.sources import collect, no_file

Name = Annotated[str, msgspec.Meta(min_length=1)]


class SummaryDataConfig(Config, frozen=True):
    """How a file of documents and summaries is read: the `[data]` section of a ranker's recipe."""

    document_field: Name | None = None  # None: text, document, article or dialogue
    summary_field: Name | None = None  # None: summary, highlights or abstract
    title_field: Name | None = None  # None: the first heading of the document stands for its title


class SummaryPair(NamedTuple):
    """A document and its summary."""

    text: str
    summary: str
    title: str = ""


def read_summary_pairs(path: Path, config: SummaryDataConfig) -> Iterator[SummaryPair]:
    """The pairs of a file, one at a time.

    Raises:
        LangueError: the file is missing, empty or not of this form; a record has no such field.
    """
    if path.is_dir():
        raise no_file(path)
    empty = True
    with collect([str(path)]) as sources:
        for located in read_fields(sources[0]):
            empty = False
            yield _pair(located, config)
    if empty:
        raise LangueError(f"{path} holds no documents; write records with a text and a summary each")


def _pair(located: Located, config: SummaryDataConfig) -> SummaryPair:
    def text(name: str | None, usual: tuple[str, ...], setting: str) -> str:
        field = name or next((field for field in usual if field in located.record), usual[0])
        return located.text(field, f"--set {setting}=NAME")

    return SummaryPair(
        text(config.document_field, DOCUMENT_FIELDS, "document_field"),
        text(config.summary_field, SUMMARY_FIELDS, "summary_field"),
        text(config.title_field, (), "title_field") if config.title_field else "",
    )
