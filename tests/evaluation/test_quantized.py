"""The gate of int8: within 0.2 % of the bits per byte of float32, on each kind of text and vocabulary."""

import gzip
import math
from pathlib import Path
from typing import Any

import pytest

import langue
from langue.corpus.sample import sample_path
from langue.evaluation.quantized import QuantizedEvaluation
from langue.models.networks.config import qwen3
from langue.nn.quantized import TOLERANCE

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "english": ("english", {"vocabulary": 600}),
    "chinese": ("chinese", {"kind": "chars", "vocabulary": 1200}),
    "bytes": ("chinese", {"kind": "bytes"}),
}


@pytest.mark.parametrize("name", KINDS)
def test_int8_costs_less_than_the_tolerance(name: str, tmp_path: Path) -> None:
    """Of a network that has learned something: one of random weights would pass whatever it is read by."""
    language, vocabulary = KINDS[name]
    with gzip.open(sample_path(language), "rt", encoding="utf-8") as file:
        (tmp_path / "text.txt").write_text(file.read(25_000), encoding="utf-8")
    langue.prepare(
        tmp_path / "text.txt", tmp_path / "store", documents="blank-line", test_fraction=0.05, **vocabulary
    )
    langue.train(
        "gpt2", tmp_path / "store", tmp_path / "model", steps=40, batch_tokens=1024, learning_rate=3e-3,
        **qwen3(2, 64, 2, 64),
    )  # fmt: skip
    result = langue.evaluate(tmp_path / "model", tmp_path / "store", quantize="int8")
    assert isinstance(result, QuantizedEvaluation)
    figures = result.figures
    assert 0 < abs(figures.rise) < TOLERANCE == 0.002
    if name == "bytes":
        assert figures.float32_bits_per_byte < math.log2(256) - 2
