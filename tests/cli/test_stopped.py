"""A full disk, Ctrl-C, SIGTERM and a reader that leaves: in a process of its own, as a user has it."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import langue

LANGUE = [sys.executable, "-m", "langue"]


def hear_ctrl_c() -> None:
    """A shell that started the tests in the background has it ignored, which children inherit."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_full_disk_costs_nothing_that_was_there(small_store: Path, tmp_path: Path) -> None:
    """The system refuses to write more than 256 kB to any file, as it does when the disk is full: less
    than the model, more than its compiled code, which numba keeps in files."""
    langue.train("ngram", small_store, tmp_path / "model", order=2)
    before = langue.load(tmp_path / "model").info()
    arguments = [*LANGUE, "train", "ngram", str(small_store), "-o", "model", "--overwrite"]
    done = subprocess.run(
        arguments,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 18, 1 << 18)),
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path.parent)},
    )
    assert done.returncode == 2, done.stderr
    assert "cannot write" in done.stderr
    assert "Traceback" not in done.stderr
    assert leftovers(tmp_path) == ["model"]
    assert langue.load(tmp_path / "model").info() == before


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_stopping_prepare_leaves_nothing(tmp_path: Path, sent: signal.Signals) -> None:
    """Standard input that never ends is reading that never ends."""
    process = subprocess.Popen(
        [*LANGUE, "prepare", "-", "-o", "store"],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=hear_ctrl_c,
    )
    assert process.stdin is not None
    process.stdin.write(
        b"a line of text\n" * 100_000
    )  # more than the pipe holds: once written, it is being read
    process.stdin.flush()
    process.send_signal(sent)
    _, errors = process.communicate()
    assert process.returncode == 128 + sent
    assert b"interrupted" in errors
    assert b"Traceback" not in errors
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_stopping_a_training_run_saves_a_model(
    small_store: Path, tmp_path: Path, sent: signal.Signals
) -> None:
    tiny = ["--set", "layers=1", "--set", "width=32", "--set", "heads=2", "--set", "context=32"]
    endless = ["--set", "minutes=10", "--set", "evaluations=3000"]
    process = subprocess.Popen(
        [*LANGUE, "train", "gpt2", str(small_store), "-o", "model", *tiny, *endless],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        preexec_fn=hear_ctrl_c,
    )
    assert process.stderr is not None
    while b"validation" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(sent)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + sent, errors
    assert b"interrupted after" in errors
    assert b"--resume" in errors
    assert b"Traceback" not in errors
    model = langue.load(tmp_path / "model")
    assert model.info()["measured"]["interrupted"]
    assert model.score("The king").total_bits > 0


def test_a_reader_that_leaves_is_no_error(small_models: dict[str, Path]) -> None:
    command = (
        f"{sys.executable} -m langue generate {small_models['trigram']} The --max-tokens 3000 --temperature 2"
    )
    done = subprocess.run(
        ["bash", "-c", f"{command} | head -c 3"], capture_output=True, text=True, check=True
    )
    assert "Traceback" not in done.stderr
    assert "langue:" not in done.stderr
