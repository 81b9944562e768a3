"""BERT against Hugging Face's, and by the invariances every masked model must have."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from langue.base.config import decode
from langue.base.errors import LangueError
from langue.interop.huggingface.bert import from_hf, to_hf
from langue.models.encoders.bert import Bert, BertConfig, build, load
from langue.models.encoders.setup import batches
from langue.protocols import Masked, Vocabulary
from langue.tokens.masked_batch import MaskedBatch
from langue.tokens.store import TOKENIZER, TokenStore
from langue.tokens.tokenizer import Tokenizer

transformers = pytest.importorskip("transformers")

V = Vocabulary(47, 0)  # and three special ids
SHAPE: dict[str, Any] = {"layers": 2, "width": 32, "heads": 4, "context": 24, "d_ff": 48}


def model_of(**options: Any) -> Bert:
    """A small model whose weights are large enough that every part of it matters."""
    model = build(decode(BertConfig, SHAPE | options, "model"), V, seed=1).eval()
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return model


@pytest.fixture(scope="module")
def peer() -> Any:
    torch.manual_seed(3)
    config = transformers.BertConfig(
        vocab_size=50,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=24,
    )
    model = transformers.BertForPreTraining(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return model


@pytest.fixture
def read() -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and types of two texts of different lengths, each of two parts."""
    torch.manual_seed(4)
    types = torch.zeros(2, 24, dtype=torch.int64)
    types[0, 10:], types[1, 7:] = 1, 1
    return torch.randint(1, 50, (2, 24)), types


def test_outputs_are_hugging_faces_with_its_weights(
    peer: Any, read: tuple[torch.Tensor, torch.Tensor]
) -> None:
    model = from_hf(decode(BertConfig, SHAPE, "model"), V, peer.state_dict()).eval()
    ids, types = read
    seen = torch.ones_like(ids)
    seen[1, 15:] = 0
    with torch.no_grad():
        theirs = peer(ids, attention_mask=seen, token_type_ids=types, output_hidden_states=True)
        mask = seen.bool()[:, None, None, :]
        x = model(ids, torch.arange(24).expand(2, -1), types, mask)
        matrix, bias = model.output
        real = seen.bool()
        close = {"rtol": 0, "atol": 1e-4}
        torch.testing.assert_close(x[real], theirs.hidden_states[-1][real], **close)
        ours = model.predict(x) @ matrix.T + bias
        torch.testing.assert_close(ours[real], theirs.prediction_logits[real], **close)
        torch.testing.assert_close(
            model.sentence_pair_logits(x[:, 0]), theirs.seq_relationship_logits, **close
        )


def test_what_models_say_of_texts_is_hugging_faces(
    peer: Any, read: tuple[torch.Tensor, torch.Tensor]
) -> None:
    """Through the protocol: texts of any lengths, read together."""
    model = from_hf(decode(BertConfig, SHAPE, "model"), V, peer.state_dict()).eval()
    ids, types = (part.numpy() for part in read)
    sequences, kinds, places = [ids[0], ids[1, :15]], [types[0], types[1, :15]], [np.r_[3, 20], np.r_[14]]
    with torch.no_grad():
        theirs = [
            peer(torch.from_numpy(one)[None], token_type_ids=torch.from_numpy(kind)[None])
            for one, kind in zip(sequences, kinds, strict=True)
        ]
    ours = model.masked_log_probs(sequences, places, kinds)
    answers = model.pair_log_probs(sequences, kinds)
    for index, output in enumerate(theirs):
        expected = output.prediction_logits[0, places[index]].log_softmax(-1)
        np.testing.assert_allclose(ours[index], expected, atol=1e-4)
        expected = output.seq_relationship_logits[0].log_softmax(-1)
        np.testing.assert_allclose(answers[index], expected, atol=1e-4)


def model_on(store: TokenStore, **options: Any) -> tuple[Bert, MaskedBatch]:
    """A model for the texts of a store, and a batch of them."""
    vocabulary = Vocabulary(store.vocabulary_size, store.eos)
    config = decode(BertConfig, SHAPE | options, "model")
    model = build(config, vocabulary, seed=1)
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return model, batches(store.split("train"), vocabulary, config, 6, 24, 0).batch(0)


