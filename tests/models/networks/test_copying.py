"""Networks that copy from the source: the mixture by hand, no leak, pairs whose targets alone are learned."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from langue.models.networks import bert2bert, transformer
from langue.nn.pointer import Pointed, mix, target_log_probs
from langue.protocols import Vocabulary
from langue.tokens.pairs import pair_batch

V, EOS, SEP, C = 20, 0, 19, 16
VOCABULARY = Vocabulary(V, EOS, [bytes([64 + id]) for id in range(V)], SEP)
SETTINGS: dict[str, Any] = {"layers": 2, "width": C, "heads": 2, "context": 8}
KINDS = {
    "transformer": (transformer.build, transformer.load, transformer.TransformerConfig),
    "bert2bert": (bert2bert.build, bert2bert.load, bert2bert.Bert2BertConfig),
}
SOURCE, TARGET = [5, 6, 7, 5, 9], [6, 7, 3, EOS]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def model_of(kind: str, **settings: Any) -> Any:
    build, _, config = KINDS[kind]
    model = build(config(**SETTINGS, copy_attention=True, **settings), VOCABULARY, 3).eval()  # type: ignore[operator]
    torch.manual_seed(0)
    with torch.no_grad():  # as initialized, a gate of 0 and biases of 0 would hide a wrong place
        model.pointer.gate.weight.normal_()
        for parameter in model.parameters():
            if parameter.ndim < 2:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def test_the_mixture_by_hand() -> None:
    """p(w) = g softmax(w) + (1 - g) Σ a_s over the places of the source that hold w."""
    draw = torch.Generator().manual_seed(1)
    logits = torch.randn(2, 5, generator=draw)
    gate = torch.randn(2, generator=draw)
    attention = torch.tensor([[0.2, 0.5, 0.3], [0.0, 0.0, 0.0]])
    ids, some = torch.tensor([[4, 1, 4], [2, 2, 2]]), torch.tensor([True, False])
    mixed = mix(gate, attention, some, ids, logits).exp()
    generated = logits[0].softmax(0)
    g = 1 / (1 + math.exp(-float(gate[0])))
    for w in range(5):
        copied = sum(float(attention[0, s]) for s in range(3) if int(ids[0, s]) == w)
        assert float(mixed[0, w]) == pytest.approx(g * float(generated[w]) + (1 - g) * copied, rel=1e-5)
    assert mixed.sum(1).numpy() == pytest.approx([1, 1])
    assert mixed[1].numpy() == pytest.approx(logits[1].softmax(0).numpy())  # nothing to copy
    targets = torch.tensor([[4], [0]])
    pointed = Pointed(gate[:, None], attention[:, None], some[:, None], ids)
    alone = target_log_probs(pointed, logits.log_softmax(1).gather(1, targets), targets)
    assert alone.numpy() == pytest.approx(mixed.log().gather(1, targets).numpy())


def test_a_pair_is_scored_as_written_out(kind: str) -> None:
    """From the memory and hidden states of the network, in loops: only tokens of the source are copied."""
    model = model_of(kind)
    with torch.no_grad():
        memory = model.memory([EOS, *SOURCE, SEP])
        inputs = torch.tensor([[SEP, *TARGET[:-1]]])
        hidden = model.decode(inputs, torch.arange(len(TARGET)), "causal", memory)[0]
        generated = model.logits(hidden).softmax(-1).numpy()
        scores = (model.pointer.query(hidden) @ model.pointer.key(memory)[0].T).numpy() / math.sqrt(C)
        gate = torch.sigmoid(model.pointer.gate(hidden))[:, 0].numpy()
        one, two = model.pointer.goes_on.tolist()
    expected = []
    for t, target in enumerate(TARGET):
        read = [SEP, *TARGET][: t + 1]
        for s in range(1, len(SOURCE)):  # where the copy of one token, and of two, goes on
            scores[t, 1 + s] += one * (SOURCE[s - 1] == read[-1])
            scores[t, 1 + s] += two * (s > 1 and SOURCE[s - 2 : s] == read[-2:])
        weights = np.exp(scores[t, 1:-1])  # neither `<eos>` before the source nor what ends it
        copied = weights[[id == target for id in SOURCE]].sum() / weights.sum()
        expected.append(math.log(gate[t] * generated[t, target] + (1 - gate[t]) * copied))
    (scored,) = model.log_probs([np.array([*SOURCE, SEP, *TARGET])])
    assert scored[len(SOURCE) + 1 :] == pytest.approx(expected, abs=1e-4)


def test_rows_that_grow_are_scored_as_whole_ones_and_sum_to_one(kind: str) -> None:
    model = model_of(kind)
    first, second = np.array([*SOURCE, SEP, *TARGET]), np.array([4, SEP, 4, EOS])
    whole = model.log_probs([first, second])
    decoder = model.decoder([first[:3], second[:1]])
    after = decoder.extend([first[3:], second[1:]], every=True)
    assert np.exp(after[0].astype(float)).sum(1) == pytest.approx(np.ones(len(first) - 3), abs=1e-4)
    assert after[0][:-1][np.arange(len(first) - 4), first[4:]] == pytest.approx(whole[0][4:], abs=1e-4)
    assert after[1][:-1][np.arange(2), second[2:]] == pytest.approx(whole[1][2:], abs=1e-4)
    decoder.select([1, 0, 0])
    rows = decoder.log_probs()
    assert rows[0] == pytest.approx(after[1][-1], abs=1e-5) and rows[1] == pytest.approx(rows[2], abs=1e-6)
    assert rows[1] == pytest.approx(model.next_log_probs([first])[0], abs=1e-4)


def test_nothing_leaks_from_what_comes_later_or_stands_beside(kind: str) -> None:
    model = model_of(kind)
    begin = [*SOURCE, SEP, 6]
    one, other = (model.log_probs([np.array([*begin, *rest])])[0] for rest in ([7, 3, EOS], [9, 12, EOS]))
    assert one[: len(begin)] == pytest.approx(other[: len(begin)], abs=1e-5)
    beside = model.log_probs([np.array([9, 9, 9, SEP, 8, EOS]), np.array([*begin, 7, 3, EOS])])[1]
    assert beside == pytest.approx(one, abs=1e-4)


def test_the_loss_of_pairs_is_that_of_their_targets(kind: str) -> None:
    """Padding, of sources and of targets, has no part in it."""
    model = model_of(kind, source_loss=False)
    pairs = [(SOURCE, TARGET), ([4], [4, EOS]), ([8] * 7, [EOS])]
    batch = pair_batch([[EOS, *source, SEP] for source, _ in pairs], [target for _, target in pairs], SEP)
    expected = 0.0
    for source, target in pairs:
        expected -= model.log_probs([np.array([*source, SEP, *target])])[0][len(source) + 1 :].sum()
    assert model.loss(batch).item() == pytest.approx(expected, rel=1e-5)
    assert batch.targets_count == 7
    parts = sum(model.loss(batch.cut(row, row + 1)).item() for row in range(3))
    assert parts == pytest.approx(expected, rel=1e-5)
    model.train()
    model.loss(batch).backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.pointer.parameters())


def test_it_is_saved_whole(kind: str, tmp_path: Path) -> None:
    model = model_of(kind)
    model.save(tmp_path)
    again = KINDS[kind][1](tmp_path, model.config, VOCABULARY)  # type: ignore[operator]
    ids = np.array([*SOURCE, SEP, *TARGET])
    assert again.log_probs([ids])[0].tolist() == model.log_probs([ids])[0].tolist()
