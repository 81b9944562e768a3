"""ARPA files, the format every n-gram toolkit reads and writes, gzipped or not.

    \\data\\
    ngram 1=4
    ngram 2=5

    \\1-grams:
    -1.2041  the  -0.3010       log10 p, the n-gram, log10 of the backoff (left out where there is none)
    ...
    \\end\\

Reading takes what KenLM, SRILM and others write: `<unk>` or not, log-probabilities of -99 and -inf for
zero, and n-grams whose context or suffix was pruned, which are put back at the value they back off to.
Whatever is wrong is named with its line. Both ways, compiled code does a line at a time (`arpa_lines.py`).
"""

import gzip
import math
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from langue.base.arrays import Array
from langue.base.compiled import njit
from langue.base.errors import LangueError
from langue.base.files import atomic_file
from langue.interop.arpa_lines import FAULTS, read_rows, write_rows
from langue.interop.words import Words
from langue.models.counts.ngram.counts import MOST
from langue.models.counts.ngram.tables import Tables, index_of

BEGIN, END, UNKNOWN = b"<s>", b"</s>", b"<unk>"
MISSING = -100 * math.log(10)  # what KenLM gives unknown words where a model has no <unk>
BLOCK = 1 << 24  # bytes read at a time
LONGEST = 1 << 16  # bytes of a line that is no n-gram


class Arpa(NamedTuple):
    """A model as ARPA files have it. Word ids are those of the tables; `<s>` comes after the last."""

    tables: Tables
    words: list[bytes]
    unknown: int  # id of `<unk>`
    end: int  # id of `</s>`


class _Section(NamedTuple):
    """The n-grams of one order, in the order of the file."""

    ids: Array  # (n-grams, n) uint32
    log_prob: Array  # (n-grams,) float32, natural
    log_backoff: Array  # (n-grams,) float32, natural


def read(path: Path) -> Arpa:
    """Read an ARPA file.

    Ids are `</s>` 0, `<pad>` 1 (where the file has no such word, with probability 0), `<unk>` 2, then
    the words of the file in their order: those of a whitespace tokenizer.

    Raises:
        LangueError: the file is missing, cut short, not ARPA, lies about its counts, holds a NaN or a
            word that is no unigram; the line is named.
    """
    with _Source(path) as source:
        counts = _header(source)
        words, unigrams = _unigrams(source, counts[0])
        start = len(words)
        known = Words.of([*words, BEGIN])
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
    tables = _assemble(sections, start, lines, path) or _assemble(_closed(sections), start, lines, path)
    assert tables is not None
    return Arpa(tables, words, unknown=2, end=0)


