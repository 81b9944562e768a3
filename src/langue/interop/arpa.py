"""ARPA files, the format every n-gram toolkit reads and writes, packed or not.

    \\data\\
    ngram 1=4
    ngram 2=5

    \\1-grams:
    -1.2041  the  -0.3010       log10 p, the n-gram, log10 of the backoff (left out where there is none)
    ...
    \\end\\

Reading takes what KenLM, SRILM and others write: `<unk>`, `<UNK>` or neither, log-probabilities of -99 and
-inf for zero, a rounding above zero, and n-grams whose context or suffix was pruned, which are put back at
the value they back off to. Whatever is wrong is named with its line, and what KenLM refuses as wrong is
refused. Both ways, compiled code does a line at a time (`arpa_lines.py`).
"""

import codecs
import gzip
import lzma
import math
import re
import zlib
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from langue.base.errors import Damaged, LangueError, Unsupported
from langue.base.files import atomic_file
from langue.corpus.lines import has_old_line_ends
from langue.corpus.sources import Source, open_source
from langue.interop.arpa_lines import FAULTS, ROUNDING, read_rows, write_rows
from langue.interop.arpa_trie import Section, tables_of
from langue.interop.words import Words
from langue.models.counts.ngram.counts import MOST
from langue.models.counts.ngram.tables import Tables
from langue.tokens.tokenizer import BLANK_PAD

BEGIN, END, UNKNOWN = b"<s>", b"</s>", b"<unk>"
PADDING = 1  # id of what is no word: of a `<pad>` that none can be
CAPITAL_UNKNOWN = b"<UNK>"  # SRILM's `-map-unk "<UNK>"`; KenLM takes it for the same
BOM = b"\xef\xbb\xbf"
BINARY = b"mmap lm http://kheafield.com/code"  # how a file of `build_binary` begins
INTERMEDIATE = b"iARPA"  # how a file of IRSTLM begins whose numbers are other ones
BLANKS = re.compile(rb"[ \t\r]+")  # a vertical tab and a form feed are letters of a word
NUMBER = re.compile(rb"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[iI][nN][fF])")  # Python reads more
MISSING = -100 * math.log(10)  # what KenLM gives unknown words where a model has no <unk>
CHUNK_BYTES = 1 << 24  # bytes read at a time
MAX_LINE_BYTES = 1 << 16  # bytes of a line that is no n-gram


class Arpa(NamedTuple):
    """A model as ARPA files have it. Word ids are those of the tables; `<s>` comes after the last."""

    tables: Tables
    words: list[bytes]
    unknown: int  # id of `<unk>`
    end: int  # id of `</s>`


def read(path: Path) -> Arpa:
    """Read an ARPA file.

    Ids are `</s>` 0, padding 1 (no word, with probability 0), `<unk>` 2, then the words of the file in their
    order: those of a whitespace tokenizer.

    Raises:
        LangueError: the file is missing, cut short, not ARPA, lies about its counts, holds a NaN or a
            word that is no unigram; the line is named.
    """
    with _Source(path) as source:
        counts = _header(source)
        words, unigrams = _unigrams(source, counts[0], highest=len(counts) == 1)
        known = Words.of([*words, BEGIN])
        known.add_alias(CAPITAL_UNKNOWN, words.index(UNKNOWN))
        sections = [unigrams]
        lines = [0]
        for n, count in enumerate(counts[1:], 2):
            title = source.skip_blank()
            if title.strip() != b"\\%d-grams:" % n:
                raise source.error(f"expected \\{n}-grams:, and not {_shown(title)}")
            lines.append(source.number + 1)
            sections.append(_ngrams(source, known, n, len(counts), count))
        title = source.skip_blank()
        if title.strip() != b"\\end\\":
            raise source.error(f"expected \\end\\, and not {_shown(title)}: the file is cut short")
        source.check_end()
    tables = tables_of(sections, lines, path)
    return Arpa(tables, words, unknown=2, end=0)


