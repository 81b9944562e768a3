"""transformers reads what langue exports, and predicts the same."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import langue
from langue.base.errors import LangueError

TEXT = "The king is dead.\n\n却说曹操引兵,  wrote <eos> é."


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("hf")
    line = "The king and the queen went to 长安 together, and came back. "
    for name in ("train", "valid", "test"):
        (folder / name).write_text("".join(f"{line}{name}{n}\n" for n in range(200)), encoding="utf-8")
    langue.prepare(
        folder / "train",
        folder / "store",
        documents="line",
        vocabulary=300,
        valid=[folder / "valid"],
        test=[folder / "test"],
    )
    shape = ["layers=2", "width=32", "heads=2", "context=64", "steps=30", "learning_rate=0.02"]
    return langue.train("gpt2", folder / "store", folder / "model", assignments=shape)


def test_transformers_predicts_the_same(model: Any, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    from langue import api

    count = api.export_model(model.path, tmp_path / "exported")
    assert count == model.loaded.model.size()["parameters"]
    peer = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "exported").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "exported")
    assert sum(parameter.numel() for parameter in peer.parameters()) == count
    assert tokenizer.decode(tokenizer(TEXT)["input_ids"], skip_special_tokens=True) == TEXT
    ids = tokenizer(TEXT, return_tensors="pt")["input_ids"]  # <eos> first
    with torch.no_grad():
        rows = torch.log_softmax(peer(ids).logits[0], -1)
    expected = [float(rows[place, ids[0, place + 1]]) for place in range(ids.shape[1] - 1)]
    found = model.score(TEXT).bits[:-1] * -np.log(2)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_other_families_and_an_output_in_the_way_are_refused(model: Any, tmp_path: Path) -> None:
    from langue import api

    (tmp_path / "precious").write_text("years of work")
    with pytest.raises(LangueError, match="holds other files"):
        api.export_model(model.path, tmp_path, overwrite=True)
    api.export_model(model.path, tmp_path / "exported")
    with pytest.raises(LangueError, match="already exists"):
        api.export_model(model.path, tmp_path / "exported")
    api.export_model(model.path, tmp_path / "exported", overwrite=True)
