"""What others made is read whole or refused by name; nothing that was drawn at random ever answers."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
import torch
from safetensors.torch import load_file, save_file

import langue
from langue.base.errors import LangueError

transformers = pytest.importorskip("transformers")
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "king", "is", "dead", "天", "下", "##s"]
V = len(WORDS)
IDS = [2, 5, 6, 4, 8, 9, 3]
SHAPE = {"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 48}
SHAPE |= {"vocab_size": V, "max_position_embeddings": 24}
MODELS = Path(__file__).parents[2] / "compat" / "data" / "models"
KINDS = {
    "bert": ("Bert", SHAPE),
    "albert": ("Albert", SHAPE | {"embedding_size": 16}),
    "electra": ("Electra", SHAPE | {"embedding_size": 16}),
}


def write_tokenizer(folder: Path) -> None:
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.WordPiece({word: id for id, word in enumerate(WORDS)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(WORDS[:5])
    tokenizer.save(str(folder / "tokenizer.json"))


def make(folder: Path, kind: str, head: str, **settings: Any) -> Any:
    """A small model of others in a folder, with weights large enough that every one matters."""
    name, shape = KINDS[kind]
    config = getattr(transformers, f"{name}Config")(**(shape | settings))
    torch.manual_seed(0)
    model = getattr(transformers, f"{name}{head}")(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    write_tokenizer(folder)
    return model


def change(folder: Path, edit: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    weights = load_file(folder / "model.safetensors")
    changed = edit(weights) or weights
    save_file(
        {name: part.clone() for name, part in changed.items()}, folder / "model.safetensors", {"format": "pt"}
    )


def configure(folder: Path, **changed: Any) -> None:
    path = folder / "config.json"
    table = json.loads(path.read_text()) | changed
    path.write_text(json.dumps({key: value for key, value in table.items() if value is not ...}))


def hidden(folder: Path) -> Any:
    model: Any = langue.load(folder)
    return model.folder.model.hidden([np.array(IDS)])[0]


def states(peer: Any) -> Any:
    with torch.no_grad():
        return peer(torch.tensor([IDS]), output_hidden_states=True).hidden_states[-1][0].numpy()


def test_the_first_berts_load(tmp_path: Path) -> None:
    """bert-base-uncased, bert-base-chinese and others call the norms gamma and beta."""
    hf = tmp_path / "hf"
    peer = make(hf, "bert", "ForPreTraining")

    def old(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        renamed = {}
        for name, part in weights.items():
            name = name.replace("LayerNorm.weight", "LayerNorm.gamma")
            renamed[name.replace("LayerNorm.bias", "LayerNorm.beta")] = part
        return renamed | {"bert.embeddings.position_ids": torch.arange(24)[None]}

    change(hf, old)
    model: Any = langue.import_model(hf, tmp_path / "m")
    np.testing.assert_allclose(hidden(tmp_path / "m"), states(peer), atol=1e-5)
    said = model.folder.model.masked_log_probs([np.array(IDS)], [np.array([3])])[0]
    with torch.no_grad():
        theirs = peer(torch.tensor([IDS])).prediction_logits[0, 3].log_softmax(-1)
    np.testing.assert_allclose(said[0], theirs, atol=1e-5)


@pytest.mark.parametrize(("kind", "root"), [("bert", "cls.predictions"), ("albert", "predictions")])
def test_an_output_matrix_of_its_own_is_refused(kind: str, root: str, tmp_path: Path) -> None:
    make(tmp_path / "hf", kind, "ForMaskedLM", tie_word_embeddings=False)
    with pytest.raises(LangueError, match=rf"{root}\.decoder\.weight differs from {kind}\.embeddings\.word"):
        langue.import_model(tmp_path / "hf", tmp_path / "m")
    tied = tmp_path / "tied"
    make(tied, kind, "ForMaskedLM")
    change(tied, lambda weights: weights.__setitem__(f"{root}.decoder.bias", torch.ones(V)))
    with pytest.raises(LangueError, match=rf"{root}\.decoder\.bias differs from {root}\.bias"):
        langue.import_model(tied, tmp_path / "m")
    # A bias that stands there under one of its two names alone is that bias.
    change(tied, lambda weights: weights.pop(f"{root}.bias") is None)
    langue.import_model(tied, tmp_path / "m")
    assert langue.load(tmp_path / "m").folder.model.prediction.bias.tolist() == [1.0] * V


@pytest.mark.parametrize(
    ("kind", "lost"),
    [("bert", "cls.predictions.transform.dense.weight"), ("albert", "predictions.dense.bias")],
)
def test_half_a_head_is_none(kind: str, lost: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    hf = tmp_path / "hf"
    peer = make(hf, kind, "ForMaskedLM")
    change(hf, lambda weights: weights.pop(lost) is None)
    model: Any = langue.import_model(hf, tmp_path / "m")
    assert "as the rest of its head is missing" in caplog.text
    with pytest.raises(LangueError, match="has no head that predicts"):
        model.fill("the [MASK]")
    np.testing.assert_allclose(hidden(tmp_path / "m"), states(peer), atol=1e-5)


def test_a_pooler_without_its_task_is_kept_and_says_nothing_of_pairs(tmp_path: Path) -> None:
    hf = tmp_path / "hf"
    peer = make(hf, "bert", "ForPreTraining")
    change(
        hf, lambda weights: [weights.pop(f"cls.seq_relationship.{kind}") for kind in ("weight", "bias")][:0]
    )
    model: Any = langue.import_model(hf, tmp_path / "m")
    assert model.info()["config"]["sentence_pairs"] == "none"
    assert torch.equal(model.folder.model.pooler.weight, peer.bert.pooler.dense.weight)
    assert model.folder.model.relation is None
    langue.export_model(tmp_path / "m", tmp_path / "again")
    assert torch.equal(
        load_file(tmp_path / "again" / "model.safetensors")["bert.pooler.dense.weight"],
        peer.bert.pooler.dense.weight,
    )


@pytest.mark.parametrize("kind", ["bert", "albert"])
@pytest.mark.parametrize(
    "head", ["ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering", "Model"]
)
def test_the_encoder_of_a_fine_tuned_model_is_read(
    kind: str, head: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hf = tmp_path / "hf"
    peer = make(hf, kind, head)
    model: Any = langue.import_model(hf, tmp_path / "m")
    assert ("a head of another task" in caplog.text) == (head != "Model")
    np.testing.assert_allclose(hidden(tmp_path / "m"), states(peer), atol=1e-5)
    with pytest.raises(LangueError, match="has no head that predicts"):
        model.fill("the [MASK]")
    # It goes out as it came: without a head, and with nothing that was drawn at random.
    langue.export_model(tmp_path / "m", tmp_path / "again")
    table = json.loads((tmp_path / "again" / "config.json").read_text())
    assert table["architectures"] == [f"{KINDS[kind][0]}Model"]
    written = load_file(tmp_path / "again" / "model.safetensors")
    given = {
        name.removeprefix(f"{kind}."): part for name, part in load_file(hf / "model.safetensors").items()
    }
    given = {
        name: part for name, part in given.items() if not name.startswith(("classifier.", "qa_outputs."))
    }
    assert {name.removeprefix(f"{kind}.") for name in written} == set(given)
    again = transformers.AutoModel.from_pretrained(tmp_path / "again").eval()
    np.testing.assert_allclose(states(again), states(peer), atol=1e-5)


def test_a_discriminator_is_read(tmp_path: Path) -> None:
    peer = make(tmp_path / "hf", "electra", "ForPreTraining")
    model: Any = langue.import_model(tmp_path / "hf", tmp_path / "m")
    with torch.no_grad():
        theirs = peer(torch.tensor([IDS])).logits[0]
    ours = model.folder.model.replaced_log_odds([np.array(IDS)])[0]
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    for head in ("Model", "ForMaskedLM"):
        shutil.rmtree(tmp_path / "hf")
        make(tmp_path / "hf", "electra", head)
        with pytest.raises(LangueError, match=r"discriminator_predictions|generator_"):
            langue.import_model(tmp_path / "hf", tmp_path / "x")


def test_shards_are_read_by_their_index(tmp_path: Path) -> None:
    peer = make(tmp_path / "one", "bert", "ForMaskedLM")
    hf = tmp_path / "hf"
    peer.save_pretrained(hf, max_shard_size="10KB")
    write_tokenizer(hf)
    assert not (hf / "model.safetensors").exists()
    langue.import_model(hf, tmp_path / "m")
    np.testing.assert_allclose(hidden(tmp_path / "m"), states(peer), atol=1e-5)
    index = hf / "model.safetensors.index.json"
    table = json.loads(index.read_text())
    # A tensor that the index forgets is read, as transformers reads it.
    bias = "bert.encoder.layer.1.output.dense.bias"
    forgetful = {name: file for name, file in table["weight_map"].items() if name != bias}
    index.write_text(json.dumps({"weight_map": forgetful}))
    langue.import_model(hf, tmp_path / "m", overwrite=True)
    np.testing.assert_allclose(hidden(tmp_path / "m"), states(peer), atol=1e-5)
    files = sorted(set(forgetful.values()))
    shutil.copy(hf / files[0], hf / "twice.safetensors")
    for wrong, message in (
        ({"weight_map": forgetful | {bias: "twice.safetensors"}}, "has no bert.encoder.layer.1"),
        ({"weight_map": {name: name for name in (files[0], "twice.safetensors")}}, "has no"),
        ({"weight_map": {"a": "../one/model.safetensors"}}, "which model.safetensors.index.json|in which"),
        ({"weight_map": {"a": min(table["weight_map"].values())}}, "has no a"),
        ([], "no weight_map"),
    ):
        index.write_text(json.dumps(wrong))
        with pytest.raises(LangueError, match=message):
            langue.import_model(hf, tmp_path / "x")


@pytest.mark.parametrize(
    ("kind", "key"), [("bert", "intermediate_size"), ("albert", "embedding_size"), ("bert", "vocab_size")]
)
def test_a_setting_that_is_missing_is_named(kind: str, key: str, tmp_path: Path) -> None:
    make(tmp_path / "hf", kind, "ForMaskedLM")
    for value in (..., None, "many", -1, True, [3]):
        configure(tmp_path / "hf", **{key: value})
        with pytest.raises(LangueError, match=f"no number for {key}"):
            langue.import_model(tmp_path / "hf", tmp_path / "x")


@pytest.mark.parametrize("type", [torch.int8, torch.bool, torch.complex64])
@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_weights_that_are_codes_are_refused(kind: str, type: torch.dtype, tmp_path: Path) -> None:
    hf = tmp_path / "hf"
    if kind == "gpt2":
        gpt2(hf, bos_token_id=3, eos_token_id=3)
    else:
        make(hf, kind, "ForMaskedLM")
    name = "transformer.ln_f.weight" if kind == "gpt2" else "bert.embeddings.LayerNorm.weight"
    change(hf, lambda weights: weights.__setitem__(name, weights[name].to(type)))
    with pytest.raises(
        LangueError, match=rf"{name.removeprefix('transformer.')} holds .*, no weights as they"
    ):
        langue.import_model(hf, tmp_path / "x")
    configure(hf, quantization_config={"load_in_8bit": True})
    with pytest.raises(LangueError, match="its weights are codes"):
        langue.import_model(hf, tmp_path / "x")


@pytest.mark.parametrize(
    "key", ["num_hidden_layers", "hidden_size", "intermediate_size", "max_position_embeddings", "vocab_size"]
)
def test_numbers_that_are_not_the_files_take_no_memory(key: str, tmp_path: Path) -> None:
    make(tmp_path / "hf", "bert", "ForMaskedLM")
    configure(tmp_path / "hf", **{key: 2**20})
    with pytest.raises(LangueError, match=r"does not fit the model|fewer tensors"):
        langue.import_model(tmp_path / "hf", tmp_path / "x")


def test_what_a_folder_lacks_is_told_with_what_to_do(tmp_path: Path) -> None:
    hf = tmp_path / "hf"
    make(hf, "bert", "ForMaskedLM")

    def refused(message: str) -> None:
        with pytest.raises(LangueError, match=message):
            langue.import_model(hf, tmp_path / "x")
        assert not (tmp_path / "x").exists()

    configure(hf, is_decoder=True)
    refused("is_decoder = True")
    configure(hf, is_decoder=False, model_type="roberta")
    refused("type roberta; langue reads gpt2, qwen3, bert, albert, electra")
    configure(hf, model_type="bert", cls_token_id=4, sep_token_id=4, mask_token_id=1)
    refused("are no ids of")
    configure(hf, cls_token_id=10**6, sep_token_id=1, mask_token_id=2)
    refused("are no ids of")
    configure(hf, cls_token_id=..., sep_token_id=..., mask_token_id=...)
    (hf / "tokenizer.json").rename(hf / "vocab.txt")
    refused(r"it has vocab\.txt, of which transformers makes it")
    (hf / "vocab.txt").unlink()
    refused("has no tokenizer.json; fetch it again")
    write_tokenizer(hf)
    (hf / "adapter_config.json").write_text("{}")
    refused("merge it with peft")
    (hf / "adapter_config.json").unlink()
    (hf / "model.safetensors").rename(hf / "pytorch_model.bin")
    refused("they can run code. Write it with transformers")


def test_texts_are_given_as_they_stand(tmp_path: Path) -> None:
    """As transformers gives them; those of a model of langue's in its normalization, which comes back."""
    hf = tmp_path / "hf"
    make(hf, "bert", "ForMaskedLM")
    model: Any = langue.import_model(hf, tmp_path / "m")
    text = "\u095c\u093e cafe\u0301\r\n\ufb01"
    assert model.normalization.apply(text) == text
    langue.export_model(MODELS / "bert", tmp_path / "out")
    again: Any = langue.import_model(tmp_path / "out", tmp_path / "again")
    assert again.normalization.apply(text) == langue.load(MODELS / "bert").normalization.apply(text) != text
    for wrong in ([], {"form": "NFX"}, {"shape": "NFC"}):
        configure(tmp_path / "out", langue_normalization=wrong)
        with pytest.raises(LangueError, match="langue_normalization"):
            langue.import_model(tmp_path / "out", tmp_path / "x")


