"""Texts as KenLM reads them: bytes, a sentence a line, wherever they lie and however they are packed."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from langue.base.arrays import UInt8Array
from langue.base.files import writing
from langue.corpus.lines import BOM, has_old_line_ends
from langue.corpus.normalize import Normalization
from langue.corpus.pipes import BLOCK
from langue.corpus.read import read_source, refuse_others
from langue.corpus.records import kind_of
from langue.corpus.sources import HEAD, Source, collect, open_source
from langue.interop.words import check_utf8, map_bytes


@contextmanager
def map_text(name: Path) -> Iterator[UInt8Array]:
    """The bytes of a text, which is put into a temporary file unless it lies there as it is: what is packed,
    comes through a pipe (`-` is standard input) or holds records, of which the texts are taken; and without a
    byte-order mark, and with line feeds where lines end in `\\r` alone.

    Raises:
        LangueError: it is missing, no text, damaged, or not UTF-8.
    """
    with collect([str(name)]) as sources, tempfile.NamedTemporaryFile(prefix="langue-") as file:
        if len(sources) == 1 and _as_it_is(sources[0]):
            path = sources[0].path
        else:
            path = Path(file.name)
            for source in sources:
                for block in _blocks(source):
                    with writing(path):
                        file.write(block)
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
        if raw.read(HEAD) != head or kind_of(source.suffix, head, None) != "text":
            return False
        return not head.startswith(BOM) and not has_old_line_ends(head)


def _blocks(source: Source) -> Iterator[bytes]:
    """The text of a file, its last line ended."""
    with open_source(source) as file:
        head = file.read(HEAD)
        refuse_others(source.name, head)
        if kind_of(source.suffix, head, None) == "text":
            old, block = has_old_line_ends(head), head.removeprefix(BOM)
            last = b"\n"
            while block:
                block = block.replace(b"\r", b"\n") if old else block
                yield block
                last, block = block[-1:], file.read(BLOCK)
            if last != b"\n":
                yield b"\n"
            return
    spelling = Normalization(form="none")
    for text in read_source(source):
        yield f"{spelling.apply(text)}\n".encode()
