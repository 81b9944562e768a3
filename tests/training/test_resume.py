"""A run that is stopped, killed or damaged goes on to the very bits of the one that never was."""

import json
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.training.conftest import SMALL
from tests.training.recurrent import recurrent

from langue.base import staging
from langue.base.errors import Interrupted, LangueError
from langue.models.folder import load
from langue.tokens.store import TokenStore
from langue.training import fit
from langue.training.metrics import Metrics
from langue.training.recipe import Recipe, read_recipe
from langue.training.run_folder import start_run
from langue.training.train import identity, kinds_of, train

WORKER = Path(__file__).with_name("worker.py")
# Dropout, an average and accumulation: everything that could be forgotten between two sessions.
RUN = [*SMALL, "steps=120", "dropout=0.1", "ema_decay=0.9", "micro_batch_tokens=32", "learning_rate=0.01"]
OFTEN = "checkpoint_minutes=0.00001"  # after every step


def weights(output: Path) -> dict[str, torch.Tensor]:
    return load_file(output / "weights.safetensors")


def assert_same(one: Path, other: Path) -> None:
    for name, tensor in weights(one).items():
        assert torch.equal(tensor, weights(other)[name]), name
    curves = [
        json.loads((path / "model.json").read_text())["measured"]["validation"] for path in (one, other)
    ]
    assert [point["loss"] for point in curves[0]] == [point["loss"] for point in curves[1]]


