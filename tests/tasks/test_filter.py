"""Filtering: what is kept, written and counted, and that the number of workers changes nothing."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import langue
from langue.base.errors import InvalidSetting, LangueError, Unsupported
from langue.cli import run
from langue.tasks.filter import Histogram, cut_at, repeated, symbols

GOOD = [f"The king of {name} is dead, long live the king." for name in ("France", "Spain", "Naples")]
BAD = ["zq xj kk wv", "buy!!! $$$ now %%%", "第第第第"]


@pytest.fixture
def records(tmp_path: Path) -> Path:
    path = tmp_path / "in.jsonl"
    rows = [{"id": n, "text": text, "more": {"x": [n]}} for n, text in enumerate(GOOD + BAD)]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_best_are_kept_with_their_fields(
    small_models: dict[str, Path], records: Path, tmp_path: Path
) -> None:
    model = small_models["trigram"]
    scores = {score.text: score.bits_per_byte for score in langue.score(model, records)}
    report = langue.filter(records, tmp_path / "out.jsonl", good=model, keep="50%")
    kept = read(tmp_path / "out.jsonl")
    best = sorted(scores, key=lambda text: scores[text] or 0)[:3]
    assert [row["text"] for row in kept] == [text for text in scores if text in best]
    for row in kept:
        assert row["bits_per_byte"] == pytest.approx(scores[row["text"]])
        assert row["more"] == {"x": [row["id"]]}
    lines = records.read_bytes().splitlines()
    for row, line in zip(kept, (tmp_path / "out.jsonl").read_bytes().splitlines(), strict=True):
        assert line.startswith(lines[row["id"]][:-1])  # byte for byte as it stood
    assert (report.read["texts"], report.kept["texts"], report.dropped) == (6, 3, {"score": 3})
    assert report.cut == max(row["bits_per_byte"] for row in kept)
    assert [sample.score for sample in report.near.kept][-1] == report.cut
    assert "kept up to" in str(report)
    json.dumps(report.to_json(), allow_nan=False)


def test_the_difference_of_two_models_and_a_cut_that_is_given(
    small_models: dict[str, Path], records: Path, tmp_path: Path
) -> None:
    good, other = small_models["trigram"], small_models["unigram"]
    pairs = zip(langue.score(good, records), langue.score(other, records), strict=True)
    expected = [(one.bits_per_byte or 0) - (two.bits_per_byte or 0) for one, two in pairs]
    langue.filter(records, tmp_path / "all.jsonl", good=good, other=other, score_field="d")
    assert [row["d"] for row in read(tmp_path / "all.jsonl")] == pytest.approx(expected)
    cut = float(np.median(expected))
    langue.filter(records, tmp_path / "out.jsonl", good=good, other=other, below=cut, score_field="")
    assert read(tmp_path / "out.jsonl") == [
        row for row, score in zip(read(records), expected, strict=True) if score <= cut
    ]


def test_rules_are_counted_and_need_no_model(records: Path, tmp_path: Path) -> None:
    report = langue.filter(records, tmp_path / "out.jsonl", min_bytes=12, max_symbols=0.3)
    assert report.dropped == {"too short": 1, "symbols": 1}
    assert read(tmp_path / "out.jsonl") == [
        row for row in read(records) if row["text"] not in ("zq xj kk wv", "buy!!! $$$ now %%%")
    ]
    assert repeated("a\nb\na\na") == 0.5
    assert repeated("") == symbols("") == 0
    assert symbols("ab中!") == 0.25


def test_buckets_are_thirds(small_models: dict[str, Path], records: Path, tmp_path: Path) -> None:
    langue.filter(records, tmp_path / "out.jsonl", good=small_models["trigram"], buckets=True)
    rows = sorted(read(tmp_path / "out.jsonl"), key=lambda row: row["bits_per_byte"])
    assert [row["bucket"] for row in rows] == ["head", "head", "middle", "middle", "tail", "tail"]


def test_a_field_of_that_name_is_replaced(small_models: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"bits_per_byte": "?", "text": "the king"}\n')
    langue.filter(tmp_path / "in.jsonl", tmp_path / "out.jsonl", good=small_models["trigram"])
    (row,) = read(tmp_path / "out.jsonl")
    assert row["bits_per_byte"] > 0
    assert (tmp_path / "out.jsonl").read_text().count("bits_per_byte") == 1


def test_parquet_keeps_its_columns(small_models: dict[str, Path], records: Path, tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(arrow.Table.from_pylist(read(records)), tmp_path / "in.parquet")
    langue.filter(records, tmp_path / "a.jsonl", good=small_models["trigram"], keep=0.5)
    langue.filter(tmp_path / "in.parquet", tmp_path / "b.jsonl", good=small_models["trigram"], keep=0.5)
    langue.filter(tmp_path / "in.parquet", tmp_path / "c.parquet", good=small_models["trigram"], keep=0.5)
    assert read(tmp_path / "a.jsonl") == read(tmp_path / "b.jsonl")
    assert parquet.read_table(tmp_path / "c.parquet").to_pylist() == read(tmp_path / "a.jsonl")
    with pytest.raises(LangueError, match="fields need not be columns"):
        langue.filter(records, tmp_path / "d.parquet", good=small_models["trigram"])
    assert not (tmp_path / "d.parquet").exists()


@pytest.mark.parametrize("workers", ["1", "3"])
def test_lines_in_lines_out_by_any_number_of_workers(
    small_models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    monkeypatch.setenv("LANGUE_THREADS", workers)
    monkeypatch.setattr("langue.corpus.stream.MOST", 1 << 13)
    lines = [f"{line} {n}" for n in range(500) for line in (GOOD[0], BAD[1])]
    (tmp_path / "in.txt").write_text("\n".join(lines))
    report = langue.filter(
        tmp_path / "in.txt", tmp_path / "out.txt", good=small_models["trigram"], keep="50%"
    )
    assert (tmp_path / "out.txt").read_text().splitlines() == lines[::2]
    assert report.histogram.total == 1000
    assert report.kept["bytes"] == sum(map(len, lines[::2]))


def test_quantiles_of_bins_and_the_exact_cut() -> None:
    rng = np.random.default_rng(0)
    scores = np.append(rng.normal(2, 1, 10_000), [np.nan, np.inf, -50.0, 50.0])
    histogram = Histogram()
    for part in np.array_split(scores, 7):
        histogram.add(part)
    assert histogram.total == 10_003
    known = np.sort(scores[~np.isnan(scores)])
    assert histogram.quantile(0.5) == pytest.approx(np.median(known), abs=0.002)
    for share in (0.0001, 0.3, 0.5, 1.0):
        cut = cut_at(share, histogram, lambda: iter(np.array_split(scores, 3)))
        assert cut == known[round(share * len(known)) - 1]
    assert cut_at(0.0, histogram, lambda: iter([scores])) == -np.inf


def test_what_cannot_be_filtered_is_told(
    small_models: dict[str, Path], records: Path, tmp_path: Path
) -> None:
    out, model = tmp_path / "out.jsonl", small_models["trigram"]
    with pytest.raises(InvalidSetting, match="nothing to filter by"):
        langue.filter(records, out)
    with pytest.raises(InvalidSetting, match="no share"):
        langue.filter(records, out, good=model, keep="130%")
    with pytest.raises(InvalidSetting, match="ranked by a model"):
        langue.filter(records, out, keep="30%", min_bytes=1)
    (tmp_path / "a.csv").write_text("text,x\na,1\n")
    with pytest.raises(LangueError, match="not written back"):
        langue.filter(tmp_path / "a.csv", out, good=model)
    with pytest.raises(LangueError, match="is read"):
        langue.filter(records, records, good=model, overwrite=True)
    (tmp_path / "text.txt").write_text("a b\nb a\n")
    langue.train("ngram", tmp_path / "text.txt", tmp_path / "closed", order=2)
    with pytest.raises(Unsupported, match="no bits per byte"):
        langue.filter(records, out, good=tmp_path / "closed")
    assert not out.exists()


def test_the_command_reads_and_writes_pipes(
    small_models: dict[str, Path],
    records: Path,
    capfdbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    import sys

    arguments = ["--good", str(small_models["trigram"]), "--keep", "50%", "--format", "jsonl"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(records.read_bytes())))
    assert run(["filter", "-", *arguments]) == 0
    sys.stdout.flush()
    printed = capfdbinary.readouterr()
    assert run(["filter", str(records), *arguments, "-o", str(tmp_path / "out.jsonl"), "--json"]) == 0
    assert printed.out == (tmp_path / "out.jsonl").read_bytes()
    assert b"kept" in printed.err
    assert json.loads(capfdbinary.readouterr().out)["kept"]["texts"] == 3
