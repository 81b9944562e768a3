"""Pairs: two texts that are one document, from every kind of file, and all that can be wrong with one."""

import json
from pathlib import Path
from typing import Any

import pytest

from langue.base.errors import InvalidSetting, LangueError
from langue.corpus.config import DataConfig
from langue.corpus.ledger import Ledger
from langue.corpus.pipeline import normalize_documents
from langue.corpus.read import read
from langue.corpus.sources import check_text_field, find

PAIRS = [("one\ttwo\nthree", "eins"), ("天，地", 'sky, "earth"'), ("<sep> a", "<eos>")]
SIMPLE = [("天 one", "sky eins"), ('"', "two")]
FIELDS = {"source_field": "en", "target_field": "de"}


def pairs(path: Path, ledger: Ledger | None = None, **settings: Any) -> list[tuple[str, ...]]:
    config = DataConfig(documents="pairs", **settings)
    return [document.texts for document in read(find([str(path)], config=config), config, ledger or Ledger())]


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def lines(rows: list[tuple[str, str]], source: str = "source", target: str = "target") -> str:
    return "".join(json.dumps({"n": 1, target: b, source: a}, ensure_ascii=False) + "\n" for a, b in rows)


def test_pairs_are_read_from_every_kind_of_file(tmp_path: Path) -> None:
    assert pairs(write(tmp_path / "a.jsonl", lines(PAIRS))) == PAIRS
    assert pairs(write(tmp_path / "noname", lines(PAIRS))) == PAIRS
    assert pairs(write(tmp_path / "b.jsonl", lines(PAIRS, "en", "de")), **FIELDS) == PAIRS
    listed = json.dumps([{"source": a, "target": b} for a, b in PAIRS], indent=1)
    assert pairs(write(tmp_path / "a.json", listed)) == PAIRS
    quoted = "".join('"{}",x,"{}"\n'.format(*(part.replace('"', '""') for part in pair)) for pair in PAIRS)
    assert pairs(write(tmp_path / "a.csv", "source,n,target\n" + quoted)) == PAIRS
    columns = "".join(f"{a}\t{b}\n" for a, b in SIMPLE)
    assert pairs(write(tmp_path / "a.txt", columns + "\n")) == SIMPLE
    assert pairs(write(tmp_path / "a.tsv", columns)) == SIMPLE
    assert pairs(write(tmp_path / "b.tsv", "source\ttarget\r\n" + columns)) == SIMPLE
    turned = "".join(f"{b}\t{a}\n" for a, b in SIMPLE)
    assert pairs(write(tmp_path / "c.tsv", "de\ten\n" + turned), **FIELDS) == SIMPLE


def test_pairs_of_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = {"target": ["eins", None], "source": ["one", "two"]}
    parquet.write_table(pyarrow.table(table), tmp_path / "a.parquet")
    ledger = Ledger()
    assert pairs(tmp_path / "a.parquet", ledger, invalid="skip") == [("one", "eins")]
    assert ledger.dropped["no text"]["documents"] == 1
    with pytest.raises(LangueError, match="row 2 of 'target' is not text"):
        pairs(tmp_path / "a.parquet")
    with pytest.raises(LangueError, match=r"no column 'en' \(target, source\); pass source_field"):
        pairs(tmp_path / "a.parquet", **FIELDS)


