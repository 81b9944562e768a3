import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langue.base.errors import LangueError
from langue.corpus.config import DataConfig
from langue.corpus.ledger import Ledger
from langue.corpus.pipeline import assign_splits, check_splits
from langue.corpus.sample import sample_path
from langue.corpus.sources import find
from langue.corpus.split import assign


def run(
    tmp_path: Path, lines: list[str], config: DataConfig, **held_out: list[str]
) -> tuple[list[Any], Ledger]:
    sources = {}
    for name, given_lines in {"train": lines, **held_out}.items():
        path = tmp_path / f"{name}.txt"
        path.write_text("\n".join(given_lines) + "\n")
        sources[name] = find([str(path)])
    ledger = Ledger()
    return list(assign_splits(sources, config, ledger)), ledger


@given(st.text(), st.integers(0, 3))
def test_the_split_is_a_function_of_text_and_seed(text: str, seed: int) -> None:
    assert assign(text, DataConfig(seed=seed)) == assign(text, DataConfig(seed=seed))


def test_shares_come_out_and_seeds_differ() -> None:
    config = DataConfig(valid_fraction=0.1, test_fraction=0.2)
    counts = Counter(assign(str(number), config) for number in range(20_000))
    assert counts["test"] == pytest.approx(4000, abs=250)
    assert counts["valid"] == pytest.approx(2000, abs=200)
    assert any(assign(str(n), config) != assign(str(n), DataConfig(seed=1)) for n in range(100))


def test_exact_duplicates_are_dropped_with_a_reason(tmp_path: Path) -> None:
    config = DataConfig(documents="blank-line")
    kept, ledger = run(tmp_path, ["a", "", "b", "", "a", ""], config)
    assert sorted(document.text for _, document in kept) == ["a", "b"]
    assert ledger.dropped["duplicate"] == {"documents": 1, "bytes": 1}


def test_lines_and_given_splits_keep_their_duplicates(tmp_path: Path) -> None:
    kept, _ = run(tmp_path, ["a", "a", "b"], DataConfig(documents="line"))
    assert len(kept) == 3
    kept, ledger = run(
        tmp_path,
        ["a", "", "a", "", "b"],
        DataConfig(documents="blank-line"),
        valid=["c"],
        test=["a", "", "d"],
    )
    assert [split for split, _ in kept] == ["train"] * 3 + ["valid"] + ["test"] * 2
    assert ledger.leaks == {"test": 1}


def test_one_given_split_leaves_the_other_to_the_hash(tmp_path: Path) -> None:
    lines = [f"text {number}" for number in range(400)]
    config = DataConfig(documents="line", valid_fraction=0.2, test_fraction=0.2)
    kept, _ = run(tmp_path, lines, config, test=["held out"])
    assert [document.text for split, document in kept if split == "test"] == ["held out"]
    assert 40 < sum(split == "valid" for split, _ in kept) < 120


def test_near_duplicates_are_counted_and_dropped_on_request(tmp_path: Path) -> None:
    pytest.importorskip("rensa")
    text = [f"sentence {number} stands here" for number in range(30)]
    other = [f"another {number} stands there" for number in range(30)]
    lines = [*text, "", *text[:-1], "changed", "", *other]
    kept, ledger = run(tmp_path, lines, DataConfig(documents="blank-line"))
    assert (len(kept), ledger.near_duplicates) == (3, 1)
    kept, ledger = run(tmp_path, lines, DataConfig(documents="blank-line", near_duplicates="drop"))
    assert (len(kept), ledger.dropped["near-duplicate"]["documents"]) == (2, 1)


def test_what_is_dropped_can_be_written_out(tmp_path: Path) -> None:
    path = tmp_path / "dropped.jsonl"
    (tmp_path / "a.txt").write_text("一\n\n \n二\n")
    ledger = Ledger()
    with path.open("wb") as file:
        ledger.write_dropped(file)
        list(assign_splits({"train": find([str(tmp_path / "a.txt")])}, DataConfig(documents="line"), ledger))
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(row["reason"], row["text"], row["id"].rpartition(":")[2]) for row in rows] == [
        ("empty", "", "2"),
        ("empty", " ", "3"),
    ]


def test_too_little_text_says_what_to_do(tmp_path: Path) -> None:
    for lines, settings, message in [
        (["word"], {}, "not enough text for a split: of 1 document none .* The text is one line"),
        (["a", "", "b"], {}, "Give more text"),
        (
            [" ".join(map(str, range(99_999)))],
            {"documents": "line"},
            "one line, documents are 588,8.. bytes long",
        ),
        (["word"] * 300_000, {"documents": "file"}, "Documents are 1,499,999 bytes long: say where they end"),
        (
            ["a", ""] * 3000,
            {"documents": "blank-line"},
            '2,999 duplicate. .* what repeats .duplicates="keep"',
        ),
        (["a"] * 3000, {"documents": "line"}, "3,000 documents none .* They are 1 text again and again"),
        (["a\tb"] * 3000, {"documents": "pairs"}, "They are 1 text again and again, .* share a split"),
        (["a", "b"] * 300, {"documents": "line"}, "They are 2 texts again and again"),
        ([""], {}, "there is no text to prepare; dropped: 1 empty"),
    ]:
        _, ledger = run(tmp_path, lines, DataConfig(**settings))
        with pytest.raises(LangueError, match=message):
            check_splits(ledger, DataConfig())


@pytest.mark.parametrize("language", ["english", "chinese"])
def test_the_embedded_sample_is_clean_and_splits(language: str) -> None:
    ledger = Ledger()
    kept = list(assign_splits({"train": find([str(sample_path(language))])}, DataConfig(), ledger))
    assert len(kept) > 300
    check_splits(ledger, DataConfig())
    assert not ledger.dropped and not ledger.changed
