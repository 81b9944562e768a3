"""Texts by the stream: the same as all at once, in batches, and handed on as they come."""

import gzip
import json
import os
import threading
from pathlib import Path

import pytest

from langue.base.errors import LangueError
from langue.corpus import lines as lines_module
from langue.corpus import stream
from langue.corpus.config import DataConfig
from langue.corpus.read import read_texts
from langue.corpus.stream import MOST, read_batches

CONFIG = DataConfig()
TEXTS = ["The king is dead.", "", "第一回 甄士隐", "a\tb", "x" * 3000, "last"]


def texts(*names: Path | str, by: stream.By = "line", config: DataConfig = CONFIG) -> list[str]:
    return [text for batch in read_batches(list(map(str, names)), config, by=by) for text in batch.texts]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_those_of_the_reader_of_whole_files(tmp_path: Path, end: str) -> None:
    path = tmp_path / "a.txt"
    for last in ("", end):
        path.write_bytes((end.join(TEXTS) + last).encode())
        assert texts(path) == list(read_texts(str(path))) == TEXTS
    path.write_bytes(b"\xef\xbb\xbf" + (end.join(TEXTS)).encode())
    assert texts(path) == TEXTS


def test_batches_grow_and_hold_whole_lines_in_order(tmp_path: Path) -> None:
    path = tmp_path / "a.txt.gz"
    many = [f"line {number} {'é' * (number % 50)}" for number in range(30_000)]
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write("\n".join(many))
    batches = list(read_batches([str(path)], CONFIG))
    assert [text for batch in batches for text in batch.texts] == many
    sizes = [len(batch.lines or b"") for batch in batches]
    assert sizes[0] < sizes[1] < sizes[2] and max(sizes) <= MOST + 200
    assert all((batch.lines or b"").endswith(b"\n") for batch in batches[:-1])


def test_a_line_without_end_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "LARGEST", 1 << 17)
    monkeypatch.setattr(lines_module, "READ_BYTES", 1 << 12)
    path = tmp_path / "a.txt"
    path.write_text("中" * 100_000 + "\nb\n", encoding="utf-8")
    *parts, last = texts(path)
    assert "".join(parts) == "中" * 100_000 and last == "b"
    assert len(parts) > 1


def test_records_keep_their_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    records = [{"id": n, "text": text, "more": [1, {"a": "é"}]} for n, text in enumerate(TEXTS)]
    path.write_text("\n\n".join(map(json.dumps, records)), encoding="utf-8")
    (batch,) = read_batches([str(path)], CONFIG)
    assert batch.texts == TEXTS
    assert batch.records is not None and [json.loads(row) for row in batch.records] == records
    assert texts(path, by="document") == TEXTS


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"text": "a"}\n{"body": "b"}\n', r"a.jsonl: line 2 has no text in field 'text' \(body\)"),
        (b'{"text": "a"}\n{"text": 1}\n', "line 2: field 'text' is no text but 1"),
        (b'{"text": "a"}\n\n{"text": "b"\n', "line 3 is not JSON"),
        (b'{"text": "a"}\n{"text": "\xff"}\n', "byte 24 is not UTF-8"),
        (b"", "is empty"),
    ],
)
def test_what_is_wrong_with_a_record_is_told_with_its_line(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "a.jsonl").write_bytes(content)
    with pytest.raises(LangueError, match=message):
        texts(tmp_path / "a.jsonl")


def test_a_wrong_byte_is_named_wherever_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    good = b"0123456789abcde\n" * 40_000
    path.write_bytes(good + b"ab\xff\n" + good)
    with pytest.raises(LangueError, match=f"byte {len(good) + 2} is not UTF-8"):
        texts(path)
    path.write_bytes(good + b"ab\0\n")
    with pytest.raises(LangueError, match=f"NUL byte at {len(good) + 2}"):
        texts(path)


def test_documents_are_cut_as_told(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("a\nb\n\nc\n", encoding="utf-8")
    assert texts(path, by="document", config=DataConfig(documents="blank-line")) == ["a\nb", "c"]


@pytest.mark.parametrize("ending", ["", ".jsonl"])
def test_what_comes_through_a_pipe_is_handed_on_before_there_is_more(tmp_path: Path, ending: str) -> None:
    """Were it not, the two would wait for each other for ever."""
    pipe = tmp_path / f"pipe{ending}"
    os.mkfifo(pipe)
    read = threading.Event()

    def write() -> None:
        with pipe.open("w", encoding="utf-8") as file:
            for number in range(3):
                file.write(json.dumps({"text": f"{number}"}) + "\n" if ending else f"{number}\n")
                file.flush()
                assert read.wait(20)
                read.clear()

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    came = []
    for batch in read_batches([str(pipe)], CONFIG):
        assert batch.last
        came += batch.texts
        read.set()
    writer.join(20)
    assert came == ["0", "1", "2"]


def test_a_field_of_plain_text_through_a_pipe_is_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("a\n",), daemon=True)
    writer.start()
    with pytest.raises(LangueError, match="plain text has no field 'body'"):
        texts(pipe, config=DataConfig(text_field="body"))
    writer.join(20)


def test_parquet_through_a_pipe(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(arrow.table({"text": TEXTS, "n": list(range(len(TEXTS)))}), tmp_path / "a.parquet")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    content = (tmp_path / "a.parquet").read_bytes()
    writer = threading.Thread(target=pipe.write_bytes, args=(content,), daemon=True)
    writer.start()
    assert texts(pipe) == texts(tmp_path / "a.parquet") == TEXTS
    writer.join(20)
    (batch,) = read_batches([str(tmp_path / "a.parquet")], CONFIG, whole=True)
    assert batch.table.column_names == ["text", "n"]
