"""A store of a small made-up language, and runs of a small model on it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from langue.models.folder import ModelFolder, load
from langue.tokens.store import StoreWriter, TokenStore
from langue.training.recipe import read_recipe
from langue.training.train import train

SMALL = ["layers=1", "width=16", "heads=2", "context=16", "batch_tokens=64"]


def documents(count: int, seed: int) -> list[list[int]]:
    """Each token is likely followed by the next one up: something to learn."""
    draw = np.random.default_rng(seed)
    return [
        [int(id) for id in 1 + np.cumsum(draw.choice([1, 1, 1, 5], draw.integers(5, 40))) % 30]
        for _ in range(count)
    ]


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> TokenStore:
    folder: Path = tmp_path_factory.mktemp("store")
    with StoreWriter(folder, vocabulary_size=31, eos=0) as writer:
        for split, texts in (
            ("train", documents(80, 0)),
            ("valid", documents(9, 1)),
            ("test", documents(9, 2)),
        ):
            for ids in texts:
                writer.add(split, np.array(ids, np.uint32), bytes=4 * len(ids) + 1, words=len(ids))
        (folder / "tokenizer.json").write_text("{}")
        writer.finish(tokenizer={"fingerprint": "made on the spot", "closed": False}, normalization={})
    return TokenStore(folder)


@pytest.fixture
def trained(store: TokenStore, tmp_path: Path) -> Callable[..., ModelFolder]:
    """Train a small model with settings, and load its folder."""

    def run(*settings: str, family: str = "gpt2", name: str = "model", small: Sequence[str] = SMALL) -> Any:
        train(read_recipe(family, [*small, *settings]), store, tmp_path / name)
        return load(tmp_path / name)

    return run
