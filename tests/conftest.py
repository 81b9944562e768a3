"""Fixtures shared by all tests."""

import gzip
import os
import signal
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

import langue
from langue.corpus.sample import sample_path

# pytest has a process for each core: threads of torch beside them would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell that starts the tests in the background has Ctrl-C ignored, and what is ignored stays so.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

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


@pytest.fixture(scope="session")
def small_text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 120 kB of English and Chinese, cut from the embedded sample; `\\f` between documents."""
    path = tmp_path_factory.mktemp("text") / "both.txt"
    halves = []
    for language in ("english", "chinese"):
        with gzip.open(sample_path(language), "rt", encoding="utf-8") as file:
            halves.append(file.read(60_000 if language == "english" else 20_000))
    path.write_text("\n\f\n".join(halves), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def small_store(small_text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A token store of that text, documents of a few hundred bytes."""
    path = tmp_path_factory.mktemp("store") / "store"
    langue.prepare(
        small_text, path, vocabulary=600, valid_fraction=0.1, test_fraction=0.1, documents="blank-line"
    )
    return path


@pytest.fixture(scope="session")
def small_models(small_store: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One model of each kind of family, trained for a moment: by name, the folder."""
    folder = tmp_path_factory.mktemp("models")
    langue.train("ngram", small_store, folder / "trigram", order=3)
    langue.train("ngram", small_store, folder / "unigram", order=1)
    tiny = {
        "size": "tiny",
        "layers": 1,
        "width": 32,
        "heads": 2,
        "context": 32,
        "steps": 30,
        "batch_tokens": 512,
    }
    langue.train("gpt2", small_store, folder / "gpt2", **tiny)
    return {name: folder / name for name in ("trigram", "unigram", "gpt2")}


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
