"""Scoring and filtering by stages: the bytes of one process, whoever does how many tasks."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.executors import Stopping, killing_a_ray_worker, left_over

import langue
from langue.base import executors
from langue.base.errors import InvalidSetting, LangueError

LINES = [f"The king of {name} is dead, long live the king.\n" for name in ("France", "Spain", "第一回")]
RECORDS = [{"id": n, "text": f"{line.strip()} {n}"} for n in range(40) for line in (*LINES, "zq xj kk", "")]


@pytest.fixture
def texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of lines and records, which is read in some tasks and cut into some parts."""
    monkeypatch.setattr("langue.corpus.batch_parts.PART_BYTES", 3000)
    monkeypatch.setattr("langue.corpus.batch_parts.MOST", 500)
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a.txt").write_text("".join(LINES * 50), encoding="utf-8")
    (folder / "b.jsonl").write_text("".join(json.dumps(row) + "\n" for row in RECORDS))
    (folder / "c.txt").write_bytes("".join(LINES).replace("\n", "\r\n").encode())
    return folder


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[Stopping]:
    """Tasks are done by this process, and noted, instead of by others, which cost a second to start."""
    made: list[Stopping] = []

    def make(on: str | None, workers: int) -> Stopping:
        made.append(Stopping())
        return made[-1]

    monkeypatch.setattr(executors, "make_executor", make)
    return made


def joined(pieces: Iterator[str | bytes]) -> bytes:
    return b"".join(piece.encode() if isinstance(piece, str) else piece for piece in pieces)


@pytest.mark.parametrize("format", ["tsv", "jsonl", "json", "kenlm"])
def test_scores_are_written_as_by_one_process(
    small_models: dict[str, Path], texts: Path, here: list[Stopping], format: Any
) -> None:
    expected = joined(langue.write_scores(small_models["trigram"], texts, format=format))
    assert joined(langue.write_scores(small_models["trigram"], texts, format=format, workers=2)) == expected
    stages = [stage for stage, _ in here[0].done]
    assert stages.count("reading") == 3
    assert stages.count("scoring") > 5


def test_parquet_is_whole(small_models: dict[str, Path], texts: Path, here: list[Stopping]) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    from pyarrow import BufferReader

    model = small_models["trigram"]
    one, staged = (
        parquet.read_table(BufferReader(joined(langue.write_scores(model, texts, format="parquet", **more))))
        for more in ({}, {"workers": 2})
    )
    assert one.to_pylist() == staged.to_pylist()


@pytest.mark.parametrize("kind", ["trigram", "gpt2"])
def test_tokens_are_scored_as_by_one_process(
    small_models: dict[str, Path], tmp_path: Path, here: list[Stopping], kind: str
) -> None:
    (tmp_path / "a.txt").write_text("".join(LINES), encoding="utf-8")
    expected = joined(langue.write_scores(small_models[kind], tmp_path / "a.txt", per_token=True))
    staged = langue.write_scores(small_models[kind], tmp_path / "a.txt", per_token=True, workers=1)
    assert joined(staged) == expected


@pytest.mark.parametrize("given", [{"keep": "40%"}, {"below": 2.5}, {"buckets": True, "min_bytes": 12}])
def test_the_same_is_kept(
    small_models: dict[str, Path], texts: Path, tmp_path: Path, here: list[Stopping], given: dict[str, Any]
) -> None:
    models = {"good": small_models["trigram"], "other": small_models["unigram"]}
    one, staged = (
        langue.filter(texts, tmp_path / name, **models, **given, **more)
        for name, more in (("one.jsonl", {}), ("staged.jsonl", {"workers": 2}))
    )
    assert (tmp_path / "staged.jsonl").read_bytes() == (tmp_path / "one.jsonl").read_bytes()
    assert staged.to_json() == one.to_json()
    assert 0 < one.kept["texts"] < one.read["texts"] or "buckets" in given
    assert not left_over(tmp_path)


def test_rules_alone_and_parquet(texts: Path, tmp_path: Path, here: list[Stopping]) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(arrow.Table.from_pylist(RECORDS), tmp_path / "in.parquet", row_group_size=50)
    for name, more in (("one", {}), ("staged", {"workers": 2})):
        langue.filter(tmp_path / "in.parquet", tmp_path / f"{name}.parquet", min_bytes=12, **more)
    one, staged = (parquet.read_table(tmp_path / f"{name}.parquet") for name in ("one", "staged"))
    assert staged.equals(one)
    assert len(one) == 120


def test_other_processes_do_the_same(small_models: dict[str, Path], texts: Path, tmp_path: Path) -> None:
    model = small_models["trigram"]
    langue.filter(texts, tmp_path / "one.jsonl", good=model, keep=0.5)
    langue.filter(
        texts, tmp_path / "two.jsonl", good=model, keep=0.5, workers=2, scratch=tmp_path / "scratch"
    )
    assert (tmp_path / "two.jsonl").read_bytes() == (tmp_path / "one.jsonl").read_bytes()
    assert not list((tmp_path / "scratch").iterdir())


def test_a_run_that_was_stopped_goes_on(
    small_models: dict[str, Path], texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, scratch = small_models["trigram"], tmp_path / "scratch"
    first, second = Stopping("scoring"), Stopping()
    running = iter([first, second])
    monkeypatch.setattr(executors, "make_executor", lambda *_: next(running))
    with pytest.raises(langue.Interrupted, match="the same command goes on from there"):
        list(langue.write_scores(model, texts, scratch=scratch))
    assert joined(langue.write_scores(model, texts, scratch=scratch)) == joined(
        langue.write_scores(model, texts)
    )
    assert len(first.done) == 4
    assert len(second.done) > 3
    assert not set(first.done) & set(second.done)
    assert not list(scratch.iterdir())


def test_what_is_wrong_is_told_as_ever(
    small_models: dict[str, Path], tmp_path: Path, here: list[Stopping]
) -> None:
    (tmp_path / "empty.txt").touch()
    (tmp_path / "binary.txt").write_bytes(b"text\n\0\0\n")
    model = small_models["trigram"]
    with pytest.raises(LangueError, match=r"empty\.txt is empty; name a file that holds text"):
        list(langue.write_scores(model, tmp_path / "empty.txt", workers=2))
    with pytest.raises(LangueError, match=r"binary\.txt is binary \(a NUL byte at 5\)"):
        langue.filter(tmp_path / "binary.txt", tmp_path / "out.txt", good=model, keep=0.5, workers=2)
    with pytest.raises(InvalidSetting, match="workers"):
        langue.write_scores(model, tmp_path / "binary.txt", workers=0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["binary.txt", "empty.txt"]


def test_ray_keeps_the_same_while_a_worker_is_killed(
    small_models: dict[str, Path], texts: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: make ray")
    model, scratch = small_models["trigram"], tmp_path / "scratch"
    expected = joined(langue.write_scores(model, texts))
    with killing_a_ray_worker("scoring") as killed:
        scored = joined(langue.write_scores(model, texts, on="ray", workers=2, scratch=scratch))
    assert killed and scored == expected
    langue.filter(texts, tmp_path / "one.jsonl", good=model, keep=0.5)
    langue.filter(texts, tmp_path / "ray.jsonl", good=model, keep=0.5, on="ray", workers=2, scratch=scratch)
    assert (tmp_path / "ray.jsonl").read_bytes() == (tmp_path / "one.jsonl").read_bytes()
