"""Going on from another model: the same answers, longer contexts, other vocabularies."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import langue
from langue.base.config import decode
from langue.base.errors import LangueError
from langue.models.encoders.albert import Albert, AlbertConfig
from langue.models.encoders.bert import Bert, BertConfig
from langue.models.encoders.from_bert import factorized
from langue.models.networks.bert2bert import Bert2BertConfig
from langue.nn.transfer import resize_distances, resize_positions
from langue.protocols import Vocabulary

TINY = {"layers": 1, "width": 32, "heads": 2, "context": 16, "batch_tokens": 256, "sentence_pairs": "none"}
STILL = {
    "steps": 1,
    "batch_tokens": 256,
    "learning_rate": 1e-30,
    "weight_decay": 0.0,
    "sentence_pairs": "none",
}


@pytest.fixture(scope="module", params=["bert", "albert"])
def trained(
    request: pytest.FixtureRequest, small_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    folder = tmp_path_factory.mktemp("first") / request.param
    extra = {"embedding_size": 16} if request.param == "albert" else {}
    langue.train(request.param, small_store, folder, **TINY, **extra, steps=5)
    return request.param, folder, extra


def test_goes_on_with_the_same_weights(trained: Any, small_store: Path, tmp_path: Path) -> None:
    """A step of no length leaves the model what it was; shape and tokenizer are taken over."""
    family, folder, extra = trained
    langue.train(family, small_store, tmp_path / "m", init_from=str(folder), **STILL, **extra)
    one, other = langue.load(folder), langue.load(tmp_path / "m")
    assert one.fill("The [MASK] is", k=8).to_json() == other.fill("The [MASK] is", k=8).to_json()
    assert other.info()["config"]["width"] == 32
    # Where it started from is no longer needed.
    assert langue.load(tmp_path / "m").embed(["x"]).shape == (1, 32)


def test_positions_are_stretched_to_a_longer_context(trained: Any, small_store: Path, tmp_path: Path) -> None:
    family, folder, extra = trained
    langue.train(family, small_store, tmp_path / "m", init_from=str(folder), context=31, **STILL, **extra)
    old, new = (
        langue.load(path).folder.model.embeddings.position.weight for path in (folder, tmp_path / "m")
    )
    assert len(new) == 31
    torch.testing.assert_close(new[::2], old)
    torch.testing.assert_close(new[1::2], (old[1:] + old[:-1]) / 2)
    assert torch.equal(resize_positions(old, 7), old[:7])


def test_a_larger_vocabulary_keeps_what_it_shares(trained: Any, small_text: Path, tmp_path: Path) -> None:
    family, folder, extra = trained
    langue.prepare(small_text, tmp_path / "s", vocabulary=700, documents="blank-line")
    langue.train(family, tmp_path / "s", tmp_path / "m", init_from=str(folder), **STILL, **extra)
    old, new = langue.load(folder), langue.load(tmp_path / "m")
    rows = new.folder.model.embeddings.word.weight
    before = old.folder.model.embeddings.word.weight
    shared = 0
    spelled = {token: id for id, token in enumerate(old.tokenizer.spellings()) if token}
    for id, token in enumerate(new.tokenizer.spellings()):
        if token in spelled:
            shared += 1
            assert torch.equal(rows[id], before[spelled[token]])
        elif token.decode(errors="ignore").encode() == token and token:
            pieces = old.tokenizer.encode(token.decode()).astype(np.int64)
            torch.testing.assert_close(rows[id], before[torch.from_numpy(pieces)].mean(0))
    assert 500 < shared < 700
    for one, other in zip(new.folder.model.specials, old.folder.model.specials, strict=True):
        assert torch.equal(rows[one], before[other])
    assert torch.equal(rows[new.tokenizer.eos], before[old.tokenizer.eos])


def test_what_cannot_be_taken_over_is_told(
    trained: Any, small_store: Path, small_models: dict[str, Path], tmp_path: Path
) -> None:
    family, folder, extra = trained
    for message, settings in (
        ("leave layers, width and heads out", {"init_from": str(folder), "width": 64}),
        ("starts from its own kind", {"init_from": str(small_models["gpt2"])}),
        ("is not a model folder", {"init_from": str(tmp_path)}),
    ):
        with pytest.raises(LangueError, match=message):
            langue.train(family, small_store, tmp_path / "m", **STILL, **extra, **settings, overwrite=True)
        assert not (tmp_path / "m").exists()


def test_a_folder_of_hugging_face_is_a_start_too(trained: Any, small_store: Path, tmp_path: Path) -> None:
    """By way of transformers' form, with nothing imported by hand."""
    family, folder, _ = trained
    langue.export_model(folder, tmp_path / "hf")
    langue.train(family, small_store, tmp_path / "m", init_from=str(tmp_path / "hf"), **STILL)
    one, other = langue.load(folder), langue.load(tmp_path / "m")
    assert one.fill("The [MASK] is", k=8).to_json() == other.fill("The [MASK] is", k=8).to_json()
    assert other.info()["config"]["width"] == 32