def test_loss_and_gradients_are_hugging_faces(text_store: TokenStore) -> None:
    """With padded batches; the next test shows that packed ones have the same loss."""
    model, batch = model_on(text_store, sentence_pairs="next_sentence")
    table, weights = to_hf(model)
    peer = transformers.BertForPreTraining(transformers.BertConfig(**table)).eval()
    peer.load_state_dict(weights)
    batch = batch.unpack()
    ids, targets, _, segments, types, pairs = (torch.from_numpy(part) for part in batch[:6])
    output = peer(
        ids,
        attention_mask=(segments >= 0).long(),
        token_type_ids=types,
        labels=targets.where(targets >= 0, -100),
        next_sentence_label=pairs[:, 0],
    )
    output.loss.backward()
    loss = model.loss(batch) / batch.targets_count
    loss.backward()
    torch.testing.assert_close(loss, output.loss, rtol=1e-5, atol=0)
    ours, theirs = model.layers[1].c_fc.weight.grad, peer.bert.encoder.layer[1].intermediate.dense.weight.grad
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)
    ours, theirs = model.embeddings.word.weight.grad, peer.bert.embeddings.word_embeddings.weight.grad
    # Id 0 is padding to Hugging Face and gets no gradient as an input.
    torch.testing.assert_close(ours[1:], theirs[1:], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("pairs", ["none", "next_sentence", "sentence_order"])
def test_packed_rows_have_the_loss_of_padded_ones(pairs: str, text_store: TokenStore) -> None:
    model, batch = model_on(text_store, sentence_pairs=pairs)
    apart = batch.unpack()
    assert (batch.segments.max(1) > batch.segments.min(1)).any()  # several pieces in a row
    assert len(apart.inputs) > len(batch.inputs)
    assert apart.targets_count == batch.targets_count
    loss, padded = model.loss(batch), model.loss(apart)
    assert loss.item() == pytest.approx(padded.item(), rel=1e-5)
    gradients = torch.autograd.grad(loss, list(model.layers.parameters()))
    others = torch.autograd.grad(padded, list(model.layers.parameters()))
    for one, other in zip(gradients, others, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)
    by_setting = build(
        decode(BertConfig, SHAPE | {"sentence_pairs": pairs, "packed": False}, "m"), model.vocabulary, 0
    )
    by_setting.load_state_dict(model.state_dict())
    assert by_setting.loss(batch).item() == padded.item()


def test_micro_batches_sum_to_the_batch(text_store: TokenStore) -> None:
    model, batch = model_on(text_store, sentence_pairs="next_sentence")
    parts = [batch.cut(0, 2), batch.cut(2, 3), batch.cut(3, 6)]
    assert sum(part.targets_count for part in parts) == batch.targets_count
    assert sum(model.loss(part).item() for part in parts) == pytest.approx(model.loss(batch).item(), rel=1e-5)


def test_weights_go_to_hugging_face_and_back(tmp_path: Path, read: tuple[torch.Tensor, torch.Tensor]) -> None:
    """Saved by transformers and by us, loaded by either."""
    model = model_of()
    table, weights = to_hf(model)
    peer = transformers.BertForPreTraining(transformers.BertConfig(**table))
    peer.load_state_dict(weights)
    ids, types = read
    hidden = model(ids, torch.arange(24).expand(2, -1), types, None)
    with torch.no_grad():
        theirs = peer.eval().bert(ids, token_type_ids=types).last_hidden_state
        torch.testing.assert_close(theirs, hidden.detach(), rtol=0, atol=1e-4)
    back = from_hf(model.config, V, peer.state_dict())
    for name, tensor in back.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name]), name


def test_an_encoder_without_heads_keeps_its_encoder(
    read: tuple[torch.Tensor, torch.Tensor], peer: Any
) -> None:
    model = from_hf(decode(BertConfig, SHAPE, "model"), V, peer.bert.state_dict()).eval()
    ids, types = read
    with torch.no_grad():
        theirs = peer.bert(ids, token_type_ids=types)
        x = model(ids, torch.arange(24).expand(2, -1), types, None)
        torch.testing.assert_close(x, theirs.last_hidden_state, rtol=0, atol=1e-4)


def test_weights_of_another_model_are_refused(peer: Any) -> None:
    with pytest.raises(LangueError, match=r"of another model: bert.encoder.layer.1"):
        from_hf(decode(BertConfig, SHAPE | {"layers": 1}, "model"), V, peer.state_dict())
    with pytest.raises(LangueError, match="does not fit the model"):
        from_hf(decode(BertConfig, SHAPE | {"width": 16}, "model"), V, peer.state_dict())
    with pytest.raises(LangueError, match="does not fit the model"):
        from_hf(decode(BertConfig, SHAPE | {"layers": 3}, "model"), V, peer.state_dict())


