"""What several verbs share: one way to read texts, whatever they lie in."""

import gzip
import io
import json
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from langue.base.errors import LangueError
from langue.cli import run
from langue.cli.options import read_lines, text_of

TEXTS = ["the king is dead", "long live the king"]


def files(folder: Path) -> list[Path]:
    """The same texts in every form."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    zstandard = pytest.importorskip("zstandard")
    plain = "".join(text + "\n" for text in TEXTS).encode()
    records = "".join(json.dumps({"id": 1, "text": text}) + "\n" for text in TEXTS).encode()
    table = "".join(f"{text}\t1\n" for text in ("text", *TEXTS)).encode()
    contents = {
        "a.txt": plain, "a.txt.gz": gzip.compress(plain), "a.zst": zstandard.ZstdCompressor().compress(plain),
        "a.jsonl": records, "b.jsonl.gz": gzip.compress(records), "a.json": records, "a": records,
        "b.json": json.dumps([{"text": text} for text in TEXTS]).encode(),
        "a.tsv": table, "a.csv": table.replace(b"\t", b","),
    }  # fmt: skip
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    parquet.write_table(pyarrow.table({"text": TEXTS}), folder / "a.parquet")
    return sorted(folder.iterdir())


def test_every_form_gives_the_same_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in files(tmp_path):
        assert read_lines(path) == TEXTS, path.name
        if path.suffix != ".csv":  # a table has its name only
            monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(path.read_bytes())))
            expected = ["text\t1", *(f"{text}\t1" for text in TEXTS)] if path.suffix == ".tsv" else TEXTS
            assert read_lines("-") == expected, path.name


def test_score_reads_the_field(
    tmp_path: Path, small_models: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.txt").write_text("the king\n")
    (tmp_path / "a.jsonl").write_text('{"body": "the king"}\n')
    assert run(["score", str(small_models["trigram"]), str(tmp_path / "a.txt")]) == 0
    expected = capsys.readouterr().out
    assert (
        run(["score", str(small_models["trigram"]), str(tmp_path / "a.jsonl"), "--text-field", "body"]) == 0
    )
    assert capsys.readouterr().out == expected
    assert run(["score", str(small_models["trigram"]), str(tmp_path / "a.txt"), "--text-field", "body"]) == 2
    assert "plain text has no field" in capsys.readouterr().err


def test_bad_values_of_prepare_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.txt").write_text("".join(f"word {n}\n" for n in range(500)))
    start = ["prepare", str(tmp_path / "a.txt"), "-o", str(tmp_path / "s")]
    for options in (
        ["--text-field", ""], ["--vocabulary", "0"], ["--vocabulary", "1"], ["--vocabulary", "99999999999"],
        ["--vocabulary", "-5"], ["--tokenizer", "whitespace", "--vocabulary", "1"],
        ["--set", "documents=[1,2]"], ["--set", "vocabulary=[[[["],
    ):  # fmt: skip
        assert run([*start, *options]) == 2, options
        assert not (tmp_path / "s").exists()
        message = capsys.readouterr().err
        assert "not enough text" not in message
        assert len(message.strip().splitlines()) == 1


def test_embed_asks_before_it_writes_over_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "a.txt"
    text.write_text("word\n")
    for output, message in ((text, "is read"), (tmp_path / "b.npy", "already exists")):
        output.touch()
        assert run(["embed", "none", str(text), "-o", str(output)]) == 2
        assert message in capsys.readouterr().err
    assert text.read_text() == "word\n"


def test_a_text_that_is_no_utf8_is_refused() -> None:
    assert text_of("语") == "语"
    with pytest.raises(LangueError, match="not UTF-8: character 2"):
        text_of("x\udcff")


def test_scores_of_a_pipe_are_shown_as_they_are_known(small_models: dict[str, Path]) -> None:
    """The first is there before the second line was written."""
    command = [sys.executable, "-m", "langue", "score", str(small_models["trigram"]), "-"]
    for more, before in (([], 1), (["--format", "kenlm"], 0)):
        with subprocess.Popen(
            [*command, *more], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        ) as process:
            assert process.stdin is not None and process.stdout is not None
            patience = threading.Timer(120, process.kill)  # then there is no line to read, and the test fails
            patience.start()
            process.stdin.write(b"the king\n")
            rows = [process.stdout.readline() for _ in range(before + 1)]
            assert all(rows)
            process.stdin.write("天下\n".encode())
            process.stdin.close()
            assert len(process.stdout.read().splitlines()) == 1
            patience.cancel()
        assert process.returncode == 0