class _Source:
    """The bytes of a file, a line or a block of lines at a time, and the number of the last line read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.number = 0
        self.data = b""
        self.at = 0
        self._open = ExitStack()
        # How it is packed is told by its first bytes alone.
        self._file = self._open.enter_context(open_source(Source(path.stem, path)))

    def __enter__(self) -> "_Source":
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()

    def error(self, message: str) -> LangueError:
        line = f", line {self.number:,}" if self.number else ""
        return Damaged(f"{self.path}{line}: {message}")

    def more(self) -> bool:
        """Read on, so that at least one whole line lies ahead; False where nothing is left."""
        try:
            read = self._file.read(CHUNK_BYTES)
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            what = "it is packed and cut short" if isinstance(error, EOFError) else f"cannot read on: {error}"
            raise self.error(what) from error
        self.data, self.at = self.data[self.at :] + read, 0
        if not read and self.data and not self.data.endswith(b"\n"):
            self.data += b"\n"
            return True
        return bool(read)

    def line(self) -> bytes:
        """The next line, without its end; at the end of the file an error."""
        while (end := self.data.find(b"\n", self.at)) < 0:
            if not self.more():
                raise self.error("the file ends here, cut short: it has no \\end\\")
        line = self.data[self.at : end]
        self.at = end + 1
        self.number += 1
        return line

    def check_end(self) -> None:
        """Raise a `LangueError` unless nothing but blank lines is left."""
        while self.more() or self.at < len(self.data):
            while (end := self.data.find(b"\n", self.at)) >= 0:
                line, self.at, self.number = self.data[self.at : end], end + 1, self.number + 1
                if line.strip(b"\0 \t\r\n"):
                    raise self.error(f"after \\end\\ comes {_shown(line)}")

    def skip_blank(self) -> bytes:
        """The next line that is not blank."""
        while not (line := self.line()).strip():
            pass
        return line


def _shown(line: bytes) -> str:
    return repr(line[:60].decode(errors="replace"))


def _header(source: _Source) -> list[int]:
    """How many n-grams of each order the file says it has."""
    head = line = source.line().removeprefix(BOM)
    if line.startswith(BINARY):
        raise Unsupported(
            f"{source.path} is a file of KenLM's build_binary, which is not read; give the ARPA file that it "
            "was made of"
        )
    while line.strip() != b"\\data\\":  # before it, anything may stand
        if line.strip() == INTERMEDIATE:
            raise Unsupported(
                f"{source.path} is an iARPA file of IRSTLM, whose numbers are other ones; make it ARPA "
                "with IRSTLM's compile-lm"
            )
        if source.number > 100:
            raise LangueError(f"{source.path} is not an ARPA file: no \\data\\ in its first 100 lines")
        try:
            line = source.line()
        except LangueError:
            hint = _why_unread(head)
            raise LangueError(f"{source.path} is not an ARPA file: it has no \\data\\{hint}") from None
    return _counts(source)


def _why_unread(head: bytes) -> str:
    """What keeps a file from being read as text, by its first line."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "; it is UTF-16: convert it, for example with iconv"
    if has_old_line_ends(head):
        return "; its lines end in \\r alone: write \\n instead"
    return ""


def _counts(source: _Source) -> list[int]:
    counts: list[int] = []
    while (line := source.skip_blank().strip()) != b"\\1-grams:":
        name, _, count = line.removeprefix(b"ngram ").partition(b"=")
        if not line.startswith(b"ngram ") or name.strip() != b"%d" % (len(counts) + 1):
            raise source.error(f"expected ngram {len(counts) + 1}=COUNT, and not {_shown(line)}")
        if not count.strip().isdigit():
            raise source.error(f"{_shown(count)} is no count")
        counts.append(int(count))
    if not counts:
        raise source.error("no counts stand before \\1-grams:")
    if sum(counts) >= MOST:
        raise source.error(f"{sum(counts):,} n-grams are more than langue numbers, which is {MOST:,}")
    return counts


