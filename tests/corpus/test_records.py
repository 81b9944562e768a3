"""Records are told by what they are, wherever they stand, and each thing that can be wrong with one."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from langue.base.errors import LangueError
from langue.corpus.config import DataConfig
from langue.corpus.ledger import Ledger
from langue.corpus.read import read, read_texts
from langue.corpus.records import kind_of
from langue.corpus.sources import find

RECORDS = [
    {"url": "http://a.b/", "raw_content": f"Document {n}\n第{n}", "text": f"text {n}"} for n in range(50)
]
LINES = "".join(json.dumps(record) + "\n" for record in RECORDS)


def write(path: Path, data: bytes | str) -> Path:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def texts(path: Path, ledger: Ledger | None = None, **settings: Any) -> list[str]:
    found = read(find([str(path)]), DataConfig(**settings), ledger or Ledger())
    return [document.text for document in found]


@pytest.mark.parametrize("name", ["a.json", "wiki_00", "part.00001", "c4-train.00000-of-01024.json.gz", "-"])
def test_json_lines_are_known_by_how_they_begin(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, gzip.compress(LINES.encode()) if name.endswith(".gz") else LINES)
    assert texts(path) == [record["text"] for record in RECORDS]
    assert texts(path, text_field="raw_content") == [record["raw_content"] for record in RECORDS]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("name", ["a.json", "list"])
def test_json_that_is_no_line_each(tmp_path: Path, name: str, indent: int | None) -> None:
    expected = [record["text"] for record in RECORDS]
    assert texts(write(tmp_path / name, json.dumps(RECORDS, indent=indent))) == expected
    one_by_one = "\n".join(json.dumps(record, indent=2) for record in RECORDS)
    assert texts(write(tmp_path / name, "\ufeff" + one_by_one)) == expected


def test_a_list_is_never_held_whole_and_long_values_are_read(tmp_path: Path) -> None:
    long = [{"text": "语" * 100_000}, {"text": "b" * 300_000}, {"text": ""}]
    assert texts(write(tmp_path / "a.json", json.dumps(long, ensure_ascii=False))) == [
        record["text"] for record in long
    ]
    with pytest.raises(LangueError, match="cut short: its list does not end"):
        texts(write(tmp_path / "a.json", '[{"text": "a"},'))
    with pytest.raises(LangueError, match=r"not JSON: .* in the value that begins in line 2"):
        texts(write(tmp_path / "a.json", '[{"text": "a"},\n{"text": "b]'))
    with pytest.raises(LangueError, match=r"byte 11 is not UTF-8"):
        texts(write(tmp_path / "a.json", b'[{"text": "\xff"}]'))


@pytest.mark.parametrize("text", ["{\\rtf1\\ansi Text}", "{ a brace", "[1] a note", '{"quoted"} words'])
def test_text_that_begins_with_a_brace_is_text(tmp_path: Path, text: str) -> None:
    assert texts(write(tmp_path / "a", text), documents="line") == [text]
    assert kind_of(".txt", b'{"text": 1}', None) == "text"
    assert kind_of(".txt", b'{"text": 1}', "text") == "lines"


def test_a_field_asked_of_plain_text_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LangueError, match="plain text has no field 'text'; leave text_field out"):
        list(read_texts(str(write(tmp_path / "a.txt", "word\n")), "text"))


def test_tables(tmp_path: Path) -> None:
    quoted = 'id,text\n1,"one, with\na line end"\n2,two\n'
    assert texts(write(tmp_path / "a.csv", quoted)) == ["one, with\na line end", "two"]
    assert texts(write(tmp_path / "b.csv", "id;text\n1;a, b\n")) == ["a, b"]
    assert texts(write(tmp_path / "a.tsv", 'text\tid\n"as it stands\t1\n\n二\t2\n')) == [
        '"as it stands',
        "二",
    ]
    with pytest.raises(LangueError, match=r"no column 'body' \(id, text\); pass text_field"):
        texts(tmp_path / "a.csv", text_field="body")
    short = write(tmp_path / "short.csv", "id,text\n1\n2,two\n")
    with pytest.raises(LangueError, match="line 2 has 1 columns, not 2"):
        texts(short)
    assert texts(short, invalid="skip") == ["two"]
    with pytest.raises(LangueError, match="first line is empty"):
        texts(write(short, "\n1,2\n"))
    # A quote inside of a field is a letter; one that is open to the end takes all that follows.
    opened = write(tmp_path / "open.csv", 'id,text\n1,5" nail\n2,"a\nb"\n3,"two\n4,three\n')
    with pytest.raises(LangueError, match="the row that begins in line 5 is never closed"):
        texts(opened)
    assert texts(opened, invalid="skip") == ['5" nail', "a\nb"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": ', "is not JSON"),
        ('{"text": "a", "n": ' + "9" * 5000 + "}", "is not JSON"),
        ('{"text": "a", "n": ' + "[" * 100_000 + "]" * 100_000 + "}", "brackets are too many"),
        ("[" * 100_000, "brackets are too many"),
        ('{"text": null}', "field 'text' is no text but null"),
        ('{"text": ["a"]}', "field 'text' is no text but"),
        ('{"body": "a"}', r"no text in field 'text' \(body\)"),
        ("7", "no text in field"),
    ],
    ids=range(8),
)
def test_a_record_that_is_wrong_is_named_or_skipped(tmp_path: Path, line: str, message: str) -> None:
    path = write(tmp_path / "a.jsonl", f'{{"text": "good"}}\n{line}\n{{"text": "also"}}\n')
    with pytest.raises(LangueError, match=f"line 2.*{message}"):
        texts(path)
    ledger = Ledger()
    assert texts(path, ledger, invalid="skip") == ["good", "also"]
    assert sum(counter["documents"] for counter in ledger.dropped.values()) == 1
    assert ledger.read["documents"] == 1  # those that are read are counted when they are normalized


def test_parquet_is_known_by_how_it_begins_and_nulls_are_skipped(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"text": ["a", None, "b"]}), tmp_path / "data")
    with pytest.raises(LangueError, match="row 2 of 'text' is not text"):
        texts(tmp_path / "data")
    assert texts(tmp_path / "data", invalid="skip") == ["a", "b"]
