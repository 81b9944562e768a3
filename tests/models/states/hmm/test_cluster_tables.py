"""Forward–backward in blocks against the enumeration of all paths, autograd, and the HMM of all states."""

from itertools import pairwise, product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from langue.inference.chain import offsets_of
from langue.models.states.hmm.classes import fill_empty
from langue.models.states.hmm.cluster_tables import (
    Layout,
    Messages,
    Scaled,
    Tables,
    advance,
    best_paths,
    expect,
    make_blocks,
)
from langue.models.states.hmm.clustered import ClusteredHMM
from langue.protocols import Vocabulary

V, C = 11, 3


def random_tables(M: int, S: int, seed: int, spread: float = 1.0) -> tuple[Tables, np.ndarray]:
    """Tables that are proper distributions, and the cluster of each word."""
    draw = torch.Generator().manual_seed(seed)
    classes = np.arange(V) % M
    first, leave, out, into, words = (
        spread * torch.randn(*shape, generator=draw)
        for shape in ((2, M * S), (M, M, S), (M, S, C), (M, S, C), (V, S))
    )
    emission = torch.empty(V, S)
    for m in range(M):
        emission[classes == m] = words[classes == m].log_softmax(0)
    return Tables(
        first.log_softmax(1).view(2, M, S), leave.log_softmax(1), out, into, emission
    ), classes  # fmt: skip


def dense(tables: Tables, classes: np.ndarray) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logs of first states `(2, K)`, of transitions `(K, K)` and of emissions `(V, K)`, for autograd."""
    M, S, _ = tables.out.shape
    within = torch.einsum("aic,bjc->abij", tables.out, tables.into).log_softmax(-1)
    transition = (tables.leave[..., None] + within).transpose(1, 2).reshape(M * S, M * S)
    rows = []
    for word, cluster in enumerate(classes):
        row = torch.full((M, S), -torch.inf)
        row[cluster] = tables.emission[word]
        rows.append(row.reshape(-1))
    return tables.first.reshape(2, -1), transition, torch.stack(rows)


def summed(tables: Tables, classes: np.ndarray, words: list[int], kind: int) -> torch.Tensor:
    """log p by the forward algorithm over all K states."""
    first, transition, emission = dense(tables, classes)
    message = first[kind] + emission[words[0]]
    for word in words[1:]:
        message = (message[:, None] + transition).logsumexp(0) + emission[word]
    return message.logsumexp(0)


@given(
    M=st.integers(1, 4),
    S=st.integers(1, 3),
    words=st.lists(st.integers(0, V - 1), min_size=1, max_size=4),
    seed=st.integers(0, 1000),
)
def test_score_and_best_path_are_those_of_all_paths(M: int, S: int, words: list[int], seed: int) -> None:
    tables, classes = random_tables(M, S, seed)
    first, transition, emission = (part.double().numpy() for part in dense(tables, classes))
    scores = {}
    for path in product(range(M * S), repeat=len(words)):
        score = first[0, path[0]] + sum(
            emission[word, state] for word, state in zip(words, path, strict=True)
        )
        scores[path] = score + sum(transition[a, b] for a, b in pairwise(path))
    text = np.array(words)
    found, _ = advance(
        tables, Scaled.of(tables), classes, text, offsets_of([len(words)]), Messages.none(1, S)
    )
    assert found.sum() == pytest.approx(np.logaddexp.reduce(list(scores.values())), abs=1e-5)
    layout = Layout.of(text, offsets_of([len(words)]), classes, M, np.array([-1]))
    path = best_paths(layout, make_blocks(tables, layout.codes), tables)
    assert scores[tuple(path.tolist())] == pytest.approx(max(scores.values()), abs=1e-5)


@pytest.mark.parametrize(("M", "S", "spread"), [(1, 5, 1.0), (3, 2, 1.0), (4, 4, 1.0), (3, 3, 8.0)])
def test_gradient_is_that_of_the_written_out_sum(M: int, S: int, spread: float) -> None:
    tables, classes = random_tables(M, S, 1, spread)
    texts = [([3, 4, 0, 7, 7, 1], 0), ([5], 1), ([6, 2, 9, 10, 3], 1)]
    leaves = Tables(*(part.clone().requires_grad_() for part in tables))
    expected = torch.stack([summed(leaves, classes, words, kind) for words, kind in texts]).sum()
    expected.backward()
    words = np.concatenate([ids for ids, _ in texts])
    offsets, kinds = offsets_of([len(ids) for ids, _ in texts]), np.array([kind for _, kind in texts])
    found, gradients = expect(tables, classes, words, offsets, kinds)
    assert found == pytest.approx(float(expected.detach()), rel=1e-5)
    for name, one, leaf in zip(Tables._fields, gradients, leaves, strict=True):
        assert torch.allclose(one, leaf.grad, atol=1e-4 * spread), name


def test_it_is_the_hmm_of_all_states() -> None:
    tables, classes = random_tables(3, 4, 2)
    model = ClusteredHMM(Vocabulary(V, 0), tables, classes)
    rng = np.random.default_rng(0)
    texts = [rng.integers(0, V, length) for length in (7, 1, 30, 0)]
    whole = model.to_hmm()
    for one, other in zip(model.log_probs(texts), whole.log_probs(texts), strict=True):
        assert one == pytest.approx(other, abs=1e-4)
    assert model.next_log_probs(texts) == pytest.approx(whole.next_log_probs(texts), abs=1e-4)
    for one, other in zip(model.states(texts[:3]), whole.states(texts[:3]), strict=True):
        assert one.states.tolist() == other.states.tolist()
        assert one.posteriors == pytest.approx(other.posteriors, abs=1e-5)
    assert np.exp(model.next_log_probs(texts)).sum(1) == pytest.approx(1, abs=1e-5)


def test_reading_in_pieces_is_reading_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tables, classes = random_tables(3, 2, 4)
    model = ClusteredHMM(Vocabulary(V, 0), tables, classes)
    rng = np.random.default_rng(0)
    texts = [rng.integers(0, V, length) for length in (90, 3, 20, 41)]
    at_once = model.log_probs(texts)
    monkeypatch.setattr("langue.models.states.hmm.clustered.CHUNK_TOKENS", 8)
    for one, other in zip(model.log_probs(texts), at_once, strict=True):
        assert one == pytest.approx(other, abs=1e-5)
    decoder = model.decoder([ids[:2] for ids in texts])
    decoder.select([2, 0])
    decoder.extend(np.array([texts[2][2], texts[0][2]])[:, None])
    assert decoder.log_probs() == pytest.approx(model.next_log_probs([texts[2][:3], texts[0][:3]]), abs=1e-5)


def test_long_and_improbable_is_finite() -> None:
    tables, classes = random_tables(2, 3, 5)
    rare = tables.emission.clone()
    rare[4] = -690.0  # 1e-300
    tables = tables._replace(emission=rare)
    words = np.full(10_000, 4)
    found, gradients = expect(tables, classes, words, offsets_of([10_000]), np.zeros(1, np.int64))
    assert np.isfinite(found) and found < -690 * 10_000
    assert all(torch.isfinite(part).all() for part in gradients)
    assert float(gradients.emission.double().sum()) == pytest.approx(10_000, rel=1e-4)


def test_no_class_stays_empty() -> None:
    classes = fill_empty(np.array([0, 0, 0, 2, 2]), np.array([9, 1, 5, 3, 2]), 4)
    assert sorted(set(classes.tolist())) == [0, 1, 2, 3]
    assert classes[0] == 0
