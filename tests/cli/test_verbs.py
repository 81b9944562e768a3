"""Every verb as a user types it: what it prints for people, and for machines."""

import gzip
import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from langue import cli


@pytest.fixture
def langue(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command that should succeed; what it printed."""

    def run(*arguments: str | Path, code: int = 0) -> str:
        capsys.readouterr()
        assert cli.run([str(argument) for argument in arguments]) == code
        return capsys.readouterr().out

    return run


def test_from_text_to_a_talking_model(langue: Any, small_text: Path, tmp_path: Path) -> None:
    store, model = tmp_path / "store", tmp_path / "kn"
    report = langue("prepare", small_text, "-o", store, "--documents", "blank-line", "--vocabulary", "500")
    assert "500 entries" in report
    assert "train" in report
    assert "kn: ngram" in langue("train", "ngram", store, "-o", model, "--set", "order=3")
    assert "bits per byte" in langue("evaluate", model, store, "--check")
    assert langue("next", model, "the king", "--top", "4").count("%") == 4
    assert langue("generate", model, "第一回", "--max-tokens", "10", "--seed", "1").startswith("第一回")
    assert "family" in langue("info", model)
    assert "splits.train.documents" in langue("info", store)


def test_json_of_every_verb(
    langue: Any, small_models: dict[str, Path], small_store: Path, small_text: Path, tmp_path: Path
) -> None:
    model = small_models["trigram"]
    prepared = json.loads(
        langue("prepare", small_text, "-o", tmp_path / "s", "--tokenizer", "bytes", "--json")
    )
    assert prepared["tokenizer"]["kind"] == "bytes"
    assert (
        json.loads(langue("train", "ngram", small_store, "-o", tmp_path / "m", "--json"))["family"] == "ngram"
    )
    evaluated = json.loads(langue("evaluate", model, small_store, "--check", "--json"))
    assert evaluated["bits_per_byte"] > 0
    assert all(found["passed"] for found in evaluated["checks"])
    compared = json.loads(langue("compare", model, small_models["gpt2"], "--on", small_store, "--json"))
    assert len(compared["models"]) == 2
    assert json.loads(langue("next", model, "The", "--json"))[0]["probability"] > 0
    made = json.loads(langue("generate", model, "The", "--max-tokens", "5", "--json"))
    assert made["prompt"] == "The"
    assert json.loads(langue("info", model, "--json"))["size"]["ngrams"] > 0


def test_scores_lines_of_a_file_and_of_standard_input(
    langue: Any, small_models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "sentences.txt"
    path.write_text("The king is dead.\n第一回\n\nLong live the king.", encoding="utf-8")
    found = json.loads(langue("score", small_models["trigram"], path, "--json", "--per-token"))
    assert [row["text"] for row in found] == ["The king is dead.", "第一回", "", "Long live the king."]
    assert found[2]["bits_per_byte"] is None  # no byte to divide by
    for row in found:
        assert row["bits"] == pytest.approx(sum(token["bits"] for token in row["per_token"]))
    table = langue("score", small_models["trigram"], path, "--per-token")
    assert "'<eos>'" in table
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))
    assert len(json.loads(langue("score", small_models["trigram"], "-", "--json"))) == 4


def test_prepare_takes_folders_packed_files_records_and_given_splits(langue: Any, tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.md").write_text("# One\n\ntwo words", encoding="utf-8")
    with gzip.open(folder / "deep" / "b.txt.gz", "wt", encoding="utf-8") as file:
        file.write("packed text")
    (folder / "c.jsonl").write_text('{"body": "a record"}\n{"body": "a record"}\n', encoding="utf-8")
    valid, test = tmp_path / "valid.txt", tmp_path / "test.txt"
    valid.write_text("held out\npacked text\n", encoding="utf-8")
    test.write_text("never seen\n", encoding="utf-8")
    dropped = tmp_path / "dropped.jsonl"
    arguments = ["prepare", folder, "-o", tmp_path / "store", "--tokenizer", "chars", "--documents", "line"]
    arguments += ["--text-field", "body", "--valid", valid, "--test", test, "--duplicates", "drop"]
    report = json.loads(langue(*arguments, "--dropped", dropped, "--json"))
    assert report["read"]["files"] == 5
    assert report["leaks"] == {"valid": 1}
    reasons = [json.loads(line)["reason"] for line in dropped.read_text("utf-8").splitlines()]
    assert len(reasons) == sum(counter["documents"] for counter in report["dropped"].values())
    assert set(reasons) == {"duplicate", "empty"}


def test_a_failed_check_leaves_with_one(
    langue: Any, small_models: dict[str, Path], small_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("langue.evaluation.checks.TOLERANCE", -1.0)
    assert "FAIL" in langue("evaluate", small_models["trigram"], small_store, "--check", code=1)


def test_version_and_help(langue: Any) -> None:
    from langue.cli import __version__

    assert langue("--version").strip() == __version__
    for verb in ("demo", "prepare", "train", "evaluate", "compare", "generate", "next", "score", "info"):
        assert verb in langue("--help")
        assert "--json" in langue(verb, "--help")
        assert "--quiet" in langue(verb, "--help")


def test_info_shows_lists_and_what_a_mixture_learned(langue: Any, small_store: Path, tmp_path: Path) -> None:
    for name, settings in (("a", ["order=3", "prune=[0, 0, 1]"]), ("b", ["order=1"])):
        assignments = [part for setting in settings for part in ("--set", setting)]
        langue("train", "ngram", small_store, "-o", tmp_path / name, *assignments)
    pruned = langue("info", tmp_path / "a")
    assert re.search(r"config\.prune +\[0, 0, 1\]", pruned)
    assert not re.search(r" None$", pruned, re.MULTILINE)
    parts = json.dumps([str(tmp_path / "a"), str(tmp_path / "b")])
    langue("train", "mixture", small_store, "-o", tmp_path / "mixed", "--set", f"models={parts}")
    shown = langue("info", tmp_path / "mixed")
    assert re.search(r"measured\.weights +\[[\d.e-]+, [\d.e-]+\]", shown)
    weights = json.loads(langue("info", tmp_path / "mixed", "--json"))["measured"]["weights"]
    assert sum(weights) == pytest.approx(1, abs=1e-5)
    compared = json.loads(langue("compare", tmp_path / "mixed", "--on", small_store, "--json"))
    whole = sum(path.stat().st_size for path in (tmp_path / "mixed").rglob("*") if path.is_file())
    assert compared["models"][0]["disk_bytes"] == whole


def test_the_card_of_a_model_says_what_it_has_seen(langue: Any, small_store: Path, tmp_path: Path) -> None:
    small = ("layers=1", "width=16", "heads=1", "context=16", "batch_tokens=64", "steps=3")
    assignments = [part for setting in small for part in ("--set", setting)]
    langue("train", "gpt2", small_store, "-o", tmp_path / "gpt", *assignments)
    seen = json.loads(langue("info", tmp_path / "gpt", "--json"))["measured"]["tokens"]
    card = (tmp_path / "gpt" / "README.md").read_text()
    assert f"3 steps, {seen:,} tokens of a text of" in card
    langue("train", "ngram", small_store, "-o", tmp_path / "kn")
    train = json.loads(langue("info", small_store, "--json"))["splits"]["train"]
    assert (
        f"all of {train['documents']:,} documents: {train['tokens']:,} tokens"
        in (tmp_path / "kn" / "README.md").read_text()
    )


def test_what_is_counted_is_said_in_words(langue: Any, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("".join(f"one line of words {n}\n" for n in range(60)))
    (tmp_path / "one").write_text("one line\n")
    report = langue(
        "prepare", tmp_path / "text", "-o", tmp_path / "s", "--documents", "line",
        "--set", "valid_fraction=0", "--set", "test_fraction=0.2",
    )  # fmt: skip
    assert "read       1 file, 60 documents" in report
    assert re.search(r"^valid +none$", report, re.MULTILINE)
    langue("train", "ngram", tmp_path / "s", "-o", tmp_path / "kn", "--set", "order=2")
    langue("train", "infinigram", tmp_path / "s", "-o", tmp_path / "inf")
    assert "1 document, " in langue("evaluate", tmp_path / "kn", tmp_path / "one")
    assert "measured on 1 document, " in langue("compare", tmp_path / "kn", "--on", tmp_path / "one")
    assert langue("find", tmp_path / "inf", "words 1\n", "--limit", "0").count("0 times in 0 documents") == 1


def test_counting_a_text_says_how_it_is_read(
    langue: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "text").write_text("the king is dead\nlong live the king\n")
    with caplog.at_level("INFO", "langue"):
        langue("train", "ngram", tmp_path / "text", "-o", tmp_path / "kn", "--set", "order=2")
    assert "a sentence a line" in caplog.text and "no bits per byte" in caplog.text


def test_a_list_that_is_asked_for_is_spelled_in_the_message(
    small_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "ngram", str(small_store), "-o", str(tmp_path / "m")]
    for typed in ("0 0 1", "0,0,1"):
        assert cli.run([*command, "--set", f"prune={typed}"]) == 2
        assert "write [0, 0, 1]" in capsys.readouterr().err
