"""Documents with the records they come from."""

from pathlib import Path

import pytest

from langue.base.errors import LangueError
from langue.corpus.summary_pairs import SummaryDataConfig, read_summary_pairs
from langue.corpus.whole import read_documents


def test_a_text_file_is_a_document_and_so_is_each_record(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("One.\n\nTwo.\n")
    (tmp_path / "b.jsonl").write_text('{"id": 1, "text": "三。"}\n\n{"id": 2, "text": "Four."}\n', "utf-8")
    (tmp_path / "c.csv").write_text('id,text\n3,"Five,\nsix."\n')
    (tmp_path / "d.tsv").write_text('id\ttext\n4\tA "quote.\n')
    (tmp_path / "e.csv").write_text("id;text\r5;Seven, eight.\r")
    (tmp_path / "f.json").write_text('[{"id": 5, "text": "Nine."},\n {"id": 6, "text": "Ten."}]')
    names = [str(tmp_path / name) for name in ("a.txt", "b.jsonl", "c.csv", "d.tsv", "e.csv", "f.json")]
    documents = list(read_documents(names))
    assert [one.text.strip() for one in documents] == [
        "One.\n\nTwo.",
        "三。",
        "Four.",
        "Five,\nsix.",
        'A "quote.',
        "Seven, eight.",
        "Nine.",
        "Ten.",
    ]
    assert [one.record and one.record["id"] for one in documents] == [None, 1, 2, "3", "4", "5", 5, 6]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"body": "a"}\n', "no field 'text' \\(body\\); pass text_field"),
        ('{"text": 5}\n', "no text in the field"),
        ('{"text": "a"}\n[1]\n', "line 2 is no object"),
        ('{"text": "a"}\n{"text": \n', "line 2"),
        ("", "is empty"),
    ],
)
def test_what_is_wrong_with_records_is_told(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "a.jsonl").write_text(content)
    with pytest.raises(LangueError, match=message):
        list(read_documents([str(tmp_path / "a.jsonl")]))


def test_pairs_have_the_names_that_data_sets_give_them(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"article": "A b.", "highlights": "b", "head": "t"}\n')
    (pair,) = read_summary_pairs(tmp_path / "a.jsonl", SummaryDataConfig())
    assert pair == ("A b.", "b", "")
    (tmp_path / "a.json").write_text('[{"article": "A b.",\n "highlights": "b"}]')
    assert list(read_summary_pairs(tmp_path / "a.json", SummaryDataConfig())) == [pair]
    (pair,) = read_summary_pairs(tmp_path / "a.jsonl", SummaryDataConfig(title_field="head"))
    assert pair.title == "t"
    with pytest.raises(LangueError, match="summary_field=NAME"):
        list(read_summary_pairs(tmp_path / "a.jsonl", SummaryDataConfig(summary_field="tldr")))
