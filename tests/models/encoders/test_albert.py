"""ALBERT against Hugging Face's; what it shares, and what it tells by distance alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from langue.base.config import decode
from langue.base.errors import LangueError
from langue.interop.huggingface.albert import from_hf, to_hf
from langue.models.encoders.albert import Albert, AlbertConfig, batches, build, load
from langue.protocols import Masked, Vocabulary
from langue.tokens.store import TokenStore

transformers = pytest.importorskip("transformers")

V = Vocabulary(47, 0)  # and three special ids
SHAPE: dict[str, Any] = {
    "layers": 3,
    "width": 32,
    "heads": 4,
    "context": 24,
    "d_ff": 48,
    "embedding_size": 16,
}


def model_of(vocabulary: Vocabulary = V, **options: Any) -> Albert:
    """A small model whose weights are large enough that every part of it matters."""
    model = build(decode(AlbertConfig, SHAPE | options, "model"), vocabulary, seed=1).eval()
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return model


def test_outputs_are_hugging_faces_both_ways() -> None:
    model = model_of()
    table, weights = to_hf(model)
    peer = transformers.AlbertForPreTraining(transformers.AlbertConfig(**table)).eval()
    peer.load_state_dict(weights)
    torch.manual_seed(3)
    ids, seen = torch.randint(1, 50, (2, 24)), torch.ones(2, 24, dtype=torch.bool)
    types = (torch.arange(24) > 9).long().expand(2, -1)
    seen[1, 15:] = False
    with torch.no_grad():
        theirs = peer(ids, attention_mask=seen.long(), token_type_ids=types, output_hidden_states=True)
        x = model(ids, torch.arange(24).expand(2, -1), types, seen[:, None, None])
        matrix, bias = model.output
        close = {"rtol": 0, "atol": 1e-4}
        torch.testing.assert_close(x[seen], theirs.hidden_states[-1][seen], **close)
        logits = model.predict(x) @ matrix.T + bias
        torch.testing.assert_close(logits[seen], theirs.prediction_logits[seen], **close)
        torch.testing.assert_close(model.sentence_pair_logits(x[:, 0]), theirs.sop_logits, **close)
    back = from_hf(model.config, V, peer.state_dict())
    for name, tensor in back.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name]), name
    encoder = from_hf(model.config, V, peer.albert.state_dict())
    with torch.no_grad():
        again = encoder(ids, torch.arange(24).expand(2, -1), types, seen[:, None, None])
    torch.testing.assert_close(again, x)


def test_sharing_makes_it_small() -> None:
    """Table 1 of the paper: base has 12 million parameters."""
    base = {"size": "base", "padded_vocab_size": 30000, "sentence_pairs": "none"}
    with torch.device("meta"):
        model = Albert(decode(AlbertConfig, base, "model"), Vocabulary(29997, 0))
    head = sum(parameter.numel() for parameter in model.prediction.parameters())
    assert model.size()["parameters"] - head == 11_683_584 - 768 * 768 - 768  # they count the pooler
    one, three = model_of(layers=1), model_of(layers=3)
    assert one.size() == three.size()
    assert not np.allclose(one.hidden([np.arange(1, 9)])[0], three.hidden([np.arange(1, 9)])[0], atol=1e-2)


@pytest.mark.parametrize("position", ["absolute", "relative"])
def test_packed_rows_have_the_loss_of_padded_ones(position: str, text_store: TokenStore) -> None:
    vocabulary = Vocabulary(text_store.vocabulary_size, text_store.eos)
    model = model_of(vocabulary, position=position)
    batch = batches(text_store.split("train"), vocabulary, model.config, 6, 24, 0).batch(0)
    assert (batch.segments.max(1) > batch.segments.min(1)).any()
    with torch.no_grad():
        one, other = float(model.loss(batch)), float(model.loss(batch.unpack()))
    assert one == pytest.approx(other, rel=1e-5)


@pytest.mark.parametrize("position", ["absolute", "relative"])
def test_some_places_alone_have_the_states_they_have_among_all(position: str, text_store: TokenStore) -> None:
    vocabulary = Vocabulary(text_store.vocabulary_size, text_store.eos)
    model = model_of(vocabulary, position=position)
    batch = batches(text_store.split("train"), vocabulary, model.config, 6, 24, 0).batch(0)
    places = torch.tensor([5 * 24 + 3, 0, 2, 24 + 23, 1, 3 * 24 + 7, 5])
    with torch.no_grad():
        whole = model.read(batch).flatten(0, 1)[places]
        torch.testing.assert_close(model.read(batch, places), whole, rtol=0, atol=1e-4)


def test_relative_positions_know_distances_alone() -> None:
    """What is read does not depend on where it stands; absolute positions tell the difference."""
    torch.manual_seed(0)
    ids = torch.randint(1, 50, (1, 12))
    types = torch.zeros_like(ids)
    for position in ("absolute", "relative"):
        model = model_of(position=position)
        with torch.no_grad():
            here, there = (model(ids, torch.arange(12)[None] + shift, types, None) for shift in (0, 7))
            turned = model(ids.flip(1), torch.arange(12)[None], types, None).flip(1)
        assert torch.allclose(here, there) == (position == "relative")
        assert not torch.allclose(here, turned, atol=1e-2)  # left is told from right


def test_save_and_load_are_exact(tmp_path: Path) -> None:
    model = model_of(position="relative")
    assert isinstance(model, Masked)
    model.save(tmp_path)
    loaded = load(tmp_path, model.config, V)
    assert np.array_equal(model.hidden([np.arange(1, 20)])[0], loaded.hidden([np.arange(1, 20)])[0])
    with pytest.raises(LangueError, match="ALBERT has no position = relative"):
        to_hf(model)