def test_no_label_reaches_its_prediction(text_store: TokenStore) -> None:
    """Other texts under the masks leave what is read as it is, to the last bit."""
    split = text_store.split("train")
    model, batch = model_on(text_store, sentence_pairs="none", masking="token")
    masked = batch.inputs == model.specials.mask
    assert masked.sum() > 5
    numbers = np.arange(len(split.tokens))  # the stream with each token replaced by its place in it
    source = batches(replace(split, tokens=numbers), model.vocabulary, model.config, 6, 24, 0)
    source.eos = -1
    places = source._batch(0).inputs
    alphabet = Tokenizer.load(text_store.path / TOKENIZER).ordinary
    for wanted in (alphabet[3], alphabet[-1]):
        tokens = split.tokens.copy()
        tokens[places[masked]] = wanted
        other = batches(replace(split, tokens=tokens), model.vocabulary, model.config, 6, 24, 0).batch(0)
        assert (other.targets[masked] == wanted).all()
        assert np.array_equal(other.inputs, batch.inputs)
        assert torch.equal(model.read(other), model.read(batch))


def test_no_gradient_reaches_a_prediction_from_its_label(text_store: TokenStore) -> None:
    """Hidden states depend on the embeddings of what is read, and on no other row."""
    model, batch = model_on(text_store, sentence_pairs="none")
    alone = 0
    for row in range(batch.rows):
        x = model.read(batch.cut(row, row + 1))[0]
        (gradient,) = torch.autograd.grad(x.square().sum(), model.embeddings.word.weight)
        reached = set(gradient.abs().sum(-1).nonzero().squeeze(1).tolist())
        assert reached == set(batch.inputs[row].tolist())
        hidden = batch.inputs[row] == model.specials.mask
        alone += len(set(batch.targets[row][hidden].tolist()) - reached)
    assert alone > 5  # labels that stand nowhere else in their row


def test_packed_documents_do_not_see_each_other(text_store: TokenStore) -> None:
    model, batch = model_on(text_store, sentence_pairs="none")
    row = next(row for row in range(6) if len(np.unique(batch.segments[row])) > 1)
    first = batch.segments[row] == batch.segments[row, 0]
    inputs = batch.inputs.copy()
    inputs[row, ~first] = (inputs[row, ~first] + 11) % 40 + 5
    one, other = model.read(batch)[row], model.read(batch._replace(inputs=inputs))[row]
    torch.testing.assert_close(one[first], other[first], rtol=0, atol=1e-5)
    assert not torch.allclose(one[~first], other[~first], atol=1e-2)


def test_no_gradient_flows_between_documents_of_a_row(text_store: TokenStore) -> None:
    model, batch = model_on(text_store, sentence_pairs="next_sentence")
    row = next(row for row in range(6) if len(np.unique(batch.segments[row])) > 1)
    first = torch.from_numpy(batch.segments[row] == batch.segments[row, 0])
    embedded: list[torch.Tensor] = []
    handle = model.embeddings.register_forward_hook(
        lambda module, given, made: embedded.append(made.requires_grad_()) or made
    )
    x = model.read(batch.cut(row, row + 1))
    handle.remove()
    (gradient,) = torch.autograd.grad(x[0, first].square().sum(), embedded[0])
    assert gradient[0, first].abs().sum(-1).min() > 0
    assert gradient[0, ~first].abs().max() == 0


def test_a_padded_batch_says_what_each_text_alone_says() -> None:
    model = model_of()
    draw = np.random.default_rng(0)
    some = [draw.integers(1, 50, length) for length in (3, 24, 1, 9)]
    for one, ids in zip(model.hidden(some), some, strict=True):
        np.testing.assert_allclose(one, model.hidden([ids])[0], atol=1e-5)
    with pytest.raises(LangueError, match="25 tokens do not fit the window of 24"):
        model.hidden([np.ones(25, np.int64)])


def test_save_and_load_are_exact(tmp_path: Path) -> None:
    model = model_of()
    assert isinstance(model, Masked)
    model.save(tmp_path)
    loaded = load(tmp_path, model.config, V)
    ids = [np.arange(1, 20)]
    assert np.array_equal(model.hidden(ids)[0], loaded.hidden(ids)[0])
    with pytest.raises(LangueError, match=r"weights.safetensors does not fit the model"):
        load(tmp_path, decode(BertConfig, SHAPE | {"width": 16}, "model"), V)


