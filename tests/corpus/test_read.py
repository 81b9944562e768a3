import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from langue.base.errors import LangueError
from langue.corpus.config import DataConfig
from langue.corpus.ledger import Ledger
from langue.corpus.read import read, read_pairs, read_texts, resolve
from langue.corpus.sources import Source, find


def texts(path: Path, **settings: Any) -> list[str]:
    return [document.text for document in read(find([str(path)]), DataConfig(**settings), Ledger())]


def write(path: Path, data: bytes | str) -> Path:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


@pytest.mark.parametrize(
    ("rule", "text", "expected"),
    [
        ("line", "a\n\nb\r\nc", ["a", "", "b", "c"]),
        ("blank-line", "a\nb\n\n\n  \nc\n", ["a\nb", "c"]),
        ("form-feed", "a\n\x0c\nb\x0cc\n\x1e\nd\n", ["a", "b\x0cc", "d"]),
        ("file", "a\n\nb\n", ["a\n\nb"]),
        ("file", "a\n\n", ["a\n"]),
    ],
)
def test_where_documents_end(tmp_path: Path, rule: str, text: str, expected: list[str]) -> None:
    assert texts(write(tmp_path / "a.txt", text), documents=rule) == expected


def test_one_text_is_cut_into_passages_that_lose_nothing_but_blank_lines(tmp_path: Path) -> None:
    lines = [f"line {number} of a text" for number in range(2000)]
    found = texts(write(tmp_path / "a.txt", "\n".join(lines)))
    assert len(found) > 100
    assert "\n".join(found).split("\n") == lines


def test_auto_goes_by_what_the_head_and_the_number_of_files_say() -> None:
    assert resolve("auto", b"a\n\x0c\nb\n", 1) == "form-feed"
    assert resolve("auto", b"a\nb\x0c\n", 1) == "passage"
    assert resolve("auto", b"a\n", 20) == "file"
    assert resolve("line", b"a\n\x0c\n", 20) == "line"


@pytest.mark.parametrize("packing", [".gz", ".zst"])
def test_packed_files_read_the_same_and_damage_is_named(tmp_path: Path, packing: str) -> None:
    data = "第一回\n".encode() * 5000
    if packing == ".gz":
        packed = gzip.compress(data)
    else:
        zstandard = pytest.importorskip("zstandard")
        packed = zstandard.ZstdCompressor().compress(data)
    path = write(tmp_path / f"a.txt{packing}", packed)
    assert texts(path, documents="line") == ["第一回"] * 5000
    write(path, packed[: len(packed) // 2])
    with pytest.raises(LangueError, match="damaged or cut short"):
        texts(path, documents="line")
    write(path, b"not packed at all")
    with pytest.raises(LangueError, match="damaged or cut short"):
        texts(path, documents="line")


def test_json_lines(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"text": "一\\n二"}\n\n{"text": "\\ud800"}\n')
    assert texts(path) == ["一\n二", "\ud800"]
    with pytest.raises(LangueError, match=r"line 1 has no text in field 'body' \(text\)"):
        texts(path, text_field="body")
    with pytest.raises(LangueError, match="line 2 is not JSON"):
        texts(write(path, '{"text": ""}\n{"text": \n'))
    with pytest.raises(LangueError, match="line 1 has no text"):
        texts(write(path, "[1]\n"))


def test_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"text": ["a", "二"], "n": [1, 2]}), path)
    assert texts(path) == ["a", "二"]
    with pytest.raises(LangueError, match="no column 'body'"):
        texts(path, text_field="body")
    with pytest.raises(LangueError, match="row 1 of 'n' is not text"):
        texts(path, text_field="n")
    with pytest.raises(LangueError, match="not a whole Parquet file"):
        texts(write(path, path.read_bytes()[:-20]))


