import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from langue.base.errors import LangueError
from langue.corpus.config import DataConfig
from langue.corpus.ledger import Ledger
from langue.corpus.read import Source, find, read, resolve


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


def test_a_byte_order_mark_is_not_text(tmp_path: Path) -> None:
    assert texts(write(tmp_path / "a.txt", b"\xef\xbb\xbfa\n"), documents="line") == ["a"]


def test_binary_files_and_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(LangueError, match=r"a\.txt is binary \(a NUL byte at 3\)"):
        texts(write(tmp_path / "a.txt", b"GIF\0\1"))
    with pytest.raises(LangueError, match="no file"):
        find([str(tmp_path / "none.txt")])


def test_folders_are_walked_in_order_and_only_for_text(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("b/2.txt", "1.md", "3.jsonl.gz", "c.png", ".hidden.txt"):
        write(tmp_path / name, "x")
    ledger = Ledger()
    assert [Path(source.name).name for source in find([str(tmp_path)], ledger)] == [
        "1.md",
        "3.jsonl.gz",
        "2.txt",
    ]
    assert ledger.read["files passed over"] == 1
    (tmp_path / "empty").mkdir()
    with pytest.raises(LangueError, match="no text files"):
        find([str(tmp_path / "empty")])


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