def steps(run: Path) -> list[int]:
    return sorted(int(path.name[5:]) for path in run.glob("step-*"))


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As the worker has: another number of threads adds up in another order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def straight(store: TokenStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nothing stops."""
    output = tmp_path_factory.mktemp("straight") / "model"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    train(read_recipe("gpt2", RUN), store, output)
    torch.set_num_threads(threads)
    assert not output.with_name("model.run").exists()
    return output


@contextmanager
def worker(store: TokenStore, output: Path, after: int, *settings: str) -> Iterator[subprocess.Popen[str]]:
    """A process in the middle of that run, past a step."""
    command = [sys.executable, str(WORKER), str(store.path), str(output), "gpt2", *RUN, OFTEN, *settings]
    run = output.with_name(output.name + ".run")
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and not any(found >= after for found in steps(run)):
            time.sleep(0.001)
        yield process


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_at_the_same_bits(
    store: TokenStore, straight: Path, tmp_path: Path, one_thread: None
) -> None:
    output, run = tmp_path / "model", tmp_path / "model.run"
    draw = random.Random(time.time_ns())
    for after in (1, 40, 80):
        with worker(store, output, after + draw.randrange(20), "--resume") as process:
            time.sleep(draw.random() / 100)  # in a step, in a checkpoint, between them
            process.kill()
        assert process.returncode == -signal.SIGKILL
        assert not output.exists()
    train(read_recipe("gpt2", RUN), store, output, resume=True)
    assert_same(straight, output)
    assert not run.exists()
    assert json.loads((output / "model.json").read_text())["measured"]["sessions"] >= 3
    lines = [json.loads(line)["step"] for line in (output / "metrics.jsonl").read_text().splitlines()]
    assert lines == sorted(lines) and set(range(10, 121, 10)) <= set(lines)
    assert len(lines) == 12 + 10  # and no line twice: ten are of evaluations


@pytest.mark.slow
def test_a_signal_writes_a_checkpoint_and_the_best_model(
    store: TokenStore, straight: Path, tmp_path: Path, one_thread: None
) -> None:
    output = tmp_path / "model"
    with worker(store, output, 30) as process:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate()
    assert process.returncode == 130
    assert "resume=True goes on" in said
    assert json.loads((output / "model.json").read_text())["measured"]["interrupted"]
    with pytest.raises(LangueError, match="unfinished run; go on with resume=True"):
        train(read_recipe("gpt2", RUN), store, output)
    train(read_recipe("gpt2", RUN), store, output, resume=True)
    assert_same(straight, output)
    assert not json.loads((output / "model.json").read_text())["measured"]["interrupted"]


class StopAt:
    """Ctrl-C at a step, without a process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
        plain = fit.Session._show

        def show(self: Any, *inputs: Any) -> None:
            plain(self, *inputs)
            if self.trainer.state.step == step - 1:  # the step that runs when it comes is finished
                signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr(fit.Session, "_show", show)


def stopped_at(step: int, recipe: Recipe, store: TokenStore, output: Path, *, resume: bool = False) -> None:
    with pytest.MonkeyPatch.context() as patch:
        StopAt(patch, step)
        with pytest.raises(Interrupted):
            train(recipe, store, output, resume=resume)


def test_a_damaged_checkpoint_is_named_and_the_one_before_taken(
    store: TokenStore, trained: Callable[..., Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = ["steps=30", OFTEN]
    expected = trained(*settings)
    output, run = tmp_path / "other", tmp_path / "other.run"
    recipe = read_recipe("gpt2", [*SMALL, *settings])
    stopped_at(20, recipe, store, output)
    assert steps(run) == [19, 20]
    damaged = run / "step-00000020" / "optimizer.safetensors"
    content = bytearray(damaged.read_bytes())
    content[-3] ^= 1
    damaged.write_bytes(content)
    train(recipe, store, output, resume=True)
    assert "skipping a damaged checkpoint" in caplog.text and "optimizer.safetensors" in caplog.text
    assert_same(expected.path, output)


@pytest.mark.parametrize("optimizer", ["muon", "lamb", "sgd"])
def test_every_optimizer_goes_on(
    store: TokenStore, trained: Callable[..., Any], tmp_path: Path, optimizer: str
) -> None:
    settings = ["steps=12", f"optimizer={optimizer}", "learning_rate=0.02"]
    expected = trained(*settings)
    stopped_at(7, read_recipe("gpt2", [*SMALL, *settings]), store, tmp_path / "other")
    train(read_recipe("gpt2", [*SMALL, *settings]), store, tmp_path / "other", resume=True)
    assert_same(expected.path, tmp_path / "other")


@pytest.mark.parametrize("wound", ["truncated", "no description", "not JSON", "empty folder"])
def test_every_damage_is_survived(store: TokenStore, tmp_path: Path, wound: str) -> None:
    output, run = tmp_path / "model", tmp_path / "model.run"
    recipe = read_recipe("gpt2", [*SMALL, "steps=8", OFTEN])
    stopped_at(5, recipe, store, output)
    newest = run / "step-00000005"
    if wound == "truncated":
        (newest / "model.safetensors").write_bytes((newest / "model.safetensors").read_bytes()[:-9])
    elif wound == "no description":
        (newest / "checkpoint.json").unlink()
    elif wound == "not JSON":
        (newest / "checkpoint.json").write_text('{"format": 1, "sta')
    else:
        for file in newest.iterdir():
            file.unlink()
    train(recipe, store, output, resume=True)
    measured = json.loads((output / "model.json").read_text())["measured"]
    assert measured["steps"] == 8 and measured["sessions"] == 2


def test_a_full_disk_costs_a_checkpoint_and_not_the_run(
    store: TokenStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Files may not grow beyond a size for some steps: what was written before stays whole."""
    recipe = read_recipe("gpt2", [*SMALL, "steps=12", OFTEN])
    output, run = tmp_path / "model", tmp_path / "model.run"
    plain = fit.Session._checkpoint
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    seen: list[list[int]] = []

    def checkpoint(self: Any) -> None:
        full = 6 <= self.trainer.state.step < 10
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096 if full else soft, hard))
        try:
            plain(self)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        seen.append(steps(run))

    monkeypatch.setattr(fit.Session, "_checkpoint", checkpoint)
    train(recipe, store, output)
    assert seen[5:9] == [[4, 5]] * 4 and seen[-1] == [11, 12]
    assert "no checkpoint of step 6, those before are intact" in caplog.text


def test_metrics_that_do_not_fit_cost_their_lines_and_not_the_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "metrics.jsonl"
    metrics = Metrics(path, after=0)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    metrics.write(1, loss=0.5)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30, hard))  # half a line more
    try:
        metrics.write(2, loss=0.25)
        metrics.write(3, loss=0.125)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    metrics.write(4, loss=0.0625)
    metrics.close()
    assert path.read_text() == '{"step": 1, "loss": 0.5}\n{"step": 4, "loss": 0.0625}\n'
    assert caplog.text.count("is the disk full?") == 1


def test_metrics_of_a_run_that_goes_on_are_those_until_there(tmp_path: Path) -> None:
    """What a crash of the machine can leave of a file is skipped: half a line, and blocks of zeros."""
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n{"st\n\0\0\0\n{"step": 3}\n{"step": 5}\n{"step": 2')
    Metrics(path, after=4).close()
    assert path.read_text() == '{"step": 1}\n{"step": 3}\n'


def test_minutes_count_only_the_time_it_ran(store: TokenStore, tmp_path: Path) -> None:
    recipe = read_recipe("gpt2", [*SMALL, "minutes=0.02"])
    stopped_at(3, recipe, store, tmp_path / "model")
    time.sleep(1.3)  # longer than the whole budget
    train(recipe, store, tmp_path / "model", resume=True)
    measured = json.loads((tmp_path / "model" / "model.json").read_text())["measured"]
    assert measured["steps"] > 3 and measured["seconds"] >= 1.2


def test_a_run_of_another_model_or_store_is_not_resumed(
    store: TokenStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    output = tmp_path / "model"
    stopped_at(2, read_recipe("gpt2", [*SMALL, "steps=5"]), store, output)
    with pytest.raises(LangueError, match="run of another model: width 16, now 32"):
        train(read_recipe("gpt2", [*SMALL, "steps=5", "width=32"]), store, output, resume=True)
    with pytest.raises(LangueError, match="unfinished run; go on with resume=True"):
        train(read_recipe("gpt2", [*SMALL, "steps=5"]), store, output)
    with pytest.raises(LangueError, match="cannot go on with optimizer adamw, now sgd"):
        train(read_recipe("gpt2", [*SMALL, "steps=5", "optimizer=sgd"]), store, output, resume=True)
    with pytest.raises(LangueError, match="cannot go on with validation_tokens"):  # the curve is of one text
        train(read_recipe("gpt2", [*SMALL, "steps=5", "validation_tokens=99"]), store, output, resume=True)
    train(read_recipe("gpt2", [*SMALL, "steps=9"]), store, output, resume=True)
    assert "going on with other settings: steps 5, now 9" in caplog.text
    assert json.loads((output / "model.json").read_text())["measured"]["steps"] == 9


def test_resume_with_nothing_to_resume_begins_and_ends_where_the_model_is_whole(
    store: TokenStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="langue")
    recipe, output = read_recipe("gpt2", [*SMALL, "steps=2"]), tmp_path / "model"
    train(recipe, store, output, resume=True)
    # As a kill leaves a run while it is removed.
    dying = tmp_path / f".model.run.{staging.HOST}-99999999.0a1b2c3d.gone"
    (dying / "step-00000002").mkdir(parents=True)
    train(recipe, store, output, resume=True)
    assert "is there and whole: nothing is left to do" in caplog.text
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith((".", "model"))] == ["model"]
    with pytest.raises(LangueError, match="already exists"):
        train(recipe, store, output)
    with pytest.raises(LangueError, match="already exists"):
        train(read_recipe("gpt2", [*SMALL, "steps=3"]), store, output, resume=True)
    (output / "weights.safetensors").write_bytes(b"")
    with pytest.raises(LangueError, match="already exists"):  # but not whole
        train(recipe, store, output, resume=True)


def test_a_kill_between_the_model_and_the_end_of_its_run_leaves_nothing_in_the_way(
    store: TokenStore, tmp_path: Path
) -> None:
    recipe, output, run = read_recipe("gpt2", [*SMALL, "steps=2"]), tmp_path / "model", tmp_path / "model.run"
    for resume in (True, False):
        train(recipe, store, output, overwrite=True)
        start_run(
            run, identity(recipe, store), kinds_of(recipe), resuming=False
        )  # as the run was before it was removed
        (run / "step-00000001").mkdir()
        if resume:
            train(recipe, store, output, resume=True)
        else:
            with pytest.raises(LangueError, match="already exists"):
                train(recipe, store, output)
        assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("family", ["gpt2", "ngram"])
def test_a_model_that_cannot_be_written_is_kept_and_the_same_command_ends_it(
    store: TokenStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    recipe = read_recipe(family, [*SMALL, "steps=2"] if family == "gpt2" else [])
    output, kept = tmp_path / "model", tmp_path / "model.run" / "model"
    plain = staging.make_folder
    calls = []

    def refused(parent: Path, name: str) -> Any:
        if (parent, name) == (tmp_path, "model"):
            calls.append(name)
            if len(calls) > 2:  # when the work begins, there is room
                raise OSError(28, "No space left on device")
        return plain(parent, name)

    monkeypatch.setattr(staging, "make_folder", refused)
    with pytest.raises(LangueError, match=rf"No space left.* The model is whole in {kept}"):
        train(recipe, store, output)
    monkeypatch.undo()
    assert load(kept).model is not None
    train(recipe, store, output)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert load(output).model is not None


def test_a_model_that_was_kept_is_not_lost_to_another_training(store: TokenStore, tmp_path: Path) -> None:
    kept = tmp_path / "model.run" / "model"
    train(read_recipe("ngram", ["order=2"]), store, kept)
    with pytest.raises(LangueError, match="could not be written at its end"):
        train(read_recipe("ngram", ["order=3"]), store, tmp_path / "model")
    train(read_recipe("ngram", ["order=3"]), store, tmp_path / "model", overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_two_trainings_with_one_output_are_refused_at_the_start(store: TokenStore, tmp_path: Path) -> None:
    output = tmp_path / "model"
    with worker(store, output, 1) as other:
        with pytest.raises(LangueError, match=rf"written by another process \({other.pid}\)"):
            train(read_recipe("gpt2", RUN), store, output, overwrite=True)
        other.kill()
    train(read_recipe("gpt2", [*SMALL, "steps=2"]), store, output, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_lost_connection_leaves_a_checkpoint(store: TokenStore, straight: Path, tmp_path: Path) -> None:
    output = tmp_path / "model"
    with worker(store, output, 5) as process:
        process.send_signal(signal.SIGHUP)
        _, said = process.communicate()
    assert "resume=True goes on" in said
    assert steps(tmp_path / "model.run")


def test_a_run_that_fails_before_anything_was_measured_leaves_nothing(
    store: TokenStore, tmp_path: Path
) -> None:
    recipe = read_recipe("gpt2", [*SMALL, "learning_rate=1e15", "steps=9"])
    with pytest.raises(LangueError, match=r"the loss is nan .* from the last checkpoint if there is one"):
        train(recipe, store, tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_without_a_checkpoint_resume_begins_whatever_the_settings_were(
    store: TokenStore, tmp_path: Path
) -> None:
    """Killed before the first: there is nothing that other settings would not fit."""
    run = tmp_path / "model.run"
    recipe = read_recipe("gpt2", [*SMALL, "steps=2"])
    start_run(run, identity(recipe, store), kinds_of(recipe), resuming=False)
    other = read_recipe("gpt2", [*SMALL, "steps=3", "optimizer=sgd", "width=32"])
    train(other, store, tmp_path / "model", resume=True)
    assert json.loads((tmp_path / "model" / "model.json").read_text())["measured"]["steps"] == 3


def test_other_pieces_are_taken_when_they_are_asked_for(
    store: TokenStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fewer rows at a time after memory ran out on one of several processes; else those of the checkpoint."""
    output = tmp_path / "model"
    seen: list[int] = []
    plain = fit.Session.run
    monkeypatch.setattr(
        fit.Session,
        "run",
        lambda self, *given: (seen.append(self.trainer.state.micro_batch_rows), plain(self, *given))[1],
    )
    for session_number, micro in enumerate((64, 64, 16, 16, 32), 1):
        recipe = read_recipe("gpt2", [*SMALL, "batch_tokens=64", "steps=20", f"micro_batch_tokens={micro}"])
        stopped_at(2 * session_number, recipe, store, output, resume=True)
    assert seen == [4, 4, 1, 1, 2]


def test_a_checkpoint_damaged_twice_at_one_step_is_survived_twice(store: TokenStore, tmp_path: Path) -> None:
    recipe = read_recipe("gpt2", [*SMALL, "steps=8", "keep_checkpoints=3", OFTEN])
    output, run = tmp_path / "model", tmp_path / "model.run"
    stopped_at(5, recipe, store, output)
    (run / "step-00000005" / "checkpoint.json").unlink()
    stopped_at(6, recipe, store, output, resume=True)
    for step in (5, 6):
        (run / f"step-0000000{step}" / "checkpoint.json").unlink()
    train(recipe, store, output, resume=True)
    assert json.loads((output / "model.json").read_text())["measured"]["steps"] == 8


def test_overwrite_spares_a_folder_that_is_no_run(store: TokenStore, tmp_path: Path) -> None:
    precious = tmp_path / "model.run" / "thesis.txt"
    precious.parent.mkdir()
    precious.write_text("years of work")
    with pytest.raises(LangueError, match="holds other files"):
        train(read_recipe("gpt2", [*SMALL, "steps=2"]), store, tmp_path / "model", overwrite=True)
    assert precious.exists()


@pytest.mark.parametrize("micro", ["micro_batch_tokens=0", "micro_batch_tokens=16"])
def test_what_a_recurrent_model_carries_is_resumed(store: TokenStore, tmp_path: Path, micro: str) -> None:
    recipe = recurrent("batch_tokens=32", "steps=30", "learning_rate=0.02", micro)
    train(recipe, store, tmp_path / "straight")
    stopped_at(13, recipe, store, tmp_path / "stopped")
    assert (tmp_path / "stopped.run" / "step-00000013" / "carry.safetensors").is_file()
    train(recipe, store, tmp_path / "stopped", resume=True)
    assert_same(tmp_path / "straight", tmp_path / "stopped")


def test_micro_batches_carry_the_memory_of_their_own_rows(store: TokenStore, tmp_path: Path) -> None:
    outputs = []
    for micro in ("micro_batch_tokens=0", "micro_batch_tokens=8"):
        outputs.append(tmp_path / micro)
        train(recurrent("batch_tokens=32", "steps=10", "precision=float32", micro), store, outputs[-1])
    for name, tensor in weights(outputs[0]).items():
        torch.testing.assert_close(tensor, weights(outputs[1])[name])
