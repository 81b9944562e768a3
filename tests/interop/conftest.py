"""An n-gram model made straight from a text, as an ARPA file."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from langue.interop.convert import train_text
from langue.interop.formats import export_model
from langue.models.counts.ngram import NGramConfig


def sentences(seed: int, count: int) -> list[str]:
    """Sentences of a made-up language with frequent and rare words, Chinese ones among them."""
    draw = np.random.default_rng(seed)
    vocabulary = [f"w{number}" for number in range(60)] + ["中文", "语言模型", "naïve", "<unk>"]
    return [
        " ".join(vocabulary[number % len(vocabulary)] for number in draw.zipf(1.4, draw.integers(0, 25)) - 1)
        for _ in range(count)
    ]


@pytest.fixture(scope="session")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "train.txt"
    path.write_text("\n".join([*sentences(1, 800), ""]), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def folder(text: Path) -> Path:
    path = text.parent / "model"
    train_text(NGramConfig(order=4), text, path)
    return path


@pytest.fixture(scope="session")
def arpa_file(folder: Path) -> Path:
    path = folder.parent / "model.arpa"
    export_model(folder, path)
    return path


@pytest.fixture(scope="session")
def made_up() -> Callable[[int, int], list[str]]:
    return sentences
