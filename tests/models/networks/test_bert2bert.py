"""bert2bert against transformers' encoder and decoder, and what it takes over from a BERT."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import langue
from langue import cli
from langue.base.config import decode
from langue.base.errors import LangueError
from langue.generation.beam import beam_search
from langue.interop.huggingface import bert as hf_bert
from langue.interop.huggingface.names import paired, rename_from_hf
from langue.models.encoders import bert
from langue.models.networks.bert2bert import FAMILY, Bert2Bert, Bert2BertConfig, build
from langue.protocols import Vocabulary
from langue.tokens.store import TokenStore

V, C, H, T, SEPARATOR = 19, 16, 2, 24, 18
VOCABULARY = Vocabulary(V, 0, [b"", *(bytes([96 + id]) for id in range(1, SEPARATOR)), b" |"])
SHAPE = {"layers": 2, "width": C, "heads": H, "context": T, "d_ff": 40, "separator": "|"}


def model_of(**settings: Any) -> Bert2Bert:
    return build(decode(Bert2BertConfig, SHAPE | settings, "model"), VOCABULARY, 3).eval()


def test_scores_and_writes_as_transformers_does() -> None:
    """Random weights of a BertModel and a BertLMHeadModel that looks at it, with one embedding."""
    transformers = pytest.importorskip("transformers")
    shape = {
        "vocab_size": V + 3,
        "hidden_size": C,
        "num_hidden_layers": 2,
        "num_attention_heads": H,
        "intermediate_size": 40,
        "max_position_embeddings": T,
        "hidden_act": "gelu",
    }
    torch.manual_seed(0)
    encoder = transformers.BertModel(transformers.BertConfig(**shape), add_pooling_layer=False)
    decoder = transformers.BertLMHeadModel(
        transformers.BertConfig(**shape, is_decoder=True, add_cross_attention=True)
    )
    for parameter in (*encoder.parameters(), *decoder.parameters()):
        torch.nn.init.normal_(parameter, std=0.3)
    decoder.bert.embeddings.word_embeddings.weight = encoder.embeddings.word_embeddings.weight
    decoder.cls.predictions.decoder.weight = encoder.embeddings.word_embeddings.weight
    peer = transformers.EncoderDecoderModel(encoder=encoder, decoder=decoder).eval()
    theirs = decoder.state_dict()
    model = model_of()
    plain = hf_bert.from_hf(
        model.config.bert, VOCABULARY, {f"bert.{k}": v for k, v in encoder.state_dict().items()}
    )
    model.copy_from(plain)
    written = hf_bert.names(model.config.bert)
    with torch.no_grad():
        model.word.weight.copy_(encoder.embeddings.word_embeddings.weight)  # that of `<eos>` too
        found = rename_from_hf(
            written, {k: v for k, v in theirs.items() if "crossattention" not in k and "decoder" not in k}
        )
        model.writes.position.weight.copy_(
            found["embeddings.position.weight"] + found["embeddings.part.weight"][0]
        )
        model.writes.norm.weight.copy_(found["embeddings.norm.weight"])
        model.writes.norm.bias.copy_(found["embeddings.norm.bias"])
        for name, part in found.items():
            if name.startswith("layers."):
                model.decoding.get_parameter(name.removeprefix("layers.")).copy_(part)
            elif name.startswith("prediction."):
                model.get_parameter(name).copy_(part)
        for number, layer in enumerate(model.decoding):
            there = f"bert.encoder.layer.{number}.crossattention"
            names = paired(
                {
                    "cross.query": (f"{there}.self.query",),
                    "cross.key_value": (f"{there}.self.key", f"{there}.self.value"),
                    "cross.project": (f"{there}.output.dense",),
                    "norm_cross": (f"{there}.output.LayerNorm",),
                }
            )
            crossing = rename_from_hf(names, {k: v for k, v in theirs.items() if k.startswith(there)})
            for name, part in crossing.items():
                layer.get_parameter(name).copy_(part)
    cls, sep = model.cls, model.sep
    assert (cls, sep) == (V, V + 1)
    for source, target in (([5, 6, 7, 8, 2], [3, 2, 9, 0]), ([1], [4, 4, 0]), ([7] * 20, [2, 0])):
        with torch.no_grad():
            logits = peer(
                input_ids=torch.tensor([[cls, *source, sep]]),
                decoder_input_ids=torch.tensor([[cls, *target[:-1]]]),
            ).logits[0, :, :V]
        rows = torch.log_softmax(logits, -1)[range(len(target)), target].numpy()
        scores = model.log_probs([np.array([*source, SEPARATOR, *target])])[0]
        np.testing.assert_allclose(scores[len(source) + 1 :], rows, atol=1e-4)
        prompt = np.array([*source, SEPARATOR, *target[:-1]])
        np.testing.assert_allclose(
            model.next_log_probs([prompt])[0], torch.log_softmax(logits[-1], -1).numpy(), atol=1e-4
        )


def test_both_sides_begin_as_one_bert_with_one_embedding() -> None:
    source = bert.build(
        decode(bert.BertConfig, {k: v for k, v in SHAPE.items() if k != "separator"}, ""), VOCABULARY, 9
    )
    model = model_of()
    fresh = {name: part.clone() for name, part in model.state_dict().items()}
    model.copy_from(source)
    state = model.state_dict()
    assert sum(len(part) == V + 3 and part.ndim == 2 for part in state.values()) == 1
    for name, part in source.layers.state_dict().items():
        assert torch.equal(state[f"encoder.{name}"], part)
        assert torch.equal(state[f"decoding.{name}"], part)
    assert torch.equal(state["word.weight"][1:], source.embeddings.word.weight[1:])
    assert torch.equal(state["word.weight"][0], source.embeddings.word.weight[model.sep])
    untouched = [name for name in state if "cross" in name]
    assert len(untouched) == 2 * 8
    assert all(torch.equal(state[name], fresh[name]) for name in untouched)
    # What the encoder makes of a source is what the BERT makes of it.
    ids = [3, 4, 5, 6]
    hidden = source.hidden([np.array([model.cls, *ids, model.sep])])[0]
    with torch.no_grad():
        memory = model.memory(model.source_ids([0, *ids, SEPARATOR, 7, 8], 5))[0]
    np.testing.assert_allclose(memory.numpy(), hidden, atol=1e-5)


def test_positions_beyond_the_table_are_the_last() -> None:
    model = model_of(context=8)
    ids = np.random.default_rng(0).integers(1, SEPARATOR, 60)
    ids[30] = SEPARATOR
    scores = model.log_probs([ids])[0]
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(model.next_log_probs([ids[:50]])[0, ids[50]], scores[50], atol=1e-4)


def test_writes_what_only_the_source_tells(make_store: Callable[..., TokenStore]) -> None:
    """The decoder has the target from the memory, or not at all."""
    sources = [int(id) for id in np.random.default_rng(0).integers(1, SEPARATOR, 2000)]
    documents = [[id, SEPARATOR, SEPARATOR - id, id] for id in sources]
    split = make_store(documents, vocabulary=V).split("train")
    settings = {"layers": 1, "width": 64, "heads": 4, "context": 16, "separator": "|"}
    config = decode(Bert2BertConfig, settings, "model")
    model = build(config, VOCABULARY, 0).train()
    source = FAMILY.batches(split, VOCABULARY, config, 8, 64, 0)
    steps = 500
    optimizer = torch.optim.Adam(model.parameters(), lr=0.004)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.004, steps)
    for step in range(steps):
        batch = source.batch(step)
        optimizer.zero_grad()
        (model.loss(batch) / batch.targets_count).backward()
        optimizer.step()
        schedule.step()
    model.eval()
    right = 0
    for id in range(1, SEPARATOR):
        best, *_ = beam_search(model.decoder([np.array([id, SEPARATOR])]), eos=0, num_beams=3, max_tokens=8)
        right += best.ids == (SEPARATOR - id, id, 0)
    assert right >= 16


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    words = ["king", "queen", "sun", "moon", "天", "地"]
    draw = np.random.default_rng(0)
    for name, count in (("train", 300), ("held", 20)):
        rows = [draw.choice(words, 3).tolist() for _ in range(count)]
        text = "".join(f"{' '.join(row)}\t{' '.join(reversed(row))}\n" for row in rows)
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    langue.prepare(
        folder / "train.txt",
        folder / "store",
        valid=[folder / "held.txt"],
        test=[folder / "held.txt"],
        documents="line",
        kind="words",
        vocabulary=300,
        duplicates="keep",
        near_duplicates="ignore",
    )
    return folder


def test_from_a_bert_to_text_that_is_written(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = ["layers=1", "width=32", "heads=2", "context=24", "steps=5", "batch_tokens=256"]
    sets = [part for setting in tiny for part in ("--set", setting)]
    store, start, model = str(pairs / "store"), str(tmp_path / "bert"), str(tmp_path / "m")
    assert cli.run(["train", "bert", store, "-o", start, "--set", "sentence_pairs=none", *sets]) == 0
    more = ["--set", f"init_from={start}", "--set", "steps=20", "--set", "batch_tokens=256"]
    assert cli.run(["train", "bert2bert", store, "-o", model, *more, "--set", 'separator="\\t"']) == 0
    config = langue.load(model).info()["config"]
    assert (config["layers"], config["width"], config["context"]) == (1, 32, 24)
    assert cli.run(["evaluate", model, store, "--check"]) == 0
    capsys.readouterr()
    assert cli.run(["generate", model, "king sun moon\t", "--num-beams", "3", "--max-tokens", "8"]) == 0
    assert capsys.readouterr().out
    # Where it started from is no longer needed.
    assert (
        cli.run(["train", "bert2bert", store, "-o", str(tmp_path / "n"), "--set", "init_from=nowhere"]) == 2
    )
    assert "not a model folder" in capsys.readouterr().err


def test_what_it_starts_from_is_a_plain_bert(
    pairs: Path, small_models: dict[str, Path], tmp_path: Path
) -> None:
    store = pairs / "store"
    with pytest.raises(LangueError, match="gpt2"):
        langue.train("bert2bert", store, tmp_path / "m", init_from=str(small_models["gpt2"]), steps=1)
    tiny = {"layers": 1, "width": 32, "heads": 2, "context": 24, "steps": 1, "batch_tokens": 256}
    langue.train("bert", store, tmp_path / "d", attention="disentangled", sentence_pairs="none", **tiny)
    with pytest.raises(LangueError, match=r"embeddings\.position\.weight"):
        langue.train("bert2bert", store, tmp_path / "m", init_from=str(tmp_path / "d"), steps=1)
    with pytest.raises(LangueError, match="is not a multiple of heads"):
        langue.train("bert2bert", store, tmp_path / "m", width=30, heads=4)
