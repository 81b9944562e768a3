"""What the tests of several tasks begin with."""

from pathlib import Path

import pytest

import langue


@pytest.fixture(scope="session")
def encoder(small_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT that has hardly learned, to be fine-tuned."""
    folder = tmp_path_factory.mktemp("encoder") / "bert"
    tiny = {"layers": 1, "width": 32, "heads": 2, "context": 32, "steps": 5, "batch_tokens": 256}
    langue.train("bert", small_store, folder, **tiny)
    return folder
