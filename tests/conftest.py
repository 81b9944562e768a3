"""Fixtures shared by all tests."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

# A slow machine is no failure, and compiling counts as the first example.
settings.register_profile("langue", deadline=None)
settings.load_profile("langue")

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Path of a file of the larger corpora; the test is skipped where they are absent."""

    def find(name: str) -> Path:
        path = SHARED / name
        if not path.exists():
            pytest.skip(f"needs the corpus {name}, which lies outside the repository (../shared/data)")
        return path

    return find


@pytest.fixture
def memory_of() -> Callable[[Callable[[], object]], int]:
    """Largest number of bytes that Python and NumPy held at once while a function ran."""

    def measure(run: Callable[[], object]) -> int:
        tracemalloc.start()
        try:
            run()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    return measure