class _Source:
    """The bytes of a file, a line or a block of lines at a time, and the number of the last line read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.number = 0
        self.data = b""
        self.at = 0
        try:
            raw = path.open("rb")
        except OSError as error:
            raise LangueError(f"cannot read {path}: {error.strerror or error}") from error
        zipped = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        self._file: Any = gzip.GzipFile(fileobj=raw) if zipped else raw
        self._raw = raw

    def __enter__(self) -> "_Source":
        return self

    def __exit__(self, *exception: object) -> None:
        self._raw.close()

    def error(self, message: str) -> LangueError:
        return LangueError(f"{self.path}, line {self.number:,}: {message}")

    def more(self) -> bool:
        """Read on, so that at least one whole line lies ahead; False where nothing is left."""
        try:
            read = self._file.read(BLOCK)
        except (OSError, EOFError) as error:
            raise self.error(f"cannot read on: {error}") from error
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

    def skip_blank(self) -> bytes:
        """The next line that is not blank."""
        while not (line := self.line()).strip():
            pass
        return line


def _shown(line: bytes) -> str:
    return repr(line[:60].decode(errors="replace"))


def _header(source: _Source) -> list[int]:
    """How many n-grams of each order the file says it has."""
    line = source.line()
    while line.strip() != b"\\data\\":  # before it, anything may stand
        if source.number > 100:
            raise LangueError(f"{source.path} is not an ARPA file: no \\data\\ in its first 100 lines")
        try:
            line = source.line()
        except LangueError:
            raise LangueError(f"{source.path} is not an ARPA file: it has no \\data\\") from None
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


def _unigrams(source: _Source, count: int) -> tuple[list[bytes], _Section]:
    """The words, and their section: row i is word i, and the last `<s>`."""
    found: dict[bytes, tuple[float, float]] = {}
    for _ in range(count):
        fields = source.line().split()
        if len(fields) not in (2, 3):
            raise source.error(f"expected {count:,} unigrams, and here is {_shown(b' '.join(fields))}")
        if fields[1] in found:
            raise source.error(f"{_shown(fields[1])} stands here for the second time")
        try:
            values = float(fields[0]), float(fields[2]) if len(fields) == 3 else 0.0
        except ValueError:
            raise source.error(f"{_shown(b' '.join(fields))} holds no number where one belongs") from None
        if not values[0] <= 0 or not values[1] < math.inf:
            raise source.error(f"{values[0]} and {values[1]} are no log-probability and backoff")
        found[fields[1]] = values
    absent = MISSING / math.log(10), 0.0
    specials = [
        (END, found.pop(END, absent)),
        (b"<pad>", found.pop(b"<pad>", (-math.inf, 0.0))),
        (UNKNOWN, found.pop(UNKNOWN, absent)),
    ]
    begin = found.pop(BEGIN, (0.0, 0.0))
    rows = np.array([values for _, values in specials] + list(found.values()) + [(0.0, begin[1])])
    values32 = (rows * math.log(10)).astype(np.float32)
    words = [word for word, _ in specials] + list(found)
    ids = np.arange(len(rows), dtype=np.uint32)[:, None]
    return words, _Section(ids, values32[:, 0].copy(), values32[:, 1].copy())


def _ngrams(source: _Source, known: Words, n: int, order: int, count: int) -> _Section:
    """The section of one order above the first."""
    section = _Section(
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


def _assemble(sections: list[_Section], start: int, lines: list[int], path: Path) -> Tables | None:
    """The trie, or None where the context or the suffix of an n-gram is not there."""
    sizes = [len(section.log_prob) for section in sections]
    first = np.r_[0, np.cumsum(sizes)]
    nodes, contexts = int(first[-1]), int(first[-2])
    word, suffix = np.empty(nodes, np.uint32), np.empty(nodes, np.uint32)
    log_prob, log_backoff = np.empty(nodes, np.float32), np.zeros(contexts, np.float32)
    children = np.full(contexts + 1, nodes, np.uint32)
    for n, section in enumerate(sections, 1):
        here = slice(int(first[n - 1]), int(first[n]))
        if n == 1:
            word[here] = suffix[here] = section.ids[:, 0]
            by_key: Any = slice(None)
        else:
            context, shorter = (
                _locate(children, word, rows) for rows in (section.ids[:, :-1], section.ids[:, 1:])
            )
            if (context < 0).any() or (shorter < 0).any():
                return None
            keys = context.astype(np.uint64) << np.uint64(32) | section.ids[:, -1]
            by_key = np.argsort(keys, kind="stable")
            twice = np.flatnonzero(np.diff(keys[by_key]) == 0)
            if len(twice):
                line = lines[n - 1] + int(by_key[twice[0] + 1])
                raise LangueError(f"{path}, line {line:,}: this {n}-gram stands here for the second time")
            before = np.arange(first[n - 2], first[n - 1])
            children[before] = here.start + np.searchsorted(context[by_key], before)
            children[min(here.start, contexts)] = here.stop  # where the children of the last of them end
            word[here], suffix[here] = section.ids[by_key, -1], shorter[by_key]
        log_prob[here] = section.log_prob[by_key]
        if n < len(sections):
            log_backoff[here] = section.log_backoff[by_key]
    _fill_in(first, suffix, log_prob, log_backoff, children)
    return Tables(first, suffix, log_prob, log_backoff, children, index_of(children, word)).frozen()


def _closed(sections: list[_Section]) -> list[_Section]:
    """Sections with every context and suffix of every n-gram; those put in have NaN for a probability."""
    closed = list(sections)
    for n in range(len(sections) - 1, 1, -1):
        above, here = closed[n].ids, closed[n - 1]
        wanted = np.unique(np.concatenate([above[:, :-1], above[:, 1:]]), axis=0)
        whole = np.concatenate([here.ids, wanted])
        _, place = np.unique(whole, axis=0, return_index=True)
        new = whole[place[place >= len(here.ids)]]
        nothing = np.full(len(new), np.nan, np.float32)
        closed[n - 1] = _Section(
            np.concatenate([here.ids, new]),
            np.r_[here.log_prob, nothing],
            np.r_[here.log_backoff, nothing * 0],
        )
    return closed


def _fill_in(first: Array, suffix: Array, log_prob: Array, log_backoff: Array, children: Array) -> None:
    """Give n-grams that were put back the probability they had without: that of backing off."""
    log_backoff[np.isnan(log_backoff)] = 0
    for n in range(2, len(first)):
        level = slice(int(first[n - 1]), int(first[n]))
        nodes = level.start + np.flatnonzero(np.isnan(log_prob[level]))
        context = np.searchsorted(children, nodes, side="right") - 1
        log_prob[nodes] = log_backoff[context] + log_prob[suffix[nodes]]


def write(path: Path, tables: Tables, words: list[bytes]) -> None:
    """Write an ARPA file, gzipped if its name ends in `.gz`.

    Args:
        words: what each id is called; `<s>` is added.

    Raises:
        LangueError: the disk refuses.
    """
    names = Words.of([*words, BEGIN])
    tables = tables.exact()
    with atomic_file(path) as file:
        if path.suffix == ".gz":
            with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=6, mtime=0, filename="") as zipped:
                _write(zipped, tables, names)
        else:
            _write(file, tables, names)


def _write(file: BinaryIO | gzip.GzipFile, tables: Tables, names: Words) -> None:
    sizes = np.diff(tables.first)
    heading = ["\\data\\", *(f"ngram {n}={size}" for n, size in enumerate(sizes, 1)), ""]
    file.write("\n".join([*heading, ""]).encode())
    word = tables.words()
    longest = int(names.sizes.max())
    for n in range(1, tables.order + 1):
        file.write(f"\\{n}-grams:\n".encode())
        node, end = int(tables.first[n - 1]), int(tables.first[n])
        buffer = np.empty(BLOCK + n * (longest + 1) + 64, np.uint8)
        while node < end:
            node, size = write_rows(tables, word, names.blob, names.begins, names.sizes, n, node, end, buffer)
            file.write(buffer[:size].data)
        file.write(b"\n")
    file.write(b"\\end\\\n")


@njit
def _locate(children, word, rows):
    """The node of each row of words, or -1."""
    found = np.empty(len(rows), np.int64)
    for row in range(len(rows)):
        node = np.int64(rows[row, 0])
        for n in range(1, rows.shape[1]):
            low, high = np.int64(children[node]), np.int64(children[node + 1])
            end, target = high, rows[row, n]
            while low < high:
                middle = (low + high) >> 1
                if word[middle] < target:
                    low = middle + 1
                else:
                    high = middle
            if low == end or word[low] != target:
                node = np.int64(-1)
                break
            node = low
        found[row] = node
    return found
