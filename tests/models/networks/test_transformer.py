"""The encoder and decoder against torch.nn's layers with the same weights, part by part."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from langue.base.errors import LangueError
from langue.generation.beam import beam_search
from langue.models.networks.transformer import FAMILY, Layer, Transformer, TransformerConfig, build, sinusoids
from langue.protocols import Vocabulary
from langue.tokens.store import TokenStore

V, C, H, T = 19, 16, 2, 6
SEPARATOR = 18
VOCABULARY = Vocabulary(V, 0, [b"", *(bytes([96 + id]) for id in range(1, SEPARATOR)), b" |"])


def model_of(norm: str = "post", **settings: Any) -> Transformer:
    config = TransformerConfig(layers=2, width=C, heads=H, context=T, norm=norm, **settings)  # type: ignore[arg-type]
    model = build(config, VOCABULARY, 4).eval()
    with torch.no_grad():  # as initialized, biases and norms would hide a wrong place
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
def test_a_pair_is_scored_as_torch_nn_does(norm: str) -> None:
    """Source from nothing, target from the source; a second separator is a token like others."""
    model = model_of(norm, separator="|")
    peer = Peer(model, norm)
    for source, target in (([5, 6, 7, 8] * 5, [3, 2, 0]), ([], [4, 0]), ([1], [9, 8, SEPARATOR, 6, 5] * 3)):
        head = [*source, SEPARATOR]
        sees = torch.zeros(len(head) + 1, len(head) + 1)
        sees[0, 1:] = -torch.inf
        with torch.no_grad():
            first = peer.log_probs([0, *source], peer.encode([0], None))[range(len(head)), head]
            read = [SEPARATOR, *target[:-1]]
            second = peer.log_probs(read, peer.encode([0, *head], sees))[range(len(target)), target]
        expected = torch.cat([first, second]).numpy()
        assert model.log_probs([np.array([*head, *target])])[0] == pytest.approx(expected, abs=2e-5)


def test_a_separator_must_be_a_token() -> None:
    with pytest.raises(LangueError, match="no token is the separator"):
        model_of(separator="=>")


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


def test_learns_to_turn_sequences_round(make_store: Callable[..., TokenStore]) -> None:
    """A task that needs the encoder and its positions: by beam search, on sources never seen."""
    draw = np.random.default_rng(0)
    seen = [tuple(draw.integers(1, 9, draw.integers(2, 5)).tolist()) for _ in range(2000)]
    split = make_store([[*ids, SEPARATOR, *ids[::-1]] for ids in seen], vocabulary=V).split("train")
    config = TransformerConfig(layers=1, width=32, heads=4, norm="pre", separator="|")
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
    fresh = {tuple(draw.integers(1, 9, 4).tolist()) for _ in range(40)} - set(seen)
    right = 0
    for ids in fresh:
        prompt = np.array([*ids, SEPARATOR])
        best, *_ = beam_search(model.decoder([prompt]), eos=0, num_beams=3, max_tokens=8)
        right += best.ids == (*ids[::-1], 0)
    assert right >= 0.9 * len(fresh)
