"""The pair against Hugging Face's ELECTRA, its drawing, and what the two share and do not."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import langue
from langue.base.config import decode
from langue.base.errors import Interrupted, LangueError
from langue.base.seeds import generator
from langue.interop.huggingface.electra import to_hf
from langue.models.encoders.electra import Electra, ElectraConfig, batches, build, load
from langue.protocols import Discriminating, Vocabulary
from langue.tokens.masking import NONE
from langue.tokens.rtd import RTDBatch, restore_ids, rtd_positions
from langue.tokens.store import TokenStore
from langue.training.fit import Session

transformers = pytest.importorskip("transformers")

V = Vocabulary(47, 0)  # and three special ids
SHAPE: dict[str, Any] = {"layers": 2, "width": 32, "heads": 4, "context": 24, "d_ff": 48}
SHARES = ["embedding", "gradient-disentangled", "all", "none"]


def model_of(vocabulary: Vocabulary = V, **options: Any) -> Electra:
    """A small model whose weights are large enough that every part of it matters."""
    model = build(decode(ElectraConfig, SHAPE | options, "model"), vocabulary, seed=1)
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return model


def model_on(store: TokenStore, **options: Any) -> tuple[Electra, RTDBatch]:
    """A model for the texts of a store, and a batch of them."""
    vocabulary = Vocabulary(store.vocabulary_size, store.eos)
    model = model_of(vocabulary, **options)
    return model, batches(store.split("train"), vocabulary, model.config, 6, 24, 0).batch(0)


def touched(loss: torch.Tensor, model: Electra) -> set[str]:
    """Names of the weights that a loss moves."""
    named = dict(model.named_parameters())
    gradients = torch.autograd.grad(loss, list(named.values()), allow_unused=True, retain_graph=True)
    return {
        name
        for name, gradient in zip(named, gradients, strict=True)
        if gradient is not None and gradient.abs().max() > 0
    }


@pytest.mark.parametrize("options", [{}, {"embedding_size": 16}], ids=["square", "narrow"])
@pytest.mark.parametrize("share", SHARES)
def test_the_discriminator_is_hugging_faces(share: str, options: dict[str, int]) -> None:
    model = model_of(embedding_sharing=share, **options).eval()
    table, weights = to_hf(model)
    peer = transformers.ElectraForPreTraining(transformers.ElectraConfig(**table)).eval()
    peer.load_state_dict(weights)
    torch.manual_seed(3)
    ids, seen = torch.randint(1, 50, (2, 24)), torch.ones(2, 24, dtype=torch.bool)
    types = (torch.arange(24) > 9).long().expand(2, -1)
    seen[1, 15:] = False
    with torch.no_grad():
        theirs = peer(ids, attention_mask=seen.long(), token_type_ids=types, output_hidden_states=True)
        x = model(ids, torch.arange(24).expand(2, -1), types, seen[:, None, None])
        close = {"rtol": 0, "atol": 1e-4}
        torch.testing.assert_close(x[seen], theirs.hidden_states[-1][seen], **close)
        torch.testing.assert_close(model.detect(x)[seen], theirs.logits[seen], **close)


@pytest.mark.parametrize("share", SHARES)
def test_the_loss_is_that_of_the_paper_written_out(share: str, text_store: TokenStore) -> None:
    """Piece by piece, with the draws by numpy and the discriminator of transformers."""
    model, batch = model_on(text_store, embedding_sharing=share)
    table, weights = to_hf(model)
    peer = transformers.ElectraForPreTraining(transformers.ElectraConfig(**table)).eval()
    peer.load_state_dict(weights)
    rows = batch.masked
    generated = detected = 0.0
    judgements = 0
    for row in range(rows.rows):
        for segment in np.unique(rows.segments[row]):
            here = rows.segments[row] == segment
            ids, targets, noise = rows.inputs[row, here], rows.targets[row, here], batch.noise[row, here]
            places = np.flatnonzero(targets != NONE)
            assert (ids[places] == model.specials.mask).all()
            said = model.masked_log_probs([ids], [places])[0].astype(np.float64)
            generated -= said[np.arange(len(places)), targets[places]].sum()
            read = ids.copy()
            for place, scores in zip(places, said, strict=True):
                shares = np.exp(scores)
                shares[[*model.specials, model.vocabulary.eos]] = 0
                read[place] = np.flatnonzero(np.cumsum(shares) > noise[place] * shares.sum())[0]
            replaced = (targets != NONE) & (read != targets)
            with torch.no_grad():
                logits = peer(torch.from_numpy(read)[None]).logits[0]
            ordinary = ~np.isin(np.where(targets == NONE, ids, targets), model.specials)
            judgements += ordinary.sum()
            detected += F.binary_cross_entropy_with_logits(
                logits[ordinary], torch.from_numpy(replaced[ordinary]).float(), reduction="sum"
            ).item()
    weight = 50 * batch.targets_count / judgements
    assert batch.weight == pytest.approx(weight)
    one, other = model.losses(batch)
    assert one.item() == pytest.approx(generated, rel=1e-5)
    assert other.item() == pytest.approx(detected, rel=1e-4)
    assert model.train().loss(batch).item() == pytest.approx(generated + weight * detected, rel=1e-4)
    assert model.eval().loss(batch).item() == one.item()


def test_tokens_are_drawn_from_the_generators_distribution() -> None:
    """Evenly spread numbers draw each token as often as the softmax says, and none that is special."""
    model = model_of()
    torch.manual_seed(0)
    rows, points = torch.randn(3, 32), 20_000
    noise = (torch.arange(points) + 0.5) / points
    with torch.no_grad():
        matrix, bias = model.output
        logits = rows @ matrix.T + bias
        logits[:, [*model.specials, model.vocabulary.eos]] = -torch.inf
        expected = logits.softmax(-1)
        for row, shares in zip(rows, expected, strict=True):
            drawn = model.draw(row.expand(points, -1), noise)
            found = torch.bincount(drawn, minlength=50) / points
            torch.testing.assert_close(found, shares, rtol=0, atol=1e-4)
        assert (model.draw(rows, torch.zeros(3)) == (expected > 0).int().argmax(-1)).all()


def test_draws_are_a_pure_function_of_seed_and_step(text_store: TokenStore) -> None:
    vocabulary = Vocabulary(text_store.vocabulary_size, text_store.eos)
    config = decode(ElectraConfig, SHAPE, "model")
    split = text_store.split("train")
    one, again, other = (batches(split, vocabulary, config, 6, 24, seed) for seed in (0, 0, 1))
    again.batch(5)
    for number in (0, 3):
        assert np.array_equal(one.batch(number).noise, again.batch(number).noise)
        assert not np.array_equal(one.batch(number).noise, other.batch(number).noise)
    assert not np.array_equal(one.batch(0).noise, one.batch(1).noise)
    model = model_of(vocabulary)
    values = []
    for seed in (0, 1):  # of torch: nothing is drawn from it
        torch.manual_seed(seed)
        values.append(model.loss(one.batch(0)).item())
    assert values[0] == values[1]


def test_no_gradient_passes_through_the_drawing(text_store: TokenStore) -> None:
    """With nothing shared, each loss moves one of the two and no weight of the other."""
    model, batch = model_on(text_store, embedding_sharing="none")
    generated, detected = model.losses(batch)
    of_generator = {
        name for name, _ in model.named_parameters() if name.startswith(("embeddings.", "filler."))
    }
    of_generator |= {name for name, _ in model.named_parameters() if name.startswith("prediction.")}
    everything = {name for name, _ in model.named_parameters()}
    assert touched(generated, model) == of_generator
    assert touched(detected, model) == everything - of_generator


def test_a_shared_embedding_is_moved_by_both(text_store: TokenStore) -> None:
    model, batch = model_on(text_store, embedding_sharing="embedding")
    generated, detected = model.losses(batch)
    both = touched(generated, model) & touched(detected, model)
    assert both == {name for name, _ in model.named_parameters() if name.startswith("embeddings.")}
    assert not any(name.startswith("filler.") for name in touched(detected, model))


def test_disentangled_gradients_leave_the_shared_table_alone(text_store: TokenStore) -> None:
    """The discriminator's loss moves the table of its own, the generator's the shared one."""
    model, batch = model_on(text_store, embedding_sharing="gradient-disentangled")
    generated, detected = model.losses(batch)
    moved = touched(detected, model)
    assert {"own.word.weight", "own.position.weight", "own.part.weight"} <= moved
    assert not any(name.startswith(("embeddings.", "filler.", "prediction.")) for name in moved)
    assert not any(name.startswith(("own.", "encoder.")) for name in touched(generated, model))
    # It reads the shared table all the same.
    hidden = model.eval().hidden([np.arange(1, 20)])[0]
    with torch.no_grad():
        model.embeddings.word.weight += 0.1 * torch.randn_like(model.embeddings.word.weight)
    assert not np.allclose(model.hidden([np.arange(1, 20)])[0], hidden, atol=1e-3)


def test_the_table_of_its_own_begins_at_zero() -> None:
    model = build(
        decode(ElectraConfig, SHAPE | {"embedding_sharing": "gradient-disentangled"}, "model"), V, seed=1
    )
    assert model.own is not None
    for table in (model.own.word, model.own.position, model.own.part):
        assert table is not None and not table.weight.any()
    ids = torch.arange(1, 20)[None]
    here, zero = torch.arange(19)[None], torch.zeros_like(ids)
    shared = model.embeddings(ids, here, zero)
    assert torch.equal(model.embedded(ids, here, zero), shared)


@pytest.mark.parametrize("share", ["embedding", "all"])
def test_what_is_shared_is_one_tensor(share: str, small_store: Path, tmp_path: Path) -> None:
    """After training and after loading: to move it moves what both say."""
    tiny = {"layers": 1, "width": 32, "heads": 2, "context": 32, "batch_tokens": 256, "steps": 3}
    trained: Any = langue.train("electra", small_store, tmp_path / "pair", embedding_sharing=share, **tiny)
    for model in (trained.folder.model, langue.load(tmp_path / "pair").folder.model):  # type: ignore[union-attr]
        table = model.embeddings.word.weight
        assert model.output[0] is table
        tables = [part for part in model.parameters() if part.shape == table.shape]
        assert len(tables) == 1
        assert tables[0].data_ptr() == table.data_ptr()
        ids = [np.arange(20, 40)]
        before = model.hidden(ids)[0], model.masked_log_probs(ids, [np.array([3])])[0]
        with torch.no_grad():
            table += 0.3 * torch.randn_like(table)
        assert not np.allclose(model.hidden(ids)[0], before[0], atol=1e-3)
        assert not np.allclose(model.masked_log_probs(ids, [np.array([3])])[0], before[1], atol=1e-3)


def test_sharing_all_leaves_one_network() -> None:
    """One encoder, one table and two heads: what `embedding_sharing = none` has twice."""
    sizes = {share: model_of(embedding_sharing=share).size()["parameters"] for share in SHARES}
    assert sizes["all"] < sizes["embedding"] < sizes["none"]
    assert sizes["gradient-disentangled"] == sizes["none"]
    model = model_of(embedding_sharing="all")
    assert model.filler is None and model.own is None


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("attention", ["plain", "disentangled"])
def test_packed_rows_have_the_loss_of_padded_ones(share: str, attention: str, text_store: TokenStore) -> None:
    model, batch = model_on(text_store, embedding_sharing=share, attention=attention)
    rows = batch.masked
    assert (rows.segments.max(1) > rows.segments.min(1)).any()  # several pieces in a row
    apart = model_of(model.vocabulary, embedding_sharing=share, attention=attention, packed=False)
    apart.load_state_dict(model.state_dict())
    one, other = model.losses(batch), apart.losses(batch)
    for packed, padded in zip(one, other, strict=True):
        assert packed.item() == pytest.approx(padded.item(), rel=1e-4)
    parts = [batch.cut(0, 2), batch.cut(2, 3), batch.cut(3, 6)]
    assert sum(part.targets_count for part in parts) == batch.targets_count
    summed = sum(model.train().loss(part).item() for part in parts)
    assert summed == pytest.approx(model.loss(batch).item(), rel=1e-5)


def test_a_label_reaches_neither_network(text_store: TokenStore) -> None:
    """Other texts under the masks: the generator reads and draws the same, so does the discriminator."""
    split = text_store.split("train")
    model, batch = model_on(text_store, masking="token")
    rows = batch.masked
    numbers = np.arange(len(split.tokens))
    source = batches(replace(split, tokens=numbers), model.vocabulary, model.config, 6, 24, 0)
    source.eos = -1
    places = source._batch(0).inputs[rows.targets != NONE]
    tokens = split.tokens.copy()
    tokens[places] = 300
    other = batches(replace(split, tokens=tokens), model.vocabulary, model.config, 6, 24, 0).batch(0)
    assert (other.masked.targets[rows.targets != NONE] == 300).all()
    assert np.array_equal(other.masked.inputs, rows.inputs)
    assert np.array_equal(other.noise, batch.noise)
    read: list[torch.Tensor] = []
    handle = model.encoder.register_forward_hook(lambda module, given, made: read.append(made))
    for some in (batch, other):
        model.train().loss(some)
    handle.remove()
    assert torch.equal(read[0], read[1])


def test_only_tokens_of_the_text_are_judged(text_store: TokenStore) -> None:
    model, batch = model_on(text_store)
    rows, here = batch.masked, rtd_positions(batch.masked, model.specials)
    assert not np.isin(restore_ids(rows)[here], model.specials).any()
    assert here[rows.targets != NONE].all()
    assert np.isin(rows.inputs[~here], model.specials[:2]).all()


def test_a_padded_batch_says_what_each_text_alone_says() -> None:
    model = model_of().eval()
    assert isinstance(model, Discriminating)
    draw = generator(0, "texts")
    some = [draw.integers(1, 47, length) for length in (3, 24, 5, 9)]
    places = [np.array([1]), np.array([2, 20]), np.array([], np.int64), np.array([0, 8])]
    noise = [draw.random(len(chosen)) for chosen in places]
    filled = model.refilled(some, places, noise)
    for index, ids in enumerate(some):
        (alone,) = model.refilled([ids], [places[index]], [noise[index]])
        assert np.array_equal(filled[index], alone)
        kept = np.setdiff1d(np.arange(len(ids)), places[index])
        assert np.array_equal(alone[kept], ids[kept])
        odds = model.replaced_log_odds(some)[index]
        np.testing.assert_allclose(odds, model.replaced_log_odds([ids])[0], atol=1e-5)


@pytest.mark.parametrize("share", SHARES)
def test_save_and_load_are_exact(share: str, tmp_path: Path) -> None:
    model = model_of(embedding_sharing=share, embedding_size=16).eval()
    model.save(tmp_path)
    loaded = load(tmp_path, model.config, V)
    ids, places = [np.arange(1, 20)], [np.array([4, 7])]
    assert np.array_equal(model.hidden(ids)[0], loaded.hidden(ids)[0])
    assert np.array_equal(model.masked_log_probs(ids, places)[0], loaded.masked_log_probs(ids, places)[0])
    assert np.array_equal(model.replaced_log_odds(ids)[0], loaded.replaced_log_odds(ids)[0])


def test_a_stopped_run_goes_on_to_the_same_bits(
    small_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = {
        "layers": 1,
        "width": 32,
        "heads": 2,
        "context": 32,
        "batch_tokens": 256,
        "steps": 8,
        "dropout": 0.1,
    }
    straight: Any = langue.train("electra", small_store, tmp_path / "a", **tiny)
    agree = Session._agree
    monkeypatch.setattr(
        Session, "_agree", lambda self, asked: (agree(self, asked)[0], self.trainer.state.step == 3)
    )
    with pytest.raises(Interrupted):
        langue.train("electra", small_store, tmp_path / "b", **tiny)
    monkeypatch.undo()
    resumed: Any = langue.train("electra", small_store, tmp_path / "b", **tiny, resume=True)
    others = resumed.folder.model.state_dict()
    for name, tensor in straight.folder.model.state_dict().items():
        assert torch.equal(tensor, others[name]), name


def test_every_verb_takes_a_pair(small_store: Path, tmp_path: Path) -> None:
    tiny = {"layers": 1, "width": 64, "heads": 2, "context": 32, "batch_tokens": 512}
    trained: Any = langue.train("electra", small_store, tmp_path / "m", steps=60, learning_rate=3e-3, **tiny)
    facts = langue.evaluate(trained, small_store, check=True).to_json()
    assert all(check["passed"] for check in facts["checks"])
    assert facts["masked_bits_per_token"]["value"] < 9.2  # log2(600): guessing
    replaced = facts["replaced"]
    assert 0.1 < replaced["replaced"] < 0.16
    assert 0 <= replaced["f1"] <= 1
    assert replaced["accuracy"]["value"] > 0.8
    assert len(trained.fill("The [MASK] is", k=3).gaps[0].candidates) == 3
    assert trained.embed(["The king"]).shape == (1, 64)
    assert langue.evaluate(trained, small_store).to_json()["replaced"] == replaced


def test_the_discriminator_learns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Letters that go up the alphabet: it soon tells more than how many are replaced."""
    draw = np.random.default_rng(0)
    starts, lengths = draw.integers(26, size=300), draw.integers(10, 16, 300)
    rows = [" ".join(chr(97 + (a + i) % 26) for i in range(n)) for a, n in zip(starts, lengths, strict=True)]
    (tmp_path / "abc.txt").write_text("\n".join(rows), encoding="utf-8")
    langue.prepare(tmp_path / "abc.txt", tmp_path / "abc", documents="line", kind="chars", duplicates="keep")
    store = TokenStore(tmp_path / "abc")
    vocabulary = Vocabulary(store.vocabulary_size, store.eos)
    shape = {"layers": 1, "width": 64, "heads": 2, "context": 32, "attention": "disentangled"}
    config = decode(ElectraConfig, shape, "model")
    model = build(config, vocabulary, 0).train()
    source = batches(store.split("train"), vocabulary, config, 16, 32, 0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    nats, replaced, draw_tokens = [], [], model.draw
    drawn: list[torch.Tensor] = []
    monkeypatch.setattr(model, "draw", lambda *given: drawn.append(draw_tokens(*given)) or drawn[-1])
    for step in range(100):
        batch = source.batch(step)
        generated, detected = model.losses(batch)
        labels = batch.masked.targets[batch.masked.targets != NONE]
        judgements = int(rtd_positions(batch.masked, model.specials).sum())
        replaced.append(int((drawn[-1].numpy() != labels).sum()) / judgements)
        nats.append(detected.item() / judgements)
        ((generated + batch.weight * detected) / batch.targets_count).backward()
        optimizer.step()
        optimizer.zero_grad()
    share = float(np.mean(replaced[-20:]))
    guessing = -share * np.log(share) - (1 - share) * np.log(1 - share)
    assert np.mean(nats[-20:]) < 0.9 * guessing, (np.mean(nats[-20:]), guessing)


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(LangueError, match='it goes with sentence_pairs = "none"'):
        decode(ElectraConfig, SHAPE | {"sentence_pairs": "next_sentence"}, "model")
    with pytest.raises(LangueError, match="leave its size out"):
        decode(ElectraConfig, SHAPE | {"embedding_sharing": "all", "generator_heads": 1}, "model")
    with pytest.raises(LangueError, match="ELECTRA has no attention = disentangled"):
        to_hf(model_of(attention="disentangled"))
