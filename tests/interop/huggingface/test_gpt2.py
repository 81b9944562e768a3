"""transformers reads what langue exports, and predicts the same."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
import torch
from safetensors.torch import load_file, save_file

import langue
from langue import cli
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
    shape = {"layers": 2, "width": 32, "heads": 2, "context": 64, "steps": 30, "learning_rate": 0.02}
    return langue.train("gpt2", folder / "store", folder / "model", **shape)


def test_transformers_predicts_the_same(model: Any, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    import langue

    export = langue.export_model(model.path, tmp_path / "exported")
    count = export.size["parameters"]
    assert count == model.folder.model.size()["parameters"]
    assert export.to_json()["format"] == "huggingface"
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


@pytest.fixture(scope="module", params=[True, False], ids=["tied", "untied"])
def released(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT-2 as others make them: `<|endoftext|>` is the only special token, and there is no padding."""
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("released")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["The king and the queen went together, and came back. "] * 9, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    V = tokenizer.get_vocab_size()
    shape = {"n_positions": 96, "n_embd": 32, "n_layer": 2, "n_head": 4, "bos_token_id": 0, "eos_token_id": 0}
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=V, tie_word_embeddings=request.param, **shape)
    model = transformers.GPT2LMHeadModel(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder)
    return folder


def expected(folder: Path, ids: Any) -> Any:
    """Log-probabilities after each token, by transformers."""
    peer = pytest.importorskip("transformers").AutoModelForCausalLM.from_pretrained(folder).eval()
    with torch.no_grad():
        return torch.log_softmax(peer(torch.tensor([ids])).logits[0], -1).numpy()


def test_a_gpt2_of_others_is_imported_and_predicts_the_same(
    released: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["import", str(released), "-o", str(tmp_path / "m")]) == 0
    assert "gpt2" in capsys.readouterr().out
    held: Any = langue.load(tmp_path / "m")
    tokenizer = held.tokenizer
    assert tokenizer.vocab_size == json.loads((released / "config.json").read_text())["vocab_size"]
    assert tokenizer.pad == tokenizer.eos == 0
    assert not tokenizer.closed  # so its bits per byte mean something
    ids = [0, *tokenizer.encode(TEXT).tolist()]
    rows = expected(released, ids)
    found = held.score(TEXT).bits * -np.log(2)
    targets = [*ids[1:], 0]
    np.testing.assert_allclose(found, rows[np.arange(len(ids)), targets], atol=1e-4)
    np.testing.assert_allclose(held.folder.model.next_log_probs([ids[1:]])[0], rows[-1], atol=1e-4)
    # Generating takes the likeliest token that may be written, as often as asked.
    written = held.generate("The king", temperature=0.0, max_tokens=5, seed=1)
    assert written.text
    lines = tmp_path / "lines.txt"
    lines.write_text("The king\n")
    assert cli.run(["score", str(tmp_path / "m"), str(lines)]) == 0
    assert cli.run(["info", str(tmp_path / "m")]) == 0


def test_a_gpt2_that_fits_not_is_refused(
    released: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import langue

    folder = tmp_path / "hf"
    shutil.copytree(released, folder)
    table = json.loads((folder / "config.json").read_text())

    def refused(message: str, **changed: Any) -> None:
        (folder / "config.json").write_text(json.dumps(table | changed))
        with pytest.raises(LangueError, match=message):
            langue.import_model(folder, tmp_path / "out")
        assert not (tmp_path / "out").exists()

    refused("activation_function = relu", activation_function="relu")
    refused("does not fit the model", n_inner=7)
    refused("no number for layer_norm_epsilon", layer_norm_epsilon="small")
    refused("not of one model", vocab_size=20)
    refused("no number for n_embd", n_embd=None)
    refused("no number for vocab_size", vocab_size="many")
    refused("does not fit the model", n_layer=3)
    # A table that was padded to a round number: what is no token's is left out.
    weights = load_file(folder / "model.safetensors")
    longer = {
        name: torch.nn.functional.pad(part, (0, 0, 0, 4))
        if name.endswith(("wte.weight", "lm_head.weight"))
        else part
        for name, part in weights.items()
    }
    save_file(longer, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(table | {"vocab_size": table["vocab_size"] + 4}))
    langue.import_model(folder, tmp_path / "padded")
    assert "4 rows of the embedding are no token's" in caplog.text
    langue.import_model(released, tmp_path / "whole")
    one, other = langue.load(tmp_path / "padded"), langue.load(tmp_path / "whole")
    assert np.array_equal(one.score(TEXT).bits, other.score(TEXT).bits)


def test_a_gpt2_goes_out_and_comes_back(model: Any, tmp_path: Path) -> None:
    import langue

    langue.export_model(model.path, tmp_path / "exported")
    back = langue.import_model(tmp_path / "exported", tmp_path / "back")
    assert np.array_equal(back.score(TEXT).bits, model.score(TEXT).bits)


def test_other_families_and_an_output_in_the_way_are_refused(model: Any, tmp_path: Path) -> None:
    import langue

    (tmp_path / "precious").write_text("years of work")
    with pytest.raises(LangueError, match="holds other files"):
        langue.export_model(model.path, tmp_path, overwrite=True)
    langue.export_model(model.path, tmp_path / "exported")
    with pytest.raises(LangueError, match="already exists"):
        langue.export_model(model.path, tmp_path / "exported")
    langue.export_model(model.path, tmp_path / "exported", overwrite=True)