APART: dict[str, Any] = {
    "layers": 2,
    "width": 32,
    "heads": 4,
    "sentence_pairs": "none",
    "attention": "disentangled",
}


@pytest.mark.parametrize("family", ["bert", "electra"])
def test_distances_are_lengthened_to_a_longer_context(family: str, small_store: Path, tmp_path: Path) -> None:
    """Nothing changes for what fitted before, and far tokens count as the farthest did."""
    few = {"steps": 3, "batch_tokens": 256}
    apart, start = {"attention": "disentangled"}, str(tmp_path / "a")
    old: Any = langue.train(family, small_store, tmp_path / "a", **APART, context=16, **few)
    new: Any = langue.train(
        family, small_store, tmp_path / "b", init_from=start, context=40, **STILL, **apart
    )
    ids = [np.arange(20, 36), np.arange(50, 60)]
    for one, other in zip(old.folder.model.hidden(ids), new.folder.model.hidden(ids), strict=True):
        np.testing.assert_array_equal(one, other)
    table = torch.arange(8.0)[:, None]  # distances -4 to 3
    assert resize_distances(table, 12)[:, 0].tolist() == [0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 7, 7]
    assert resize_distances(table, 4)[:, 0].tolist() == [2, 3, 4, 5]


BIG = Vocabulary(60, 0)
TABLES = [f"embeddings.{name}.weight" for name in ("word", "position", "part")]


def noisy(model: Any) -> Any:
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.3 * torch.randn_like(parameter) + (parameter.ndim == 1))
    return model.eval()


def test_a_factorized_embedding_of_full_width_reads_the_same() -> None:
    """No direction is lost, so what the layers read is what BERT's do; a layer that all have is the mean."""
    shape = {"layers": 2, "width": 32, "heads": 4, "context": 16, "sentence_pairs": "none"}
    bert = noisy(Bert(decode(BertConfig, shape, "m"), BIG))
    bert.layers[1].load_state_dict(bert.layers[0].state_dict())
    albert = Albert(decode(AlbertConfig, shape | {"embedding_size": 32}, "m"), BIG).eval()
    albert.load_state_dict(albert.state_dict() | factorized(bert.state_dict(), 32))
    ids, types = torch.randint(0, 63, (2, 16)), torch.randint(0, 2, (2, 16))
    here = torch.arange(16).expand(2, -1)
    with torch.no_grad():
        ours, theirs = albert.widen(albert.embeddings(ids, here, types)), bert.embeddings(ids, here, types)
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)
        for layer in bert.layers:
            layer.approximate = "tanh"  # ALBERT's GELU
        torch.testing.assert_close(
            albert(ids, here, types, None), bert(ids, here, types, None), rtol=0, atol=1e-4
        )


def test_fewer_channels_keep_the_strongest_directions() -> None:
    """As near as singular values allow: the best approximation of that rank."""
    bert = noisy(Bert(decode(BertConfig, {"layers": 3, "width": 32, "heads": 4, "context": 16}, "m"), BIG))
    state = bert.state_dict()
    found = factorized(state, 9)
    tables = torch.cat([state[name] for name in TABLES]).double()
    tables -= tables.mean(1, keepdim=True)
    left, values, right = torch.linalg.svd(tables, full_matrices=False)
    best = left[:, :8] * values[:8] @ right[:8]
    small = torch.cat([found[name] for name in TABLES]).double()
    torch.testing.assert_close(small.mean(1), torch.zeros(len(small)).double(), rtol=0, atol=1e-6)
    gain = state["embeddings.norm.weight"].double()[:, None]
    turn = found["widen.weight"].double() / gain * (9 / 32) ** 0.5
    torch.testing.assert_close(small @ turn.T, best, rtol=0, atol=1e-5)
    every = torch.stack([state[f"layers.{layer}.c_fc.weight"] for layer in range(3)])
    torch.testing.assert_close(found["layer.c_fc.weight"], every.mean(0))


