"""Texts as KenLM reads them: bytes, a sentence a line, wherever they lie and however they are packed."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from langue.base.arrays import UInt8Array
from langue.base.files import writing
from langue.corpus.normalize import Normalization
from langue.corpus.pipes import BLOCK
from langue.corpus.read import read_source, refuse_others
from langue.corpus.records import kind_of
from langue.corpus.sources import HEAD, Source, collect, open_source
from langue.interop.words import check_utf8, map_bytes


@contextmanager
def map_text(name: Path) -> Iterator[UInt8Array]:
    """The bytes of a text. A file is mapped; what is packed, comes through a pipe (`-` is standard input) or
    holds records, whose texts are taken, is put into a temporary file first.

    Raises:
        LangueError: it is missing, no text, damaged, or not UTF-8.
    """
    with collect([str(name)]) as sources, tempfile.NamedTemporaryFile(prefix="langue-") as file:
        if len(sources) == 1 and _as_it_is(sources[0]):
            path = sources[0].path
        else:
            path = Path(file.name)
            for source in sources:
                _copy(source, file.file)
            with writing(path):
                file.flush()
        data = map_bytes(path)
        check_utf8(data, name)
        yield data


def _as_it_is(source: Source) -> bool:
    """Whether the bytes of a file are its text."""
    with source.path.open("rb") as raw, open_source(source) as file:
        head = file.read(HEAD)
        refuse_others(source.name, head)
        return raw.read(HEAD) == head and kind_of(source.suffix, head, None) == "text"


def _copy(source: Source, file: IO[bytes]) -> None:
    """Append the text of a file to another."""
    with open_source(source) as packed:
        head = packed.read(HEAD)
        refuse_others(source.name, head)
        if kind_of(source.suffix, head, None) == "text":
            block = head
            while block:
                with writing(Path(file.name)):
                    file.write(block)
                block = packed.read(BLOCK)
            return
    spelling = Normalization(form="none")
    for text in read_source(source):
        with writing(Path(file.name)):
            file.write(f"{spelling.apply(text)}\n".encode())
