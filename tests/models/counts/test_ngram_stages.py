"""N-gram models estimated by stages: the tables of one process bit for bit, whoever does how many tasks."""

import hashlib
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.executors import Stopping, killing_a_ray_worker, left_over

import langue
from langue.base import executors
from langue.base.errors import Interrupted, InvalidSetting, Unsupported
from langue.base.executors import InProcess
from langue.base.stages import Task
from langue.models.counts.ngram import NGramConfig, by_stages, estimate, estimate_distributed, out_of_core
from langue.models.counts.ngram.estimate import SMOOTHINGS
from langue.models.counts.ngram.tables import Tables
from langue.tokens.store import TokenStore

V = 40
Train = Callable[..., dict[str, str]]


def documents() -> list[list[int]]:
    """Of words as frequent as in a language, with a word that never occurs, and empty documents."""
    generator = np.random.default_rng(7)
    lengths = generator.integers(0, 60, 150)
    return [(1 + generator.zipf(1.4, length) % (V - 2)).tolist() for length in lengths]


@pytest.fixture
def small_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some tasks in every stage, for little text; workers are told of them by files."""
    monkeypatch.setattr(by_stages, "MIN_BLOCK_POSITIONS", 100)
    monkeypatch.setattr(by_stages, "LEAST_TASKS", 4)
    monkeypatch.setattr(by_stages, "CHUNK_NGRAMS", 900)


@pytest.mark.usefixtures("small_tasks")
@pytest.mark.parametrize(
    "settings",
    [
        {"order": 1},
        {"order": 2, "prune": (0, 1)},
        {"order": 4, "prune": (0, 1, 2)},
        {"order": 5, "prune_entropy": 1e-4},
        {"order": 3, "quantize": True},
        *({"order": 3, "smoothing": smoothing} for smoothing in SMOOTHINGS),
    ],
)
def test_tables_are_those_of_one_process(
    make_store: Callable[..., TokenStore], tmp_path: Path, settings: dict[str, Any]
) -> None:
    store = make_store(documents(), vocabulary=V)
    config = NGramConfig(**settings)
    whole = estimate(config, store)
    staged = estimate_distributed(config, store, tmp_path, InProcess())
    for name, one, other in zip(Tables._fields, whole.tables, staged.tables, strict=True):
        assert np.array_equal(one, other), name
        assert one.dtype == other.dtype


@pytest.mark.parametrize("corpus", [[[]], [[1]], [[1, 2, 1, 2]] * 3])
def test_the_least_text_is_enough(
    make_store: Callable[..., TokenStore], tmp_path: Path, corpus: list[list[int]]
) -> None:
    store = make_store(corpus, vocabulary=V)
    whole = estimate(NGramConfig(), store)
    staged = estimate_distributed(NGramConfig(), store, tmp_path, InProcess())
    for one, other in zip(whole.tables, staged.tables, strict=True):
        assert np.array_equal(one, other)


def test_a_task_counts_no_more_than_the_ceiling_lets_it(
    make_store: Callable[..., TokenStore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_store(documents(), vocabulary=V)
    whole = estimate(NGramConfig(order=3), store)
    for name in ("OTHER_BYTES", "WORD_BYTES"):
        monkeypatch.setattr(out_of_core, name, 0)
    for module in (out_of_core, by_stages):
        monkeypatch.setattr(module, "MIN_BLOCK_POSITIONS", 1)
    monkeypatch.setattr(by_stages, "LEAST_TASKS", 1)
    monkeypatch.setattr(out_of_core, "MEGABYTE", 900 * (16 + 12 * 3))  # of 900 positions
    counted: list[int] = []
    count_block = by_stages.count_block

    def note(stream: Any, begin: int, block: int, *others: Any) -> Any:
        counted.append(block)
        return count_block(stream, begin, block, *others)

    monkeypatch.setattr(by_stages, "count_block", note)
    staged = estimate_distributed(NGramConfig(order=3, memory=1), store, tmp_path, InProcess())
    assert len(counted) > 4 and max(counted) == 900
    for one, other in zip(whole.tables, staged.tables, strict=True):
        assert np.array_equal(one, other)


@pytest.fixture
def train(make_store: Callable[..., TokenStore], tmp_path: Path, small_tasks: None) -> Train:
    """Train on a store; the SHA-256 of every file of the tables."""
    store = make_store(documents(), vocabulary=V)

    def train(name: str, **given: Any) -> dict[str, str]:
        langue.train("ngram", store.path, tmp_path / name, order=4, **given)
        files = (tmp_path / name).glob("*.npy")
        return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}

    return train


def test_files_are_the_same_for_several_workers_one_of_which_is_killed(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = train("alone")
    assert len(expected) > 6
    victims = iter([True])
    send = executors._Process.send

    def kill_first(self: Any, task: Task) -> None:
        if task.stage == "merging n-grams" and task.number == 1 and next(victims, False):
            os.kill(self._process.pid, signal.SIGKILL)
        send(self, task)

    monkeypatch.setattr(executors._Process, "send", kill_first)
    # 1, 2 and 7, too: benchmarks/scale.py
    assert train("by-3", workers=3, scratch=tmp_path / "scratch") == expected
    assert caplog.text.count("the process that worked on it was killed (SIGKILL)") == 1
    assert not list((tmp_path / "scratch").iterdir()) and not left_over(tmp_path)


STAGES = ["counting n-grams", "adjusting 2-grams", "interpolating 4-grams"]


@pytest.mark.parametrize("stage", STAGES)
def test_a_run_that_was_stopped_goes_on(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    expected = train("alone")
    first, second = Stopping(stage), Stopping()
    running = iter([first, second])
    monkeypatch.setattr(executors, "make_executor", lambda *_: next(running))
    with pytest.raises(Interrupted, match="the same command goes on from there"):
        train("stopped", workers=2)
    assert not (tmp_path / "stopped").exists() and len(left_over(tmp_path)) == 1
    assert train("stopped", workers=2) == expected
    assert not left_over(tmp_path)
    both = first.done + second.done
    assert len(both) == len(set(both)) > 15 and {name for name, _ in both} > set(STAGES)


def test_a_join_that_was_stopped_between_its_files_is_not_done_again(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some parts are gone by then: the array that they were joined to stands."""
    expected = train("alone")
    unlink, calls = Path.unlink, iter(range(10**6))

    def stop(self: Path, missing_ok: bool = False) -> None:
        if self.name.startswith("p-") and next(calls) == 1:
            raise KeyboardInterrupt
        unlink(self, missing_ok=missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", stop)
        with pytest.raises(Interrupted):
            train("stopped", workers=1)
    assert train("stopped", workers=1) == expected


def test_a_text_gives_the_same_tables(tmp_path: Path, small_tasks: None) -> None:
    lines = [" ".join(f"w{id}" for id in ids) for ids in documents()]
    (tmp_path / "text").write_text("\n".join([*lines, "<unk> w3"]) + "\n", encoding="utf-8")
    for name in ("alone", "staged"):
        given: Any = {"workers": 1} if name == "staged" else {}
        langue.train("ngram", tmp_path / "text", tmp_path / name, order=3, **given)
    files = {file.name for file in (tmp_path / "alone").iterdir()} - {"model.json", "README.md"}
    assert "log_prob.npy" in files and "tokenizer.json" in files
    for file in files:
        assert (tmp_path / "alone" / file).read_bytes() == (tmp_path / "staged" / file).read_bytes(), file
    assert not left_over(tmp_path)


def test_what_is_not_done_by_stages_is_refused(make_store: Callable[..., TokenStore], tmp_path: Path) -> None:
    store = make_store([[1, 2, 3]], vocabulary=V)
    with pytest.raises(Unsupported, match="markov is not trained by stages"):
        langue.train("markov", store.path, tmp_path / "model", workers=2)
    with pytest.raises(InvalidSetting, match="not on 'cloud'"):
        langue.train("ngram", store.path, tmp_path / "model", on="cloud")
    assert not list(tmp_path.iterdir())


def test_ray_gives_the_same_files_while_a_worker_is_killed(train: Train, tmp_path: Path) -> None:
    """`make ray` installs it, 240 MB: a cluster of this machine, shared folder and all."""
    pytest.importorskip("ray", reason="Ray is not installed: make ray")
    expected = train("alone")
    with killing_a_ray_worker("merging") as killed:
        assert train("ray", on="ray", workers=2, scratch=tmp_path / "scratch") == expected
    assert killed and not list((tmp_path / "scratch").iterdir())