def test_the_second_stage_starts_from_the_first(small_store: Path, tmp_path: Path) -> None:
    start = str(tmp_path / "bert")
    langue.train(
        "bert", small_store, start, **TINY | {"layers": 2, "sentence_pairs": "next_sentence"}, steps=5
    )
    order = STILL | {"sentence_pairs": "sentence_order"}
    second: Any = langue.train("albert", small_store, tmp_path / "albert", init_from=start, **order)
    shape = second.info()["config"]
    assert (shape["layers"], shape["width"], shape["context"]) == (2, 32, 16)
    first: Any = langue.load(start)
    model, layers = second.folder.model, first.folder.model.layers
    mean = (layers[0].c_fc.weight + layers[1].c_fc.weight) / 2
    torch.testing.assert_close(model.layer.c_fc.weight, mean)
    assert torch.equal(model.pooler.weight, first.folder.model.pooler.weight)
    for wrong, message in (({"position": "relative"}, "absolute positions"), ({"width": 64}, "leave layers")):
        with pytest.raises(LangueError, match=message):
            langue.train("albert", small_store, tmp_path / "x", init_from=start, **order, **wrong)


def test_a_configuration_opens_no_file() -> None:
    config = decode(BertConfig, {"init_from": "/nowhere/at/all"}, "model")
    assert config.shape.layers == 4
    assert decode(Bert2BertConfig, {"init_from": "/nowhere"}, "model").shape.layers == 4


def test_special_ids_that_stand_for_text_are_dropped(small_store: Path, tmp_path: Path) -> None:
    """In the vocabulary of the source they are ids of it; in that of the store they may be text."""
    langue.train("bert", small_store, tmp_path / "a", **TINY, special_ids=[300, 301, 302], steps=1)
    langue.train("bert", small_store, tmp_path / "b", init_from=str(tmp_path / "a"), **STILL)
    old, new = (langue.load(tmp_path / name).folder.model for name in "ab")
    assert tuple(old.specials) == (300, 301, 302)
    assert tuple(new.specials) == (600, 601, 602)
    for one, other in zip(new.specials, old.specials, strict=True):
        assert torch.equal(new.embeddings.word.weight[one], old.embeddings.word.weight[other])


def test_a_gpt2_goes_on_from_another(
    small_models: dict[str, Path], small_store: Path, small_text: Path, tmp_path: Path
) -> None:
    """With its own weights on the same store; with what it shares and stretched positions on another."""
    start = str(small_models["gpt2"])
    still = {"steps": 1, "batch_tokens": 256, "learning_rate": 1e-30, "weight_decay": 0.0}
    same: Any = langue.train("gpt2", small_store, tmp_path / "same", init_from=start, **still)
    old: Any = langue.load(start)
    assert np.array_equal(same.score("The king").bits, old.score("The king").bits)
    langue.prepare(small_text, tmp_path / "s", vocabulary=700, documents="blank-line")
    new: Any = langue.train("gpt2", tmp_path / "s", tmp_path / "m", init_from=start, context=63, **still)
    assert new.info()["config"]["width"] == 32
    torch.testing.assert_close(new.folder.model.wpe.weight[::2], old.folder.model.wpe.weight)
    there = {token: id for id, token in enumerate(old.tokenizer.spellings()) if token}
    shared = [(id, there[token]) for id, token in enumerate(new.tokenizer.spellings()) if token in there]
    assert len(shared) > 500
    for id, other in shared:
        assert torch.equal(new.folder.model.wte.weight[id], old.folder.model.wte.weight[other])
    with pytest.raises(LangueError, match="gpt2 starts from its own kind"):
        langue.train("gpt2", small_store, tmp_path / "x", init_from=str(small_models["trigram"]), **still)


def test_the_options_of_the_source_are_taken_over_and_what_is_typed_wins(
    small_store: Path, tmp_path: Path
) -> None:
    few = {"steps": 1, "batch_tokens": 256}
    langue.train("bert", small_store, tmp_path / "a", **APART, enhanced_mask_decoder=True, context=16, **few)
    taken = langue.train("bert", small_store, tmp_path / "b", init_from=str(tmp_path / "a"), **STILL)
    config = taken.info()["config"]
    assert (config["attention"], config["enhanced_mask_decoder"]) == ("disentangled", True)
    less = {"enhanced_mask_decoder": False}
    typed = langue.train("bert", small_store, tmp_path / "c", init_from=str(tmp_path / "a"), **STILL, **less)
    assert typed.info()["config"]["enhanced_mask_decoder"] is False