def _unigrams(source: _Source, count: int, *, highest: bool) -> tuple[list[bytes], Section]:
    """The words, and their section: row i is word i, and the last `<s>`."""
    values: dict[bytes, tuple[float, float]] = {}
    seen: set[bytes] = set()
    for _ in range(count):
        fields = BLANKS.split(source.line().strip(b" \t\r"))
        if len(fields) not in (2, 3):
            raise source.error(f"expected {count:,} unigrams, and here is {_shown(b' '.join(fields))}")
        word = fields[1]
        if word in seen:
            raise source.error(f"{_shown(word)} stands here for the second time")
        seen.add(word)
        if word == CAPITAL_UNKNOWN:  # where both stand there, the later counts, as for KenLM
            word = UNKNOWN
        numbers = [fields[0], *fields[2:]]
        if not all(map(NUMBER.fullmatch, numbers)):
            raise source.error(f"{_shown(b' '.join(fields))} holds no number where one belongs")
        log_prob, backoff = float(numbers[0]), float(numbers[1]) if len(numbers) == 2 else 0.0
        if not log_prob <= ROUNDING or not math.isfinite(backoff):
            raise source.error(f"{log_prob} and {backoff} are no log-probability and backoff")
        if highest and backoff:
            raise source.error(f"{_shown(b' '.join(fields))} {FAULTS[6]}")
        values[word] = min(log_prob, 0.0), backoff
    for mark in (BEGIN, END):
        if mark not in values:
            raise source.error(
                f"{mark.decode()} is not among the unigrams, so that no sentence could {_EDGES[mark]}"
            )
    absent = MISSING / math.log(10), 0.0
    specials = [
        (END, values.pop(END)),
        (BLANK_PAD.encode(), (-math.inf, 0.0)),
        (UNKNOWN, values.pop(UNKNOWN, absent)),
    ]
    begin = values.pop(BEGIN)
    rows = np.array([numbers for _, numbers in specials] + list(values.values()) + [begin])
    values32 = (rows * math.log(10)).astype(np.float32)
    words = [word for word, _ in specials] + list(values)
    ids = np.arange(len(rows), dtype=np.uint32)[:, None]
    return words, Section(ids, values32[:, 0].copy(), values32[:, 1].copy())


_EDGES = {BEGIN: "begin", END: "end"}


def _ngrams(source: _Source, known: Words, n: int, order: int, count: int) -> Section:
    """The section of one order above the first."""
    section = Section(
        np.empty((count, n), np.uint32), np.empty(count, np.float32), np.zeros(count, np.float32)
    )
    done = 0
    while done < count:
        data = np.frombuffer(source.data, np.uint8)
        at, rows, fault = read_rows(data, source.at, known.slots, n, order, *section, done)
        source.at, source.number, done = int(at), source.number + int(rows) - done, int(rows)
        if fault:
            line = source.line()
            if not line.strip() or line.startswith(b"\\"):
                raise source.error(f"expected {count:,} {n}-grams, and after {done:,} came {_shown(line)}")
            raise source.error(f"{_shown(line)} {FAULTS[int(fault)]}")
        if done < count and not source.more():
            raise source.error(f"the file ends after {done:,} of {count:,} {n}-grams")
    return section


def write(path: Path, tables: Tables, words: list[bytes], *, padding: int | None = None) -> int:
    """Write an ARPA file, gzipped if its name ends in `.gz`.

    Args:
        words: what each id is called; `<s>` is added.
        padding: an id that stands in no text: it is left out, if it is in no longer n-gram.

    Returns:
        How many n-grams were written.

    Raises:
        LangueError: the disk refuses.
    """
    names = Words.of([*words, BEGIN])
    tables = tables.exact()
    left_out = padding if padding is not None and stands_alone(tables, padding) else None
    with atomic_file(path) as file:
        if path.suffix == ".gz":
            with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=6, mtime=0, filename="") as zipped:
                return _write(zipped, tables, names, left_out)
        return _write(file, tables, names, left_out)


def stands_alone(tables: Tables, id: int) -> bool:
    """Whether a word is in no n-gram but its unigram."""
    return bool(
        (tables.order == 1 or tables.children[id] == tables.children[id + 1])
        and not (tables.words()[int(tables.first[1]) :] == id).any()
    )


def _write(file: BinaryIO | gzip.GzipFile, tables: Tables, names: Words, left_out: int | None) -> int:
    sizes = np.diff(tables.first) - [left_out is not None, *[False] * (tables.order - 1)]
    heading = ["\\data\\", *(f"ngram {n}={size}" for n, size in enumerate(sizes, 1)), ""]
    file.write("\n".join([*heading, ""]).encode())
    word = tables.words()
    longest = int(names.sizes.max())
    for n in range(1, tables.order + 1):
        file.write(f"\\{n}-grams:\n".encode())
        runs = [(int(tables.first[n - 1]), int(tables.first[n]))]
        if n == 1 and left_out is not None:
            runs = [(0, left_out), (left_out + 1, runs[0][1])]
        buffer = np.empty(CHUNK_BYTES + n * (longest + 1) + 64, np.uint8)
        for node, end in runs:
            while node < end:
                node, size = write_rows(
                    tables, word, names.blob, names.begins, names.sizes, n, node, end, buffer
                )
                file.write(buffer[:size].data)
        file.write(b"\n")
    file.write(b"\\end\\\n")
    return int(sizes.sum())
