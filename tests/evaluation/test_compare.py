"""Ranking models, and saying which differences are real."""

import json
from pathlib import Path

import pytest

import langue
from langue.base.errors import LangueError


def test_ranks_by_bits_and_tells_what_is_real(small_models: dict[str, Path], small_store: Path) -> None:
    found = langue.compare(list(small_models.values()), on=small_store)
    names = [row.evaluation.name for row in found.rows]
    assert names.index("trigram") < names.index("unigram")
    each = [langue.evaluate(small_models[name], small_store).bits_per_byte for name in names]
    assert [row.evaluation.bits_per_byte for row in found.rows] == pytest.approx(each)
    assert each == sorted(each)  # type: ignore[type-var]
    facts = json.loads(json.dumps(found.to_json(), allow_nan=False))
    for row in facts["models"]:
        assert {"bits_per_byte_interval", "perplexity", "disk_bytes", "training_seconds"} <= set(row)
        assert "ngrams" in row["size"] or "parameters" in row["size"]
        assert row["scoring_tokens_per_second"] > 0
    table = str(found)
    assert all(name in table for name in names)
    assert "is better than" in table


def test_a_model_against_itself_cannot_be_told(small_models: dict[str, Path], small_store: Path) -> None:
    found = langue.compare([small_models["trigram"], small_models["trigram"]], on=small_store)
    assert not found.differences[0].real
    assert "can't tell" in str(found)


def test_models_of_another_tokenizer_are_refused(
    small_models: dict[str, Path], small_text: Path, tmp_path: Path
) -> None:
    langue.prepare(small_text, tmp_path / "store", kind="bytes", documents="blank-line")
    with pytest.raises(LangueError, match="another tokenizer"):
        langue.compare([small_models["trigram"]], on=tmp_path / "store")
    with pytest.raises(LangueError, match="nothing to compare"):
        langue.compare([], on=tmp_path / "store")
