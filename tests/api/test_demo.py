"""The demo, whole, with a moment of training."""

from pathlib import Path

import pytest

import langue
from langue.base.errors import LangueError


def test_the_demo_ends_in_a_table_and_a_sample_of_each_model(tmp_path: Path) -> None:
    shown = langue.demo(tmp_path / "demo", minutes=0.01, show=False)
    assert set(shown) == {"english", "chinese"}
    for language, found in shown.items():
        ranked = {row["model"]: row["bits_per_byte"] for row in found["comparison"]["models"]}
        assert (
            set(ranked)
            == {"unigram", "bigram", "trigram", "5-gram", "gpt2", "mixture"}
            == set(found["samples"])
        )
        assert ranked["5-gram"] < ranked["bigram"] < ranked["unigram"] < 3
        # Tuned on validation text, so no worse than its parts but by a trace.
        assert ranked["mixture"] < min(ranked["5-gram"], ranked["gpt2"]) + 0.01
        assert all("\ufffd" not in text for text in found["samples"].values()), language
    filled = shown["chinese"]["filled"]
    assert all("[MASK]" in text and len(candidates) == 4 for text, candidates in filled.items())
    with pytest.raises(LangueError, match="already exists"):
        langue.demo(tmp_path / "demo", minutes=0.01, show=False)
