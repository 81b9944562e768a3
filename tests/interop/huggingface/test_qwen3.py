"""A `gpt2` with the options of Qwen3 is one: transformers reads what langue writes, and the other way."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import langue
from langue.base.errors import LangueError
from langue.models.networks.config import qwen3

transformers = pytest.importorskip("transformers")

ENGLISH = "The king and the queen went to the city together, and came back. "
CHINESE = "却说曹操引兵，来到长安，与众将商议。"
TOKENIZERS = {
    "english": (ENGLISH, {"vocabulary": 300}),
    "chinese": (CHINESE, {"kind": "chars"}),
    "bytes": (CHINESE + ENGLISH, {"kind": "bytes"}),
}


def store(folder: Path, tokenizer: str) -> Path:
    text, settings = TOKENIZERS[tokenizer]
    for name in ("train", "valid", "test"):
        (folder / name).write_text("".join(f"{text}{name}{n}\n" for n in range(60)), encoding="utf-8")
    valid, test = [folder / "valid"], [folder / "test"]
    langue.prepare(folder / "train", folder / "store", documents="line", valid=valid, test=test, **settings)  # type: ignore[arg-type]
    return folder / "store"


def trained(folder: Path, tokenizer: str = "english", **settings: Any) -> Any:
    """A model whose weights are large enough that every part of it matters, saved."""
    chosen: Any = qwen3(2, 32, 4, 64) | {"steps": 20, "learning_rate": 0.05} | settings
    return langue.train("gpt2", store(folder, tokenizer), folder / "model", **chosen)


def log_probs(folder: Path, ids: Any) -> Any:
    """Log-probabilities after each token, by transformers."""
    peer = transformers.AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=False).eval()
    assert type(peer).__name__ == "Qwen3ForCausalLM"
    with torch.no_grad():
        return torch.log_softmax(peer(torch.tensor([ids])).logits[0], -1).numpy()


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@pytest.mark.parametrize(
    "settings",
    [{}, {"tied": False}, {"key_value_heads": 2}, {"rope_theta": 500.0, "norm_eps": 0.01, "d_ff": 40}],
    ids=["tied", "untied", "grouped", "others"],
)
def test_transformers_predicts_the_same(tokenizer: str, settings: dict[str, Any], tmp_path: Path) -> None:
    model = trained(tmp_path, tokenizer, **settings)
    export = langue.export_model(model.path, tmp_path / "exported")
    assert export.size["parameters"] == model.folder.model.size()["parameters"]
    text = TOKENIZERS[tokenizer][0][:20]
    ids = transformers.AutoTokenizer.from_pretrained(tmp_path / "exported")(text)["input_ids"]
    assert ids == [model.tokenizer.eos, *model.tokenizer.encode(text)]  # the end comes first
    expected = log_probs(tmp_path / "exported", ids)
    ours = np.stack([model.folder.model.next_log_probs([ids[1:end]])[0] for end in range(1, len(ids) + 1)])
    np.testing.assert_allclose(ours, expected, atol=1e-4)
    # And back: what was written is read as what it was.
    again: Any = langue.import_model(tmp_path / "exported", tmp_path / "again")
    assert again.folder.model.config == model.folder.model.config
    for name, part in model.folder.model.state_dict().items():
        assert torch.equal(part, again.folder.model.state_dict()[name]), name


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_a_qwen3_of_others_is_imported_and_predicts_the_same(tied: bool, tmp_path: Path) -> None:
    exported = tmp_path / "exported"
    langue.export_model(trained(tmp_path).path, exported)  # for its tokenizer
    shape = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "head_dim": 6}
    vocabulary = json.loads((exported / "config.json").read_text())["vocab_size"]
    rope = {"rope_type": "default", "rope_theta": 1_000_000.0}
    torch.manual_seed(0)
    config = transformers.Qwen3Config(
        vocab_size=vocabulary + 2, num_key_value_heads=2, intermediate_size=40, rope_parameters=rope,
        max_position_embeddings=64, tie_word_embeddings=tied, **shape,
    )  # fmt: skip
    peer = transformers.Qwen3ForCausalLM(config)
    for parameter in peer.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    (exported / "model.safetensors").unlink()
    peer.save_pretrained(exported)
    model: Any = langue.import_model(exported, tmp_path / "read")
    assert model.folder.model.config.rope_theta == 1e6
    ids = [model.tokenizer.eos, *model.tokenizer.encode("The king went back.").tolist()]
    # Of its table two rows are no token's, which softmax counts there and not here.
    expected = log_probs(exported, ids)[:, :vocabulary]
    expected = expected - np.logaddexp.reduce(expected, axis=-1, keepdims=True)
    found = model.folder.model.next_log_probs([ids[1:]])[0]
    np.testing.assert_allclose(found, expected[-1], atol=1e-4)
    # Older files keep the base of the angles beside the other settings.
    table = json.loads((exported / "config.json").read_text())
    del table["rope_parameters"]
    (exported / "config.json").write_text(
        json.dumps(table | {"rope_theta": 1_000_000.0, "rope_scaling": None})
    )
    older: Any = langue.import_model(exported, tmp_path / "older")
    assert older.folder.model.config == model.folder.model.config


def test_what_qwen3_has_not_is_refused_by_name(tmp_path: Path) -> None:
    model = trained(tmp_path, norm="layer", activation="relu2", bias=True, steps=1)
    with pytest.raises(
        LangueError,
        match="Qwen3 has no norm = layer, activation = relu2, bias = true; train with norm=rms "
        "activation=swiglu bias=false",
    ):
        langue.export_model(model.path, tmp_path / "exported")
    assert not (tmp_path / "exported").exists()


def test_two_epsilons_are_refused(tmp_path: Path) -> None:
    """As of models before it was a setting."""
    settings = {name: value for name, value in qwen3(1, 8, 2, 48).items() if name != "norm_eps"}
    model = langue.train("gpt2", store(tmp_path, "bytes"), tmp_path / "model", **settings, steps=1)
    with pytest.raises(LangueError, match=r"Qwen3 has no norm_eps = 0\.0; train with norm_eps=1e-06"):
        langue.export_model(model.path, tmp_path / "exported")


def test_a_qwen3_that_the_family_cannot_hold_is_refused(tmp_path: Path) -> None:
    exported = tmp_path / "exported"
    langue.export_model(trained(tmp_path, steps=1).path, exported)
    table = json.loads((exported / "config.json").read_text())

    def refused(message: str, **changed: Any) -> None:
        (exported / "config.json").write_text(json.dumps(table | changed))
        with pytest.raises(LangueError, match=message):
            langue.import_model(exported, tmp_path / "out")
        assert not (tmp_path / "out").exists()

    refused("head_dim = 16; langue knows hidden_size / num_attention_heads = 8", head_dim=16)
    refused("attention_bias = True", attention_bias=True)
    refused("hidden_act = gelu", hidden_act="gelu")
    refused("rope_type = yarn", rope_parameters={"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0})
    refused("use_sliding_window = True", use_sliding_window=True)
    refused("no number for rms_norm_eps", rms_norm_eps=0)
    refused("no number for rope_theta", rope_parameters={"rope_type": "default", "rope_theta": "large"})
    refused("does not fit the model: it has no model.layers.2", num_hidden_layers=3)
    refused("does not fit the model: model.layers.0.mlp.gate_proj.weight is of shape", intermediate_size=64)