def test_the_released_shape_has_110_million_parameters() -> None:
    with torch.device("meta"):
        model = Bert(BertConfig(size="base", padded_vocab_size=30522), Vocabulary(30519, 0))
    head = sum(part.numel() for part in model.prediction.parameters()) + sum(
        part.numel() for part in model.relation.parameters()
    )
    assert model.size()["parameters"] - head == 109_482_240


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(LangueError, match="not a multiple of heads 3"):
        decode(BertConfig, SHAPE | {"heads": 3}, "model")
    with pytest.raises(LangueError, match=r"special_ids are three"):
        decode(BertConfig, SHAPE | {"special_ids": [1]}, "model")


APART = {"attention": "disentangled"}


@pytest.mark.parametrize(
    "options", [APART, APART | {"enhanced_mask_decoder": True}], ids=["apart", "decoder"]
)
def test_disentangled_rows_packed_and_padded_are_the_same(
    options: dict[str, Any], text_store: TokenStore
) -> None:
    model, batch = model_on(text_store, sentence_pairs="next_sentence", **options)
    assert (batch.segments.max(1) > batch.segments.min(1)).any()
    loss, padded = model.loss(batch), model.loss(batch.unpack())
    assert loss.item() == pytest.approx(padded.item(), rel=1e-5)
    loss.backward()
    assert all(part.grad is not None and part.grad.abs().max() > 0 for part in model.parameters())


def test_absolute_positions_come_in_only_at_the_decoder(text_store: TokenStore) -> None:
    """Hidden states do not know where they stand; what is predicted does, with a decoder."""
    ids = torch.randint(1, 40, (1, 12))
    types, here = torch.zeros_like(ids), torch.arange(12)[None]
    for decoder in (False, True):
        model, _ = model_on(text_store, attention="disentangled", enhanced_mask_decoder=decoder)
        with torch.no_grad():
            one, other = model(ids, here, types, None), model(ids, here + 7, types, None)
            assert torch.equal(one, other)
            turned = model(ids.flip(1), here, types, None).flip(1)
            assert not torch.allclose(one, turned, atol=1e-3)  # left is told from right
            decoded = model.decode(one, here, None), model.decode(one, here + 7, None)
            assert torch.allclose(*decoded, atol=1e-3) != decoder
            assert torch.equal(decoded[0], one) != decoder


def test_what_is_said_through_the_decoder_is_what_is_learned(text_store: TokenStore) -> None:
    """The loss of a batch is what `masked_log_probs` says of its hidden tokens."""
    model, batch = model_on(
        text_store, sentence_pairs="none", attention="disentangled", enhanced_mask_decoder=True
    )
    apart = batch.unpack()
    rows = [row[segments >= 0] for row, segments in zip(apart.inputs, apart.segments, strict=True)]
    places = [np.flatnonzero(targets >= 0) for targets in apart.targets]
    said = model.masked_log_probs(rows, places)
    total = sum(
        float(row[np.arange(len(chosen)), targets[chosen]].sum())
        for row, chosen, targets in zip(said, places, apart.targets, strict=True)
    )
    with torch.no_grad():
        assert model.loss(batch).item() == pytest.approx(-total, rel=1e-5)


def test_bert_had_no_disentangled_attention() -> None:
    with pytest.raises(LangueError, match="BERT has no attention = disentangled"):
        to_hf(model_of(attention="disentangled"))
    with pytest.raises(LangueError, match="it goes with attention"):
        decode(BertConfig, SHAPE | {"enhanced_mask_decoder": True}, "model")


@pytest.mark.parametrize("options", [{}, APART], ids=["plain", "apart"])
def test_some_places_alone_have_the_states_they_have_among_all(
    options: dict[str, Any], text_store: TokenStore
) -> None:
    """In any order, rows without one and a row with many; and so have their gradients."""
    model, batch = model_on(text_store, sentence_pairs="none", **options)
    places = torch.tensor([5 * 24 + 3, 0, 2, 24 + 23, 1, 3 * 24 + 7, 5])
    whole, some = model.read(batch).flatten(0, 1)[places], model.read(batch, places)
    torch.testing.assert_close(some, whole, rtol=0, atol=1e-5)
    weights = [*model.layers[-1].parameters(), model.embeddings.word.weight]
    toward = torch.randn_like(whole)
    expected = torch.autograd.grad((whole * toward).sum(), weights)
    for one, other in zip(torch.autograd.grad((some * toward).sum(), weights), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
    assert model.read(batch, places[:0]).shape == (0, 32)
