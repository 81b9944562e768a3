"""Scores by the stream are those of each text alone, whatever the form, the batch, the number of workers."""

import io
import json
import math
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

import langue
from langue.base.errors import Unsupported
from langue.cli import run
from langue.interop.kenlm import Model as KenLM

LINES = [
    "the king is dead",
    "",
    "unheard words <unk> <s> here </s> and <UNK>",
    "long live the king",
    "第一回 的",
]


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A 3-gram straight from a text: words between blanks."""
    folder = tmp_path_factory.mktemp("closed")
    text = "the king is dead\nlong live the king\nthe queen is not dead\n\nlong is the road\n第一回 的 road\n"
    (folder / "text.txt").write_text(text * 3, encoding="utf-8")
    langue.train("ngram", folder / "text.txt", folder / "model", order=3)
    return folder / "model"


def joined(pieces: Iterable[str | bytes]) -> bytes:
    return b"".join(piece.encode() if isinstance(piece, str) else piece for piece in pieces)


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    path = tmp_path / "lines.txt"
    path.write_text("\n".join(LINES) + "\n", encoding="utf-8")
    return path


def test_lines_cost_what_each_costs_alone(closed: Path, small_models: dict[str, Path], lines: Path) -> None:
    for folder in (closed, small_models["trigram"], small_models["gpt2"]):
        model: Any = langue.load(folder)
        streamed = list(langue.score(folder, lines))
        alone = model.score_all(LINES)
        assert [score.text for score in streamed] == [score.text for score in alone]
        for ours, one in zip(streamed, alone, strict=True):
            assert ours.bits == pytest.approx(one.total_bits, rel=1e-5)
            assert ours.tokens == len(one.bits)
            assert ours.perplexity == pytest.approx(one.perplexity, rel=1e-5)
            assert (ours.bits_per_byte is None) == (one.bits_per_byte is None)


def test_kenlm_would_say_the_same(closed: Path, lines: Path) -> None:
    model = KenLM(closed)
    for score in langue.score(closed, lines):
        assert score.log10 == pytest.approx(model.score(score.text), abs=1e-5)
        assert score.unknowns == sum(one.oov for one in model.full_scores(score.text))
    rows = joined(langue.write_scores(closed, lines, format="kenlm")).decode().splitlines()
    for row, line in zip(rows, LINES, strict=True):
        total, unknown = row.removeprefix("Total: ").split(" OOV: ")
        assert float(total) == pytest.approx(model.score(line), abs=2e-6)
        assert int(unknown) == sum(one.oov for one in model.full_scores(line))


@pytest.mark.parametrize("workers", ["1", "3"])
def test_any_number_of_workers_and_any_batch_writes_the_same(
    closed: Path, small_models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    path = tmp_path / "many.txt"
    path.write_text("".join(f"{line} {n}\n" for n in range(400) for line in LINES), encoding="utf-8")
    monkeypatch.setenv("LANGUE_THREADS", workers)
    for folder in (closed, small_models["trigram"]):
        for format in ("tsv", "jsonl", "json"):
            whole = "".join(map(str, langue.write_scores(folder, path, format=format)))  # type: ignore[arg-type]
            monkeypatch.setattr("langue.corpus.stream.MOST", 1 << 13)
            parts = "".join(map(str, langue.write_scores(folder, path, format=format)))  # type: ignore[arg-type]
            monkeypatch.undo()
            monkeypatch.setenv("LANGUE_THREADS", workers)
            assert parts == whole
        assert len(json.loads(whole)) == 400 * len(LINES)


def test_records_and_documents(small_models: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"body": "one\\ntwo"}\n{"body": "three"}\n')
    (tmp_path / "b.txt").write_text("one\ntwo\n")
    scores = list(langue.score(small_models["trigram"], tmp_path / "a.jsonl", text_field="body"))
    assert [score.text for score in scores] == ["one\ntwo", "three"]
    (document,) = langue.score(small_models["trigram"], tmp_path / "b.txt", by="document")
    assert document.text == "one\ntwo"
    assert document.bits == pytest.approx(scores[0].bits)
    with pytest.raises(langue.InvalidSetting, match="by"):
        langue.score(small_models["trigram"], tmp_path / "b.txt", by="word")  # type: ignore[arg-type]


def test_parquet_is_whole(closed: Path, lines: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    data = joined(langue.write_scores(closed, lines, format="parquet"))
    table = parquet.read_table(io.BytesIO(data)).to_pydict()
    assert table["text"] == LINES
    assert table["bits"] == [score.bits for score in langue.score(closed, lines)]
    assert table["bits_per_byte"] == [None] * len(LINES)


def test_a_format_without_room_is_refused(closed: Path, lines: Path) -> None:
    for format in ("kenlm", "parquet"):
        with pytest.raises(Unsupported, match="no room for the bits of tokens"):
            langue.write_scores(closed, lines, format=format, per_token=True)  # type: ignore[arg-type]


def test_what_is_wrong_later_leaves_what_was_right(
    closed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"the king\n" * 100_000 + b"\xff\n")
    assert run(["score", str(closed), str(path), "--format", "kenlm"]) == 2
    printed = capsys.readouterr()
    assert "is not UTF-8" in printed.err
    assert printed.out.startswith("Total: -")
    assert run(["score", str(closed), str(tmp_path / "a"), str(path)]) == 2


GROWTH = """
import resource, sys
import langue
for name in sys.argv[2:]:
    for piece in langue.write_scores(sys.argv[1], name, format="kenlm"):
        pass
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts kilobytes as Linux does")
def test_memory_does_not_grow_with_the_text(closed: Path, tmp_path: Path) -> None:
    names = []
    for count in (1, 4_000, 200_000):
        names.append(tmp_path / f"{count}.txt")
        names[-1].write_text("long live the king of the road\n" * count)
    command = [sys.executable, "-c", GROWTH, str(closed), *map(str, names)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    one, few, many = (int(line) / 1024 for line in done.stdout.split())
    assert few - one < 30
    assert many - one < 60
    assert math.isfinite(many)
