"""The encoder and decoder against torch.nn's layers with the same weights, part by part, and on pairs."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from langue.generation.beam import beam_search
from langue.models.protocol import Vocabulary
from langue.models.transformer import Layer, Transformer, TransformerConfig, create, sinusoids
from langue.tokens.pairs import PairBatches, Pairs

V, C, H, T = 19, 16, 2, 6


def model_of(norm: str = "post", **settings: Any) -> Transformer:
    config = TransformerConfig(layers=2, width=C, heads=H, context=T, norm=norm, **settings)  # type: ignore[arg-type]
    model = create(config, Vocabulary(V, 0), 4).eval()
    with torch.no_grad():  # as initialised, biases and norms would hide a wrong place
        for parameter in model.parameters():
            if parameter.ndim < 2:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def peer_of(layer: Layer, norm: str) -> nn.Module:
    """The layer of torch.nn with the weights of ours."""
    decodes = layer.cross is not None
    kind = nn.TransformerDecoderLayer if decodes else nn.TransformerEncoderLayer
    peer = kind(C, H, 4 * C, dropout=0.0, batch_first=True, norm_first=norm == "pre")
    state = {
        "self_attn.in_proj_weight": layer.attention.c_attn.weight,
        "self_attn.in_proj_bias": layer.attention.c_attn.bias,
        "self_attn.out_proj.weight": layer.attention.c_proj.weight,
        "self_attn.out_proj.bias": layer.attention.c_proj.bias,
        "linear1.weight": layer.feed[0].weight,
        "linear1.bias": layer.feed[0].bias,
        "linear2.weight": layer.feed[2].weight,
        "linear2.bias": layer.feed[2].bias,
    }
    for number, own in enumerate(layer.norms, 1):
        state |= {f"norm{number}.weight": own.weight, f"norm{number}.bias": own.bias}
    if layer.cross is not None:
        for kind_of in ("weight", "bias"):
            both = getattr(layer.cross.query, kind_of), getattr(layer.cross.key_value, kind_of)
            state[f"multihead_attn.in_proj_{kind_of}"] = torch.cat(both)
            state[f"multihead_attn.out_proj.{kind_of}"] = getattr(layer.cross.project, kind_of)
    peer.load_state_dict(state)
    return peer.eval()


class Peer:
    """The whole of it from torch.nn, one sequence at a time, with positions by the formula of the paper."""

    def __init__(self, model: Transformer, norm: str) -> None:
        self.embedding = model.embedding.weight
        self.encoder = [peer_of(layer, norm) for layer in model.encoder]
        self.decoder = [peer_of(layer, norm) for layer in model.decoding]
        self.last = model.last

    def embed(self, ids: list[int]) -> torch.Tensor:
        rows = [
            [(np.sin, np.cos)[c % 2](place / 10_000 ** (c // 2 * 2 / C)) for c in range(C)]
            for place in range(len(ids))
        ]
        return (self.embedding[ids] * C**0.5 + torch.tensor(rows, dtype=torch.float32))[None]

    def encode(self, source: list[int], mask: torch.Tensor | None) -> torch.Tensor:
        x = self.embed(source)
        for layer in self.encoder:
            x = layer(x, mask)
        return self.last[0](x)  # type: ignore[no-any-return]

    def log_probs(self, read: list[int], memory: torch.Tensor) -> torch.Tensor:
        x = self.embed(read)
        for layer in self.decoder:
            x = layer(x, memory, tgt_mask=nn.Transformer.generate_square_subsequent_mask(len(read)))
        return torch.log_softmax(self.last[1](x)[0] @ self.embedding.T, -1)


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_a_document_is_scored_part_by_part_as_torch_nn_does(norm: str) -> None:
    model = model_of(norm)
    peer = Peer(model, norm)
    ids = [int(id) for id in np.random.default_rng(0).integers(1, V, 3 * T + 2)] + [0]
    expected: list[float] = []
    with torch.no_grad():
        for start in range(0, len(ids), T):
            source = [0, *ids[max(start - T, 0) : start]]
            sees = torch.zeros(len(source), len(source))
            sees[0, 1:] = -torch.inf  # `<eos>` sees itself alone
            read = [0, *ids][start : start + T][: len(ids) - start]
            rows = peer.log_probs(read, peer.encode(source, sees))
            expected += [float(row[id]) for row, id in zip(rows, ids[start:], strict=False)]
    assert model.log_probs([np.array(ids)])[0] == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_pairs_are_scored_as_torch_nn_does(norm: str) -> None:
    model = model_of(norm)
    peer = Peer(model, norm)
    pairs = [([5, 6, 7, 8, 9, 10, 11, 12], [3, 2, 0]), ([], [4, 0]), ([1], [9, 8, 7, 6, 5, 4, 3, 2, 0])]
    arrays = [(np.array(source, np.int64), np.array(target)) for source, target in pairs]
    found = model.log_probs_given(*zip(*arrays, strict=True))
    total = 0.0
    with torch.no_grad():
        for (source, target), scores in zip(pairs, found, strict=True):
            rows = peer.log_probs([0, *target[:-1]], peer.encode([0, *source], None))
            expected = rows[range(len(target)), target].numpy()
            assert scores == pytest.approx(expected, abs=2e-5)
            total += float(expected.sum())
        loss = float(model.loss(Pairs.of(arrays)))  # padded, all at once
    assert -loss == pytest.approx(total, rel=1e-5)


def test_a_target_decodes_as_it_scores() -> None:
    model = model_of()
    sources, target = [np.arange(1, 9), np.array([7])], np.array([3, 1, 4, 1, 5, 9, 2, 6, 0])
    scores = model.log_probs_given(sources, [target, target])
    decoder = model.decoder_given(sources, [target[:0], target[:0]])
    for place, id in enumerate(target):
        rows = decoder.log_probs()
        assert rows[:, id] == pytest.approx([found[place] for found in scores], abs=2e-5)
        decoder.append(np.array([id, id]))


def test_sees_the_part_before_and_no_further() -> None:
    model = model_of()
    draw = np.random.default_rng(1)
    ids = draw.integers(1, V, 3 * T)
    scores = model.log_probs([ids])[0]
    for changed, same, other in (
        (0, range(2 * T, 3 * T), range(T, 2 * T)),
        (T, range(T), range(2 * T, 3 * T)),
    ):
        moved = ids.copy()
        moved[changed] = ids[changed] % (V - 1) + 1
        found = model.log_probs([moved])[0]
        assert found[list(same)] == pytest.approx(scores[list(same)], abs=1e-6)
        assert np.abs(found[list(other)] - scores[list(other)]).max() > 1e-4


def test_the_paper_s_base_model() -> None:
    """Table 3: 65 million parameters with its 37,000 tokens; and the wavelengths of section 3.5."""
    with torch.device("meta"):
        model = Transformer(TransformerConfig(size="base"), Vocabulary(37_000, 0))
    assert model.size()["parameters"] == pytest.approx(63e6, rel=0.02)
    waves = sinusoids(torch.arange(4), 8)
    assert waves[0].tolist() == [0, 1] * 4
    assert waves[3, 2:4].tolist() == pytest.approx([np.sin(3 / 10), np.cos(3 / 10)], abs=1e-6)


def test_learns_to_turn_sequences_round() -> None:
    """A task that needs the encoder and its positions: greedy, by beam, on sources never seen."""
    draw = np.random.default_rng(0)
    seen = [draw.integers(1, 9, draw.integers(2, 5)) for _ in range(2000)]
    pairs = [(ids, np.append(ids[::-1], 0)) for ids in seen]
    source = PairBatches(pairs, rows=64, seed=0)
    config = TransformerConfig(layers=1, width=32, heads=4, norm="pre")
    model = create(config, Vocabulary(9, 0), 0).train()
    steps = 500
    optimiser = torch.optim.Adam(model.parameters(), lr=0.004)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.004, steps)
    for step in range(steps):
        batch = source.batch(step)
        optimiser.zero_grad()
        (model.loss(batch) / batch.targets_count).backward()
        optimiser.step()
        schedule.step()
    model.eval()
    known = {tuple(ids) for ids in seen}
    fresh = [ids for ids in (draw.integers(1, 9, 4) for _ in range(40)) if tuple(ids) not in known]
    right = 0
    for ids in fresh:
        best, *_ = beam_search(model.decoder_given([ids], [ids[:0]]), eos=0, beams=3, max_tokens=8)
        right += best.ids == (*ids[::-1], 0)
    assert right >= 0.9 * len(fresh)
