"""Labeled texts of both formats, and each thing that can be wrong with a line."""

import gzip
from pathlib import Path

import pytest

from langue.base.errors import LangueError
from langue.corpus.labeled import read_label_sets, read_labeled


def test_reads_columns_and_records(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    columns = tmp_path / "a.tsv"
    columns.write_text("\ufeff北京的天气\t3\r\n\n good film \t1\n", encoding="utf-8")
    found = read_labeled(columns, texts=1)
    assert [(example.texts, example.label) for example in found] == [
        (("北京的天气",), "3"),
        ((" good film ",), "1"),
    ]
    assert found[1].location == f"{columns}, line 3"
    assert "passed over 1 empty lines" in caplog.text
    records = tmp_path / "a.jsonl"
    records.write_text('{"text": "a\\tb", "second": "c", "label": 0, "id": 7}\n', encoding="utf-8")
    assert read_labeled(records, texts=2)[0][:2] == (("a\tb", "c"), "0")


def test_old_line_ends_end_lines(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_bytes("\ufefffirst\tyes\r\r二\tno\r".encode())
    read = read_labeled(tmp_path / "a.tsv", texts=1)
    assert [(example.texts, example.label) for example in read] == [(("first",), "yes"), (("二",), "no")]
    assert read[1].location.endswith("line 3")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.tsv", b"text only\n", r"line 1: 1 column between tabs, not 2 \(text, label\)"),
        ("a.tsv", b"ok\t1\na\tb\tc\n", "line 2: 3 columns"),
        ("a.tsv", b"a\t \n", "line 1 has no label"),
        ("a.tsv", b"ok\t1\n\xff\t1\n", "line 2: byte 0 is not UTF-8"),
        ("a.tsv", b"\n \n", "holds no labeled text"),
        ("a.jsonl", b'{"text": "a"}\n', "line 1 has no label; write text, label"),
        ("a.jsonl", b"[1]\n", "line 1 has no text"),
        ("a.jsonl", b"{\n", "line 1 is not JSON"),
        ("a.jsonl", b'{"text": null, "label": "a"}\n', "line 1: text is no text but null"),
        ("a.jsonl", b'{"text": ["a"], "label": "a"}\n', "text is no text but"),
        ("a.jsonl", b'{"text": "a", "label": null}\n', "the label is neither text nor a number but null"),
        ("a.jsonl", b'{"text": "a", "label": ["neg"]}\n', "the label is neither"),
        ("a.jsonl", b'{"text": "a", "label": {"a": 1}}\n', "the label is neither"),
        ("a.jsonl", b'{"text": "a", "label": true}\n', "the label is neither"),
        ("a.jsonl", b'{"text": "a", "label": NaN}\n', "the label is neither text nor a number but NaN"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(LangueError, match=message):
        read_labeled(tmp_path / name, texts=1)
    with pytest.raises(LangueError, match="no file"):
        read_labeled(tmp_path / "missing", texts=1)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'id,text,label\n1,"good, 好",1\n2,bad,0\n'),
        ("a.csv", 'label;text\n1;"good, 好"\n0;bad\n'),
        ("a.json", '[{"text": "good, 好", "label": 1},\n {"text": "bad", "label": "0"}]'),
        ("a.json", '{"text": "good, 好", "label": 1}\n{"text": "bad", "label": 0}\n'),
        ("a.tsv", "sentence\tlabel\ngood, 好\t1\nbad\t0\n"),  # as SST-2 of GLUE
        ("a.tsv", "label\tid\ttext\n1\t7\tgood, 好\n0\t8\tbad\n"),
        ("a", "Text\tLabel\ngood, 好\t1\nbad\t0\n"),
    ],
)
def test_tables_and_json_mean_the_same(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content.encode()))
    for path in (tmp_path / name, tmp_path / f"{name}.gz"):
        found = read_labeled(path, texts=None)
        assert [(one.texts, one.label) for one in found] == [(("good, 好",), "1"), (("bad",), "0")]
        assert found[0].location.startswith(f"{path}, line ")


def test_a_table_of_pairs_and_one_in_parquet(tmp_path: Path) -> None:
    (tmp_path / "p.tsv").write_text("sentence1\tsentence2\tlabel\na\tb\tx\n")
    (tmp_path / "p.csv").write_text("second,text,label\nb,a,x\n")
    for name in ("p.tsv", "p.csv"):
        assert read_labeled(tmp_path / name, texts=2)[0][:2] == (("a", "b"), "x")
    (tmp_path / "s.tsv").write_text("text\tlabels\na\tx\nb\t\n")
    assert [one.labels for one in read_label_sets(tmp_path / "s.tsv")] == [("x",), ()]
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pyarrow.table({"text": ["a", "b"], "label": [1, 0], "labels": [["x"], []]})
    parquet.write_table(table, tmp_path / "a.parquet")
    assert [one.label for one in read_labeled(tmp_path / "a.parquet", texts=1)] == ["1", "0"]
    assert [one.labels for one in read_label_sets(tmp_path / "a.parquet")] == [("x",), ()]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "a,b\n1,2\n", "has no text; write text, label"),
        ("a.csv", "text,label\n1\n", "line 2 has 1 column"),
        ("a.csv", 'text,label\n"1,2\n', "is no row of a table"),
        ("a.json", '[{"text": "a", "label": 1}', "cut short|is not JSON"),
        ("a.json", "[1]", "line 1 is no object but 1"),
        ("a.json", "", "holds no labeled text"),
        ("a.tsv", "sentence\tlabel\n", "holds no labeled text"),
        ("a.tsv", "sentence\tlabel\na\tb\tc\n", "line 2 has 3 columns, not 2 as the first line"),
        ("a.parquet", "text", "is not a whole Parquet file"),
    ],
)
def test_what_is_wrong_with_a_table_is_named(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(LangueError, match=message):
        read_labeled(tmp_path / name, texts=1)


def test_a_label_may_be_called_label(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("a\tlabel\nb\tlabel\nc\tx\n")
    assert len(read_labeled(tmp_path / "a.tsv", texts=1)) == 3


def test_a_file_says_whether_it_has_pairs(tmp_path: Path) -> None:
    for name, text, texts in (
        ("a.tsv", "a\tx\nb\ty\n", 1),
        ("b.tsv", "a\tb\tx\n", 2),
        ("c.jsonl", '{"text": "a", "label": 1}\n', 1),
        ("d.jsonl", '{"text": "a", "second": "b", "label": 1}\n', 2),
    ):
        (tmp_path / name).write_text(text, encoding="utf-8")
        assert len(read_labeled(tmp_path / name, texts=None)[0].texts) == texts
    (tmp_path / "e.tsv").write_text("a\tx\na\tb\tx\n", encoding="utf-8")
    with pytest.raises(LangueError, match=r"e\.tsv, line 2: .* 1 in .*e\.tsv, line 1, 2 here"):
        read_labeled(tmp_path / "e.tsv", texts=None)
    (tmp_path / "f.tsv").write_text("a\tb\tc\tx\n", encoding="utf-8")
    with pytest.raises(LangueError, match="4 columns between tabs"):
        read_labeled(tmp_path / "f.tsv", texts=None)