def gpt2(folder: Path, tied: bool = True, **settings: Any) -> Any:
    """A GPT-2 whose texts begin with `[CLS]` and end with `[SEP]`, as Chinese ones on a BERT's vocabulary."""
    shape = {"vocab_size": V, "n_positions": 24, "n_embd": 32, "n_layer": 2, "n_head": 2}
    torch.manual_seed(0)
    config = transformers.GPT2Config(**(shape | settings), tie_word_embeddings=tied)
    model = transformers.GPT2LMHeadModel(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    write_tokenizer(folder)
    return model


TEMPLATE = {
    "type": "TemplateProcessing",
    "single": [
        {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}},
        {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
    ],
    "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
    "special_tokens": {
        name: {"id": name, "ids": [id], "tokens": [name]} for name, id in (("[CLS]", 2), ("[SEP]", 3))
    },
}


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("told", ["by the tokenizer", "by the configuration"])
def test_texts_begin_as_the_model_has_it(told: str, tied: bool, tmp_path: Path) -> None:
    hf = tmp_path / "hf"
    ids = {"bos_token_id": 50256, "eos_token_id": 50256}  # as a changed vocabulary leaves them
    if told == "by the configuration":
        ids = {"bos_token_id": 2, "eos_token_id": 3}
    peer = gpt2(hf, tied, **ids)
    if told == "by the tokenizer":
        path = hf / "tokenizer.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"post_processor": TEMPLATE}))
    model: Any = langue.import_model(hf, tmp_path / "m")
    text = [5, 6, 9, 10]
    with torch.no_grad():
        rows = peer(torch.tensor([[2, *text]])).logits[0].log_softmax(-1).numpy()
    scores = model.folder.model.log_probs([np.array([*text, 3])])[0]
    np.testing.assert_allclose(scores, rows[range(5), [*text, 3]], atol=1e-5)
    np.testing.assert_allclose(model.folder.model.next_log_probs([np.array(text)])[0], rows[-1], atol=1e-5)
    # And it goes out so that transformers, with the tokenizer beside it, predicts the same.
    langue.export_model(tmp_path / "m", tmp_path / "again")
    again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "again").eval()
    read = transformers.AutoTokenizer.from_pretrained(tmp_path / "again")("the king 天 下")["input_ids"]
    assert read[1:] == text
    with torch.no_grad():
        theirs = again(torch.tensor([read])).logits[0].log_softmax(-1).numpy()
    np.testing.assert_allclose(theirs, rows, atol=1e-5)