def test_invalid_utf8_is_named_skipped_or_replaced(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", b"good\nba\xffd\ngood\n")
    with pytest.raises(LangueError, match=r"a\.txt: byte 7 is not UTF-8"):
        texts(path, documents="line")
    with pytest.raises(LangueError, match=r"a\.txt: byte 7 is not UTF-8"):
        texts(path, documents="file")
    assert texts(path, documents="line", invalid="replace") == ["good", "ba\ufffdd", "good"]
    ledger = Ledger()
    kept = list(read(find([str(path)]), DataConfig(documents="line", invalid="skip"), ledger))
    assert [document.text for document in kept] == ["good", "good"]
    assert ledger.dropped["invalid UTF-8"]["documents"] == 1
    with pytest.raises(LangueError, match=r"a\.txt: byte 5 is not UTF-8"):  # the mark at the start counts
        texts(write(path, b"\xef\xbb\xbfgo\xffod\n"))


def test_a_byte_order_mark_is_not_text(tmp_path: Path) -> None:
    assert texts(write(tmp_path / "a.txt", b"\xef\xbb\xbfa\n"), documents="line") == ["a"]


def test_binary_files_and_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(LangueError, match=r"a\.txt is binary \(a NUL byte at 3\)"):
        texts(write(tmp_path / "a.txt", b"GIF\0\1"))
    with pytest.raises(LangueError, match="no file"):
        find([str(tmp_path / "none.txt")])


def test_ids_are_stable_and_sources_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "x\ny\n")
    source = Source("novel.txt", path)
    found = list(read([source], DataConfig(documents="line"), Ledger()))
    assert [(document.id, document.source) for document in found] == [
        ("novel.txt:1", "novel.txt"),
        ("novel.txt:2", "novel.txt"),
    ]


def test_memory_does_not_grow_with_the_corpus(tmp_path: Path) -> None:
    def peak(size: int) -> int:
        path = write(tmp_path / "a.jsonl", (json.dumps({"text": "word " * 200}) + "\n") * size)
        tracemalloc.start()
        for _ in read(find([str(path)]), DataConfig(), Ledger()):
            pass
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    assert peak(8000) < 1.5 * peak(1000)


def test_a_nul_byte_is_told_skipped_or_replaced_wherever_it_stands(tmp_path: Path) -> None:
    for before in (1, 70_000):  # within the head, and beyond it
        path = write(tmp_path / "a.txt", b"x" * before + b"\0y\ngood\n")
        with pytest.raises(LangueError, match=rf"binary \(a NUL byte at {before}\)"):
            texts(path, documents="line")
        assert texts(path, documents="line", invalid="skip") == ["good"]
        assert texts(path, documents="line", invalid="replace") == ["x" * before + "\ufffdy", "good"]


def test_texts_are_read_the_same_way_by_every_verb(tmp_path: Path) -> None:
    assert list(read_texts(str(write(tmp_path / "a.txt", b"\xef\xbb\xbfa\r\n\nb")))) == ["a", "", "b"]
    assert list(read_texts(str(write(tmp_path / "a.jsonl", '{"text": "a\\nb"}\n')))) == ["a\nb"]
    assert list(read_texts(str(write(tmp_path / "b.jsonl", '{"x": "a"}\n')), "x")) == ["a"]
    with pytest.raises(LangueError, match="is empty"):
        list(read_texts(str(write(tmp_path / "a.txt", b""))))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "a\tb\nc\td\n"),
        ("a.tsv", "a\tb\nc\td\n"),
        ("b.tsv", "second\ttext\nb\ta\nd\tc\n"),
        ("a.jsonl", '{"text": "a", "second": "b"}\n{"text": "c", "second": "d"}\n'),
    ],
)
def test_pairs_are_columns_or_fields(tmp_path: Path, name: str, content: str) -> None:
    assert list(read_pairs(str(write(tmp_path / name, content)))) == [("a", "b"), ("c", "d")]


def test_old_line_ends_end_lines(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", b"a\r\rb\rc" + b"d" * 100_000 + b"\re")
    assert texts(path, documents="line") == ["a", "", "b", "c" + "d" * 100_000, "e"]
    assert texts(path, documents="blank-line") == ["a", "b\nc" + "d" * 100_000 + "\ne"]


@pytest.mark.parametrize("sentence", ["It was so. ", "話はこうだ。", "acgt"])
def test_a_text_in_one_line_is_cut_into_passages_that_lose_nothing(tmp_path: Path, sentence: str) -> None:
    text = sentence * 40_000
    found = texts(write(tmp_path / "a.txt", text))
    assert len(found) > 50
    assert "".join(found) == text
    if sentence != "acgt":
        assert all(passage.endswith(sentence) for passage in found)
    assert texts(tmp_path / "a.txt", documents="line") == [text]


@pytest.mark.parametrize(
    ("begin", "message"),
    [
        (b"PK\x03\x04\0\0", "is a zip archive; unpack it first"),
        (b"%PDF-1.7\n", "is a PDF"),
        ("\ufeffword".encode("utf-16-le"), "is UTF-16; convert it: iconv"),
        (gzip.compress(gzip.compress(b"word", mtime=0), mtime=0), "is packed twice"),
    ],
)
def test_what_is_no_text_is_called_by_its_name(tmp_path: Path, begin: bytes, message: str) -> None:
    for invalid in ("error", "replace"):
        with pytest.raises(LangueError, match=message):
            texts(write(tmp_path / "a.txt", begin), invalid=invalid)