@pytest.mark.parametrize(
    ("name", "text", "message", "rest"),
    [
        (
            "a.jsonl",
            '{"source": "a"}',
            r"line 1 has no text in field 'target' \(source\); pass target_field",
            0,
        ),
        ("a.jsonl", '{"text": "a"}', r"no text in field 'source' \(text\); pass source_field", 0),
        ("a.jsonl", '{"source": "a", "target": null}', "field 'target' is no text but null", 0),
        ("a.jsonl", '{"source": 3, "target": "b"}', "field 'source' is no text but 3", 0),
        ("a.jsonl", '["a", "b"]', "no text in field 'source'", 0),
        ("a.json", '[{"source": "a", "target": ["b"]}]', "field 'target' is no text but", 0),
        ("a.csv", "source,target\na,b\nc\n", "line 3 has 1 columns, not 2", 1),
        ("a.txt", "a\tb\nc\n", "line 2 has 1 columns between tabs, not 2", 1),
        ("a.txt", "a\tb\tc\n", "line 1 has 3 columns between tabs, not 2", 0),
        ("a.csv", "source,x\na,b\n", r"no column 'target' \(source, x\); pass target_field", None),
        ("a.tsv", "source\tx\na\tb\n", "no column 'target'", None),
    ],
)
def test_half_a_pair_is_an_error_or_skipped_and_counted(
    tmp_path: Path, name: str, text: str, message: str, rest: int | None
) -> None:
    path = write(tmp_path / name, text)
    with pytest.raises(LangueError, match=message):
        pairs(path)
    if rest is not None:  # a file without the column has no pair at all
        ledger = Ledger()
        assert pairs(path, ledger, invalid="skip") == [("a", "b")] * rest
        assert sum(counter["documents"] for counter in ledger.dropped.values()) == 1


def test_an_empty_half_is_dropped_and_named(tmp_path: Path) -> None:
    config, ledger = DataConfig(documents="pairs"), Ledger()
    path = write(
        tmp_path / "a.jsonl", lines([("a\r\n", "b\0"), ("a", " \n"), ("\u200b", "x"), ("", ""), ("", "b")])
    )
    kept = normalize_documents(read(find([str(path)]), config, ledger), config, ledger)
    assert [document.texts for document in kept] == [("a\n", "b"), ("\u200b", "x")]
    assert {why: counter["documents"] for why, counter in ledger.dropped.items()} == {
        "empty target": 1,
        "empty source": 2,
    }


def test_a_folder_gives_its_files_of_pairs(tmp_path: Path) -> None:
    write(tmp_path / "a.json", lines(SIMPLE))
    write(tmp_path / "b.csv", "x,y\n1,2\n")
    write(tmp_path / "c.csv", "target,source\nb,a\n")
    assert sorted(pairs(tmp_path)) == sorted([*SIMPLE, ("a", "b")])


def test_pairs_of_one_source_land_together_and_repeats_stay(tmp_path: Path, assign_splits: Any) -> None:
    """A split that held a source of train would flatter; what differs in its target is no duplicate."""
    rows = [(f"source {n % 150}", f"target {n}") for n in range(600)]
    path = write(tmp_path / "a.jsonl", lines([*rows, *rows[:5]]))
    config = DataConfig(documents="pairs", valid_fraction=0.2, test_fraction=0.2)
    for duplicates, count in (("auto", 605), ("drop", 600)):
        chosen = DataConfig(documents="pairs", valid_fraction=0.2, test_fraction=0.2, duplicates=duplicates)  # type: ignore[arg-type]
        split_of: dict[str, set[str]] = {}
        kept = assign_splits({"train": find([str(path)])}, chosen, Ledger())
        for split, document in kept:
            split_of.setdefault(document.text, set()).add(split)
        assert len(kept) == count
        assert all(len(splits) == 1 for splits in split_of.values())
        assert {split for split, _ in kept} == {"train", "valid", "test"}
    assert config.fields == {"source": "--source-field", "target": "--target-field"}


def test_settings_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    for settings, message in (
        ({"source_field": "en"}, "of pairs; set documents to pairs"),
        ({"documents": "pairs", "text_field": "x"}, "text_field is of single texts"),
        ({"documents": "pairs", "source_field": "target"}, "a pair needs two"),
    ):
        with pytest.raises(InvalidSetting, match=message):
            DataConfig(**settings)  # type: ignore[arg-type]
    path = write(tmp_path / "a.txt", "a\tb\n")
    with pytest.raises(LangueError, match="plain text has no field 'en'; leave source_field out"):
        check_text_field(find([str(path)]), DataConfig(documents="pairs", **FIELDS))  # type: ignore[arg-type]