def test_another_end_than_the_tokenizer_says_is_refused(tmp_path: Path) -> None:
    gpt2(tmp_path / "hf", bos_token_id=2, eos_token_id=8)
    with pytest.raises(LangueError, match=r"texts end with dead, and langue would end them with \[SEP\]"):
        langue.import_model(tmp_path / "hf", tmp_path / "m")


def test_an_output_matrix_of_a_gpt2_is_used_whatever_the_configuration_says(tmp_path: Path) -> None:
    """As an adapter that was merged leaves it; transformers uses it too."""
    hf = tmp_path / "hf"
    gpt2(hf, bos_token_id=3, eos_token_id=3)
    matrix = torch.randn(V, 32)
    change(hf, lambda weights: weights.__setitem__("lm_head.weight", matrix))
    model: Any = langue.import_model(hf, tmp_path / "m")
    assert torch.equal(model.folder.model.head, matrix)
    peer = transformers.AutoModelForCausalLM.from_pretrained(hf).eval()
    with torch.no_grad():
        row = peer(torch.tensor([[3, 5, 6]])).logits[0, -1].log_softmax(-1)
    np.testing.assert_allclose(model.folder.model.next_log_probs([np.array([5, 6])])[0], row, atol=1e-5)
    langue.export_model(tmp_path / "m", tmp_path / "again")
    assert json.loads((tmp_path / "again" / "config.json").read_text())["tie_word_embeddings"] is False
    again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "again")
    assert torch.equal(again.lm_head.weight, matrix)
    assert not torch.equal(again.transformer.wte.weight, matrix)


def test_a_gpt2_that_lacks_a_tensor_is_told_by_its_name(tmp_path: Path) -> None:
    hf = tmp_path / "hf"
    gpt2(hf, bos_token_id=3, eos_token_id=3)
    change(hf, lambda weights: weights.pop("transformer.ln_f.bias") is None)
    with pytest.raises(LangueError, match=r"does not fit the model: it has no ln_f\.bias$"):
        langue.import_model(hf, tmp_path / "m")
