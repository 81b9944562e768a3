"""A dry run counts what can be counted, and leaves nothing behind."""

import importlib.metadata
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.training.conftest import SMALL

from langue.models.folder import ModelFolder
from langue.tokens.store import TokenStore
from langue.training.doctor import EXTRAS, diagnose
from langue.training.estimate import estimate
from langue.training.finding import Finding
from langue.training.recipe import read_recipe


def test_a_dry_run_says_what_the_run_then_is(
    store: TokenStore, trained: Callable[..., ModelFolder], tmp_path: Path
) -> None:
    found = estimate(read_recipe("gpt2", [*SMALL, "epochs=2"]), store)
    assert not list(tmp_path.iterdir())
    loaded = trained("epochs=2")
    measured = loaded.description.measured
    assert found.parameters == loaded.model.size()["parameters"]
    assert found.steps == measured["steps"]
    assert found.steps * found.batch_tokens == measured["tokens"] == found.epochs * found.epoch_tokens
    # Weights, gradients, the best weights, and Adam's two moments; its counters are a few bytes more.
    assert 5 * 4 * found.parameters < found.state_bytes < 5 * 4 * found.parameters + 1000
    assert found.peak_bytes > found.state_bytes and found.seconds > 0
    assert "steps of 64 tokens: 2.00 epochs" in str(found)
    assert found.to_json()["family"] == "gpt2"


def test_a_budget_in_minutes_is_turned_into_steps(store: TokenStore) -> None:
    found = estimate(read_recipe("gpt2", [*SMALL, "minutes=1"]), store)
    assert found.seconds == pytest.approx(60, rel=0.05)
    assert found.steps == pytest.approx(60 * found.tokens_per_second / 64, rel=0.05)


def test_of_a_long_step_a_part_is_tried(store: TokenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """GPT-2 of 124 million parameters, half a million tokens a step, on a processor: no one waits an hour."""
    monkeypatch.setattr("langue.training.estimate.PATIENCE", 0.0)
    settings = [*SMALL, "batch_tokens=512", "steps=10"]
    found = estimate(read_recipe("gpt2", settings), store)
    assert found.tried == 4 / 32 and not found.all_held
    assert found.seconds == pytest.approx(10 * 512 / found.tokens_per_second)
    assert "12.50% of a step" in str(found) and "(more in training)" in str(found)
    assert estimate(read_recipe("gpt2", [*settings, "micro_batch_tokens=64"]), store).all_held


def test_what_a_step_costs_whatever_its_rows_is_counted_once(
    store: TokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that says 3 s for each step and 0.5 s for each row, of which 4 of 32 are tried: 19 s."""
    monkeypatch.setattr("langue.training.estimate._time", lambda trainer, rows: 3.0 + 0.5 * rows)
    found = estimate(read_recipe("gpt2", [*SMALL, "batch_tokens=512", "steps=10"]), store)
    assert found.seconds == pytest.approx(190) and found.tried == 4 / 32


def test_the_doctor_finds_a_machine_that_runs_its_tests_fit(tmp_path: Path) -> None:
    findings = list(diagnose(tmp_path))
    assert {finding.verdict for finding in findings} <= {"ok", "note"}
    assert {"processor", "products", "memory", "disk", "writing", "compiler"} <= {f.name for f in findings}
    assert not list(tmp_path.iterdir())


def test_the_doctor_looks_for_every_extra() -> None:
    offered = importlib.metadata.metadata("langue").get_all("Provides-Extra") or []
    assert set(EXTRAS) == set(offered) - {"dev", "neural"}  # torch is looked for on its own


def test_the_doctor_names_what_is_wrong_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 10_000)
    monkeypatch.setattr("langue.training.doctor.LITTLE_DISK", 1 << 60)
    monkeypatch.setattr("langue.training.doctor.EXTRAS", {"absent": ("no_such_package", "nothing")})
    gone = tmp_path / "gone"
    gone.mkdir()
    findings: dict[str, Finding] = {}
    for finding in diagnose(gone):
        findings[finding.name] = finding
        if finding.name == "disk":
            gone.rmdir()
    assert findings["writing"].verdict == "fail" and "cannot write" in findings["writing"].value
    assert "OMP_NUM_THREADS" in findings["processor"].advice
    assert findings["compiler"].value == "no no-such-compiler"
    assert "pip install 'langue[absent]'" in str(findings["extra"])
    assert findings["disk"].verdict == "note"
