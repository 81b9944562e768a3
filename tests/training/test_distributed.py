"""Two processes that talk by gloo against one: the same weights, and each goes on from the other's
checkpoints."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.training.conftest import SMALL
from tests.training.recurrent import recurrent
from torch import distributed, nn

from langue.base.errors import LangueError
from langue.tokens.store import TokenStore
from langue.training.distributed import LossOf, Processes, check_shared
from langue.training.estimate import estimate
from langue.training.recipe import Recipe, read_recipe
from langue.training.train import new_model, train, trainer_of

# A constant rate, so that a run of 3 steps is the beginning of one of 6; float32, to compare to its error.
STEADY = [
    "precision=float32",
    "batch_tokens=128",
    "learning_rate=0.01",
    "schedule=constant",
    "warmup=0",
    "keep_run=true",
    "log_every=2",
]
OFTEN = "checkpoint_minutes=0.00001"
RUNS = {"gpt2": [*SMALL, "layers=2", *STEADY], "recurrent": STEADY}


def recipe(family: str, *settings: str) -> Recipe:
    given = [*RUNS[family], *settings]
    return recurrent(*given) if family == "recurrent" else read_recipe(family, given)


TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
TORCHRUN += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]  # a free port


def two_processes(store: TokenStore, output: Path, family: str, *settings: str) -> None:
    command = [*TORCHRUN, str(Path(__file__).with_name("worker.py")), str(store.path), str(output), family]
    done = subprocess.run([*command, *RUNS[family], *settings], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def assert_close(one: Path, other: Path) -> None:
    """To float error, which Adam makes large where a gradient is 0 but for that: the biases of keys."""
    expected = load_file(one / "weights.safetensors")
    found = load_file(other / "weights.safetensors")
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=2e-3, atol=3e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "settings"),
    [
        ("gpt2", ["micro_batch_tokens=32", "ema_decay=0.5"]),
        ("gpt2", ["micro_batch_tokens=32", "ema_decay=0.5", "fsdp=true"]),
        ("recurrent", []),
    ],
    ids=["DDP", "FSDP", "recurrent"],
)
def test_two_processes_are_one_and_go_on_from_each_others_checkpoints(
    store: TokenStore, tmp_path: Path, family: str, settings: list[str]
) -> None:
    settings = [*settings, OFTEN]
    train(recipe(family, *settings, "steps=6"), store, tmp_path / "one")
    # Two begin and one ends it.
    two_processes(store, tmp_path / "two", family, *settings, "steps=3")
    train(recipe(family, *settings, "steps=6"), store, tmp_path / "two", resume=True)
    assert_close(tmp_path / "one", tmp_path / "two")
    if family == "recurrent":  # what it carries is cut as rows are, the other way round too
        return
    # One begins and two end it.
    train(recipe(family, *settings, "steps=3"), store, tmp_path / "other")
    two_processes(store, tmp_path / "other", family, *settings, "steps=6", "--resume")
    assert_close(tmp_path / "one", tmp_path / "other")


@pytest.mark.slow
def test_the_command_of_the_page_for_clusters(small_store: Path, tmp_path: Path) -> None:
    """`torchrun … -m langue train`, stopped by SIGTERM as by Slurm, and the same command again: every process
    ends well, and one speaks for all."""
    settings = [*SMALL, *STEADY, "evaluations=1000", "minutes=10"]
    command = [*TORCHRUN, "-m", "langue", "train", "gpt2", str(small_store), "-o", str(tmp_path / "model")]
    command += ["--resume", "--json", *(part for setting in settings for part in ("--set", setting))]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "validation" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert json.loads((tmp_path / "model" / "model.json").read_text())["measured"]["interrupted"]
    command += ["--set", "minutes=0.001"]  # it has run longer than that
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout)["measured"]
    assert measured["sessions"] == measured["devices"] == 2 and not measured["interrupted"]


def test_gradients_are_exchanged_once_a_batch_whatever_its_pieces(store: TokenStore) -> None:
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    try:
        whole, pieces = (_exchanges(store, f"micro_batch_tokens={micro}") for micro in (0, 16))
    finally:
        distributed.destroy_process_group()
    assert whole == pieces > 0


def _exchanges(store: TokenStore, *settings: str) -> int:
    """How often DDP exchanges gradients in three steps, by the count of a hook of its."""
    given = read_recipe("gpt2", [*SMALL, "batch_tokens=64", *settings])
    trainer = trainer_of(given, new_model(given, store), store, Processes())
    wrapped = nn.parallel.DistributedDataParallel(LossOf(trainer.model))
    trainer.loss = wrapped
    trainer.world._wrapped = wrapped  # type: ignore[attr-defined]
    count = 0

    def counting(state: None, bucket: distributed.GradBucket) -> torch.futures.Future[torch.Tensor]:
        nonlocal count
        count += 1
        done: torch.futures.Future[torch.Tensor] = torch.futures.Future()
        done.set_result(bucket.buffer())
        return done

    wrapped.register_comm_hook(None, counting)
    for _ in range(3):
        trainer.step()
    return count


def test_processes_that_nothing_brings_together_are_refused(
    store: TokenStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`WORLD_SIZE` alone, as some clusters set it for every job."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(LangueError, match="start them by torchrun, or unset WORLD_SIZE"):
        train(read_recipe("gpt2", [*SMALL, "steps=1"]), store, tmp_path / "model")
    with pytest.raises(LangueError, match="without torchrun"):
        estimate(read_recipe("gpt2", [*SMALL, "steps=1"]), store)


def test_rows_that_cannot_be_shared_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(LangueError, match="a batch of 8 rows cannot be shared by 3 processes"):
        Processes().rows(torch.zeros(8, 2))
    with pytest.raises(LangueError, match="a batch of 8 rows cannot be shared by 3 processes"):
        check_shared(8, Processes())
