import gzip
import io
import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from langue.base.errors import LangueError
from langue.corpus.config import DataConfig
from langue.tokens.prepare import prepare
from langue.tokens.store import TokenStore
from langue.tokens.tokenizer import Tokenizer
from langue.tokens.train import TokenizerConfig

LINES = [f"line {number} of a text, 第{number}行" for number in range(200)]


def run(inputs: list[str], output: Path, **settings: Any) -> TokenStore:
    data = settings.pop("data", DataConfig(documents="line"))
    tokenizer = settings.pop("tokenizer", TokenizerConfig(vocabulary=300))
    prepare(inputs, output, data=data, tokenizer=tokenizer, **settings)
    return TokenStore(output)


@pytest.fixture
def text(tmp_path: Path) -> str:
    path = tmp_path / "text.txt"
    path.write_text("\n".join(LINES) + "\n", encoding="utf-8")
    return str(path)


def test_every_document_is_in_one_split_as_it_was(tmp_path: Path, text: str) -> None:
    store = run([text], tmp_path / "store")
    tokenizer = Tokenizer.load(tmp_path / "store" / "tokenizer.json")
    found = []
    for split in store.splits.values():
        for index, ids in enumerate(split.documents()):
            assert ids[-1] == store.eos
            line = tokenizer.decode(ids)
            assert int(split.bytes[index]) == len(line.encode())
            found.append(line)
    assert sorted(found) == sorted(LINES)
    assert not list((tmp_path / "store").glob(".*"))  # nothing of the way there is left


def test_twice_the_same_store(tmp_path: Path, text: str) -> None:
    assert run([text], tmp_path / "a").fingerprint == run([text], tmp_path / "b").fingerprint


def test_a_ready_tokenizer_is_used_as_it_is(tmp_path: Path, text: str) -> None:
    first = run([text], tmp_path / "a")
    config = TokenizerConfig(file=str(tmp_path / "a" / "tokenizer.json"))
    second = run([text], tmp_path / "b", tokenizer=config)
    assert second.manifest["tokenizer"] == first.manifest["tokenizer"]
    assert second.fingerprint == first.fingerprint


def test_standard_input(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = run([text], tmp_path / "a").fingerprint
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(Path(text).read_bytes())))
    assert run(["-"], tmp_path / "b").fingerprint == expected


def test_dropped_documents_are_written_out(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("\n\n".join([*LINES, LINES[3]]))
    report = prepare(
        [str(path)],
        tmp_path / "store",
        data=DataConfig(documents="blank-line"),
        tokenizer=TokenizerConfig(vocabulary=300),
        dropped=tmp_path / "dropped.jsonl",
    )
    rows = [json.loads(line) for line in (tmp_path / "dropped.jsonl").read_text().splitlines()]
    assert [(row["text"], row["reason"]) for row in rows] == [(LINES[3], "duplicate")]
    assert "dropped    duplicate: 1 document" in str(report)
    assert report.to_json()["dropped"]["duplicate"]["documents"] == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "there is no text to prepare"),
        (b"\n \n", "there is no text to prepare"),
        (b"word", "not enough text for a split"),
        (b"\x7fELF\0\0", "is binary"),
        (b"caf\xe9\n", "byte 3 is not UTF-8"),
        (b"PK\x03\x04", "is a zip archive"),
    ],
)
def test_bad_input_is_one_message_and_leaves_nothing(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    with pytest.raises(LangueError, match=message):
        run([str(path)], tmp_path / "store")
    assert [file.name for file in tmp_path.iterdir()] == ["bad.txt"]


def test_no_output_is_an_input(tmp_path: Path, text: str) -> None:
    before = Path(text).read_bytes()
    (tmp_path / "link.txt").symlink_to(text)
    for side in (text, str(tmp_path / "link.txt"), str(tmp_path / "." / "text.txt")):
        with pytest.raises(LangueError, match="is read: it cannot be written at the same time"):
            run([text], tmp_path / "store", dropped=Path(side))
        with pytest.raises(LangueError, match="is read"):
            run([str(tmp_path)], tmp_path / "store", dropped=Path(side))
    run([text], tmp_path / "store")
    (tmp_path / "store" / "more.txt").write_bytes(before)
    with pytest.raises(LangueError, match=r"store holds .*more\.txt, which is read"):
        run([str(tmp_path / "store" / "more.txt")], tmp_path / "store", overwrite=True)
    assert Path(text).read_bytes() == (tmp_path / "store" / "more.txt").read_bytes() == before


@pytest.mark.parametrize("how", ["name", "link", "hard link"])
def test_one_file_in_two_splits_is_told(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    held, other = tmp_path / "held.txt", tmp_path / "other.txt"
    held.write_text("What nobody has read before.\n\nNor this, which is another one.\n")
    if how == "link":
        other.symlink_to(held)
    elif how == "hard link":
        other.hardlink_to(held)
    else:
        other = held
    run([text], tmp_path / "store", valid=[str(held)], test=[str(other)])
    assert caplog.text.count("valid and test hold the same file") == 1
    caplog.clear()
    run([text], tmp_path / "again", test=[text], valid=[str(held)])
    assert caplog.text.count("train and test hold the same file") == 1


def test_where_dropped_documents_cannot_be_written_no_store_is(tmp_path: Path, text: str) -> None:
    (tmp_path / "folder").mkdir()
    for dropped in ("folder", "none/dropped.jsonl"):
        with pytest.raises(LangueError, match=r"is a folder|cannot write"):
            run([text], tmp_path / "store", dropped=tmp_path / dropped)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "text.txt"]


def test_a_file_that_cannot_be_read_is_not_said_to_be_one_that_cannot_be_written(tmp_path: Path) -> None:
    if not Path("/proc/self/mem").exists():
        pytest.skip("needs a file that opens and refuses to be read")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.txt").symlink_to("/proc/self/mem")
    with pytest.raises(LangueError, match=r"cannot read .*a\.txt: Input/output error"):
        run([str(tmp_path / "folder")], tmp_path / "store")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks the system for the most memory of a process")
@pytest.mark.parametrize("packed", [False, True])
def test_memory_does_not_follow_the_longest_line_without_spaces(tmp_path: Path, packed: bool) -> None:
    letters = "a" * 8_000_000 if packed else "".join(random.Random(0).choices("acgt", k=4_000_000))
    path = tmp_path / "text.txt.gz"
    path.write_bytes(gzip.compress(letters.encode(), 1))
    settings = 'documents="file", duplicates="keep", valid_fraction=0.0, test_fraction=0.0'
    script = f"""
import re, langue
langue.prepare({str(path)!r}, {str(tmp_path / "store")!r}, {settings})
# Of this program alone: ru_maxrss begins with what whoever started it had in memory.
print(int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(run.stdout) < 400  # MB


def test_published_penn_treebank_counts(tmp_path: Path, shared_data: Callable[[str], Path]) -> None:
    ptb = shared_data("ptb")
    store = run(
        [str(ptb / "train.txt")],
        tmp_path / "ptb",
        tokenizer=TokenizerConfig(kind="whitespace"),
        valid=[str(ptb / "valid.txt")],
        test=[str(ptb / "test.txt")],
    )
    assert [len(store.splits[name].tokens) for name in ("train", "valid", "test")] == [929589, 73760, 82430]
    assert store.vocabulary_size == 10001  # the 9,999 words with <unk>, <eos> and <pad>
