"""A preparation by stages: the same bytes whoever runs them, and what is done stays done."""

import errno
import hashlib
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.executors import Stopping, killing_a_ray_worker, left_over

from langue.base import executors, stages
from langue.base.errors import Interrupted, LangueError, Mismatch
from langue.base.executors import Distribution, distribution_of
from langue.base.stages import Task
from langue.corpus.config import DataConfig
from langue.tokens.prepare import prepare
from langue.tokens.train import TokenizerConfig

Prepare = Callable[..., dict[str, str]]


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Files of several kinds, with repeats and losses, in a dozen parts."""
    monkeypatch.setattr("langue.corpus.pipeline.PART_BYTES", 4000)
    folder = tmp_path / "corpus"
    folder.mkdir()
    poems = [f"Verse {n} of a poem\r\nthat is {n * n} years old.\n第{n}句。" for n in range(300)]
    (folder / "a.txt").write_text("\n\n".join([*poems, poems[7], poems[8] + " again"]), encoding="utf-8")
    rows: list[Any] = [{"text": f"record {n}, \ud800 half a character"} for n in range(200)]
    rows += [rows[3], {"text": " "}, {}]
    (folder / "b.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in [*rows, rows[3], {"text": " "}, {}])
    )
    for number in range(5):
        (folder / f"c{number}.txt").write_text(f"Of a small file, number {number}.\n\n" * 3)
    return [str(folder)]


@pytest.fixture
def run(corpus: list[str], tmp_path: Path) -> Prepare:
    """Prepare the corpus; the SHA-256 of every file that comes out."""

    def run(
        name: str, *, workers: int | None = None, on: str | None = None, scratch: Path | None = None
    ) -> dict[str, str]:
        data = DataConfig(documents="blank-line", invalid="skip")
        tokenizer = TokenizerConfig(vocabulary=300)
        output, dropped = tmp_path / name, tmp_path / f"{name}.dropped"
        prepare(
            corpus,
            output,
            data=data,
            tokenizer=tokenizer,
            dropped=dropped,
            distribution=distribution_of(workers, on, scratch),
        )
        files = {file.name: file for file in output.iterdir()} | {"dropped": dropped}
        return {what: hashlib.sha256(file.read_bytes()).hexdigest() for what, file in files.items()}

    return run


def test_the_bytes_are_the_same_for_any_number_of_workers(run: Prepare, tmp_path: Path) -> None:
    expected = run("alone")
    assert len(expected) == 15
    dropped = [json.loads(line) for line in (tmp_path / "alone.dropped").read_text("utf-8").splitlines()]
    assert {row["reason"] for row in dropped} == {"duplicate", "empty", "no text"}
    for workers in (1, 3):  # 2 and 7, too: benchmarks/scale.py
        assert run(f"by-{workers}", workers=workers, scratch=tmp_path / "scratch") == expected
    assert not list((tmp_path / "scratch").iterdir()) and not left_over(tmp_path)


def test_a_worker_that_is_killed_costs_no_more_than_its_task(
    run: Prepare, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = run("alone")
    victims = iter([True])
    send = executors._Process.send

    def kill_first(self: Any, task: Task) -> None:
        if task.stage == "cleaning" and task.number == 3 and next(victims, False):
            os.kill(self._process.pid, signal.SIGKILL)
        send(self, task)

    monkeypatch.setattr(executors._Process, "send", kill_first)
    assert run("killed", workers=2) == expected
    assert caplog.text.count("a.txt: the process that worked on it was killed (SIGKILL)") == 1


def test_a_task_that_kills_every_worker_is_named_and_the_rest_stays_done(
    run: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = run("alone")
    send = executors._Process.send

    def kill(self: Any, task: Task) -> None:
        if task.stage == "encoding":
            os.kill(self._process.pid, signal.SIGKILL)
        send(self, task)

    with monkeypatch.context() as patch:
        patch.setattr(executors._Process, "send", kill)
        with pytest.raises(LangueError, match=r"a\.txt: the process .* 3 times.* the same command goes on"):
            run("killed", workers=2)
    assert not (tmp_path / "killed").exists() and not (tmp_path / "killed.dropped").exists()
    assert len(left_over(tmp_path)) == 1
    assert run("killed", workers=2) == expected
    assert not left_over(tmp_path)


@pytest.mark.parametrize("stage", ["reading", "cleaning", "finding duplicates", "encoding"])
def test_a_run_that_was_stopped_goes_on(
    run: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    expected = run("alone")
    first, second = Stopping(stage), Stopping()
    running = iter([first, second])
    monkeypatch.setattr(executors, "make_executor", lambda *_: next(running))
    with pytest.raises(Interrupted, match="the same command goes on from there"):
        run("stopped", workers=2)
    assert not (tmp_path / "stopped").exists()
    (work,) = left_over(tmp_path)
    assert work.startswith(".stopped.") and work.endswith(".work")
    assert run("stopped", workers=2) == expected
    assert not left_over(tmp_path)
    both = [name for name, _ in first.done + second.done]
    repeats = {"finding duplicates": 1, "finding near-duplicates": 1}
    assert {one: both.count(one) for one in both} == {"reading": 3, "cleaning": 8, "encoding": 8, **repeats}


def test_what_was_done_for_another_corpus_is_not_gone_on_with(
    run: Prepare, corpus: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(executors, "make_executor", lambda *_: Stopping("cleaning"))
        with pytest.raises(Interrupted):
            run("stopped", scratch=tmp_path)
    (Path(corpus[0]) / "c0.txt").write_text("Another text stands here now, of another length.\n")
    assert run("stopped", scratch=tmp_path) == run("alone")
    assert not left_over(tmp_path)


def test_bad_input_is_told_as_ever_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_bytes(b"\x7fELF\0\0")
    given: Any = {"data": DataConfig(), "tokenizer": TokenizerConfig(), "distribution": Distribution(2)}
    with pytest.raises(LangueError, match=r"bad\.txt is binary \(a NUL byte at 4\).*invalid=.replace.$"):
        prepare([str(tmp_path / "bad.txt")], tmp_path / "store", **given)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.txt"]


def test_nothing_is_kept_of_too_little_text(tmp_path: Path) -> None:
    """Other text would be another job."""
    (tmp_path / "empty.txt").touch()
    given: Any = {"data": DataConfig(), "tokenizer": TokenizerConfig(), "distribution": Distribution(2)}
    with pytest.raises(Mismatch, match=r"^there is no text to prepare; give files that hold some$"):
        prepare([str(tmp_path / "empty.txt")], tmp_path / "store", **given)
    assert [path.name for path in tmp_path.iterdir()] == ["empty.txt"]


def test_a_full_disk_is_one_sentence_and_what_is_done_stays(
    run: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = run("alone")
    full = LangueError(f"cannot write ids/1: {os.strerror(errno.ENOSPC)}; nothing was changed there")
    with monkeypatch.context() as patch:
        patch.setattr(executors, "make_executor", lambda *_: Stopping("encoding", full))
        with pytest.raises(LangueError, match=r"No space left.*\(what is done is kept in .*\.work: the same"):
            run("full", scratch=tmp_path)
    assert run("full", scratch=tmp_path) == expected


def test_too_small_a_disk_is_told_before_anything_is_read(
    run: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = stages.shutil._ntuple_diskusage(10, 10, 10)  # type: ignore[attr-defined]
    monkeypatch.setattr(stages.shutil, "disk_usage", lambda folder: free)
    with pytest.raises(LangueError, match=r"about 0\.1 MB are written to .*, and its disk has 0\.0 MB free"):
        run("small", scratch=tmp_path / "scratch")
    assert not list((tmp_path / "scratch").iterdir()) and not left_over(tmp_path)


def test_ray_gives_the_same_bytes_while_a_worker_is_killed(run: Prepare, tmp_path: Path) -> None:
    """`make ray` installs it, 240 MB: a cluster of this machine, shared folder and all."""
    pytest.importorskip("ray", reason="Ray is not installed: make ray")
    expected = run("alone")
    with killing_a_ray_worker("cleaning") as killed:
        assert run("ray", on="ray", workers=2, scratch=tmp_path / "scratch") == expected
    assert killed and not list((tmp_path / "scratch").iterdir())
