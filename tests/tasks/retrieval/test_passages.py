"""Passages: cut, named, and told where they stand."""

import gzip
import io
import json
import sys
from pathlib import Path

import pytest

import langue
from langue.base.errors import LangueError, NotFound
from langue.tasks.retrieval import passages
from langue.tasks.retrieval.passages import LONG, SHORT, Passages, Text


def test_offsets_lead_back_to_the_text() -> None:
    text = "\n\n".join(
        f"第{n}段。" + "很长的一句话，" * (n % 200) + '完。Ünd "so" weiter.' for n in range(300)
    )
    held = Passages.of([Text("a", "short"), Text("b", text)])
    assert held.passage(0) == "short"
    for number in range(1, len(held)):
        begin, end, begin_byte, end_byte = held.location(number)
        assert text[begin:end] == held.passage(number) == text.encode()[begin_byte:end_byte].decode()
        assert held.passage(number) == held.passage(number).strip()
        sentences = held.sentences(number)
        assert sentences[0].begin == begin and sentences[-1].end == end
    kept = "".join(held.passage(number) for number in range(1, len(held)))
    assert "".join(kept.split()) == "".join(text.split())  # nothing is lost


def test_passages_are_of_like_length() -> None:
    paragraphs = ["One sentence of this kind. " * 200, *["A line."] * 100]
    held = Passages.of([Text("a", "\n\n".join(paragraphs))])
    lengths = [end - begin for _, begin, end in held.spans]
    assert max(lengths) <= LONG
    assert sum(length > SHORT / 2 for length in lengths) >= len(lengths) - 2  # the ends of what was cut


@pytest.mark.parametrize(("cut", "count"), [("line", 4), ("blank-line", 2), ("text", 1), ("auto", 1)])
def test_what_is_a_passage_can_be_said(cut: str, count: int) -> None:
    assert len(Passages.of([Text("a", "one\ntwo\n \nthree\n\n\nfour")], cut)) == count + (cut == "blank-line")


def test_files_records_and_stores_are_read(
    small_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text("\ufeffFirst.\n\nSecond.\n", encoding="utf-8")
    (tmp_path / "b.jsonl").write_text('{"text": "one"}\n{"text": "two"}\n', encoding="utf-8")
    held = Passages.read([tmp_path / "a.txt", tmp_path / "b.jsonl"], cut="blank-line")
    assert [held.passage(number) for number in range(4)] == ["First.", "Second.", "one", "two"]
    assert [Path(held.name(number)).name for number in (1, 3)] == ["a.txt", "b.jsonl:2"]
    stored = Passages.read(small_store, cut="text")
    assert len(stored) == sum(len(langue_split) for langue_split in stored_splits(small_store))
    assert "train 0" in stored.name(0)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("从标准输入来。".encode())))
    assert Passages.read("-").passage(0) == "从标准输入来。"


def stored_splits(path: Path) -> list[range]:
    splits = json.loads((path / "manifest.json").read_text("utf-8"))["splits"]
    return [range(splits[name]["documents"]) for name in ("train", "valid", "test")]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_text_that_is_read_in_parts_has_the_offsets_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mark: bytes
) -> None:
    monkeypatch.setattr(passages, "LARGEST", 1000)
    monkeypatch.setattr(passages, "HEAD", 100)
    lines = [f"第{k}段 says {k} things. It says so{'!' * k}" for k in range(60)]
    text = "\n\n".join(lines) + "\n\n" + "ab国" * 700  # and one line that is longer than a part
    for name, pack in (("a.txt.gz", gzip.compress), ("a.txt", bytes)):
        (tmp_path / name).write_bytes(pack(mark + text.encode()))
        held = Passages.read(tmp_path / name, cut="blank-line")
        assert len(held.texts) > 3
        for number in range(len(held)):
            begin, end, begin_byte, end_byte = held.location(number)
            assert text[begin:end] == held.passage(number)
            assert text.encode()[begin_byte:end_byte].decode() == held.passage(number)
        assert [held.passage(number) for number in range(60)] == lines


def test_old_line_ends_end_passages_too(tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_bytes(b"one\rtwo\r\rthree")
    held = Passages.read(tmp_path / "old.txt", cut="line")
    assert [held.passage(number) for number in range(len(held))] == ["one", "two", "three"]
    assert held.location(2) == (9, 14, 9, 14)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text(" \n")
    (tmp_path / "latin.txt").write_bytes("Straße".encode("latin-1"))
    with pytest.raises(LangueError, match=r"empty\.txt holds no text"):
        Passages.read(tmp_path / "empty.txt")
    with pytest.raises(LangueError, match="byte 4 is not UTF-8"):
        Passages.read(tmp_path / "latin.txt")
    with pytest.raises(NotFound, match="no file"):
        Passages.read(tmp_path / "nowhere.txt")
    with pytest.raises(langue.InvalidSetting, match="passages = 'lines' is unknown"):
        Passages.of([Text("a", "b")], "lines")
