"""The HMM against enumeration, against hmmlearn, and as a language model among the others."""

import itertools
import math
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from langue.base.seeds import generator
from langue.base.stop import Stop
from langue.evaluation.checks import check
from langue.models.counts.exchange import exchange
from langue.models.states.hmm import HMMConfig, baum_welch, estimate, load
from langue.models.states.hmm.baum_welch import (
    FEW,
    Counts,
    Pieces,
    Prior,
    Step,
    cut,
    expect,
    group_of,
    log_likelihood,
    maximize,
)
from langue.models.states.hmm.classes import kmeans
from langue.models.states.hmm.model import HMM
from langue.models.states.hmm.parameters import Parameters, random_start, second_order
from langue.protocols import Causal, Vocabulary
from langue.tokens.store import TokenStore

V = 6


def parameters(K: int, size: int = V, seed: int = 0) -> Parameters:
    return random_start(K, np.full(size, 1 / size), np.random.default_rng(seed))


def of_order(order: int, size: int = V) -> Parameters:
    found = parameters(3, size)
    return found if order == 1 else second_order(found, np.random.default_rng(1))


def sequences(count: int, size: int = V, longest: int = 12, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, size, rng.integers(1, longest)) for _ in range(count)]


def flat(size: int = V) -> Prior:
    return Prior(0.0, 0.0, torch.full((size,), 1 / size, dtype=torch.float64))


class Curve(list[Step]):
    def __call__(self, step: Step) -> bool:
        self.append(step)
        return False


def enumerated(found: Parameters, pieces: Pieces) -> Counts:
    """Expected counts, by going through every sequence of states."""
    start, middle, transition, emission = (part.numpy() for part in found)
    K = len(start)

    def steps(path: tuple[int, ...]) -> list[tuple[int, ...]]:
        if transition.ndim == 2:
            return list(itertools.pairwise(path))
        line = (K, *path)  # K stands for no state
        return [line[t : t + 3] for t in range(len(path) - 1)]

    counts = [np.zeros_like(part) for part in (start, middle, transition, emission)]
    total = 0.0
    for s, (begin, end) in enumerate(itertools.pairwise(pieces.offsets)):
        ids, first = pieces.tokens[begin:end], 1 if pieces.inside[s] else 0
        weights = {}
        for path in itertools.product(range(K), repeat=len(ids)):
            p = (middle if first else start)[path[0]] * math.prod(
                emission[ids[t], y] for t, y in enumerate(path)
            )
            weights[path] = p * math.prod(transition[step] for step in steps(path))
        z = sum(weights.values())
        total += math.log(z)
        for path, p in weights.items():
            counts[first][path[0]] += p / z
            for step in steps(path):
                counts[2][step] += p / z
            for t, y in enumerate(path):
                counts[3][ids[t], y] += p / z
    return Counts(*(torch.from_numpy(part) for part in counts), total)


@pytest.mark.parametrize(
    ("few", "scaled", "order"), [(0, True, 1), (FEW, True, 1), (FEW, False, 1), (0, True, 2)]
)
def test_expected_counts_are_those_of_enumeration(
    few: int, scaled: bool, order: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In matrix products as in loops, scaled as in log space, and of both orders."""
    monkeypatch.setattr(baum_welch, "FEW", few)
    if not scaled:
        monkeypatch.setattr(baum_welch, "spans_little", lambda transition, emission: False)
    pieces = cut(iter(sequences(8, longest=9)), 4)
    assert pieces.inside.any()
    found = of_order(order)._replace(middle=torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64))
    for one, other in zip(expect(found, pieces), enumerated(found, pieces), strict=True):
        assert np.allclose(one, other, atol=1e-10)
    assert log_likelihood(found, pieces) == pytest.approx(expect(found, pieces).log_likelihood)


def test_the_curve_is_hmmlearns() -> None:
    from hmmlearn.hmm import CategoricalHMM

    K, size, passes = 5, 20, 12
    texts = sequences(60, size, 25)
    begin = parameters(K, size)
    peer = CategoricalHMM(K, n_iter=passes, tol=-np.inf, init_params="", n_features=size)
    peer.startprob_, peer.transmat_ = begin.start.numpy(), begin.transition.numpy()
    peer.emissionprob_ = begin.emission.numpy().T
    peer.fit(np.concatenate(texts)[:, None], [len(ids) for ids in texts])
    curve = Curve()
    found = baum_welch.baum_welch(
        begin, group_of(texts), flat(size), iterations=passes, tolerance=-np.inf, after=curve
    )
    assert [step.log_likelihood for step in curve] == pytest.approx(list(peer.monitor_.history), rel=1e-9)
    assert found.transition.numpy() == pytest.approx(peer.transmat_, abs=1e-6)
    assert pytest.approx(peer.emissionprob_, abs=1e-6) == found.emission.numpy().T


@pytest.mark.parametrize(("K", "order"), [(4, 1), (FEW + 1, 1), (5, 2)])
@pytest.mark.parametrize("prior", [0.0, 2.0])
def test_the_objective_never_decreases(K: int, order: int, prior: float) -> None:
    pieces = cut(iter(sequences(40, 30, 40)), 16)
    curve = Curve()
    begin = parameters(K, 30)
    found = baum_welch.baum_welch(
        begin if order == 1 else second_order(begin, np.random.default_rng(0)),
        pieces,
        Prior(prior, prior, torch.full((30,), 1 / 30, dtype=torch.float64)),
        iterations=25,
        tolerance=-np.inf,
        after=curve,
    )
    objectives = [step.objective for step in curve]
    assert all(later >= earlier - 1e-9 * abs(earlier) for earlier, later in itertools.pairwise(objectives))
    assert objectives[-1] > objectives[0]
    for part, dim in ((found.start, 0), (found.middle, 0), (found.transition, -1), (found.emission, 0)):
        assert part.sum(dim).numpy() == pytest.approx(1)


def test_probabilities_of_1e_minus_300_cost_no_digit() -> None:
    tiny = parameters(FEW + 2)
    emission = tiny.emission.clone()
    emission[0] = 1e-300
    emission[1, ::2] = 1e-300
    transition = tiny.transition.clone()
    transition[:, 1] = 1e-300
    found = tiny._replace(emission=emission, transition=transition)
    pieces = group_of([np.array([0, 1, 0, 2, 0, 0]), np.zeros(2_000, np.int64)])
    counts = expect(found, pieces)
    assert counts.log_likelihood < -2_000 * 690
    assert counts.emission.sum() == pytest.approx(len(pieces.tokens))
    assert counts.transition.sum() == pytest.approx(len(pieces.tokens) - 2)


def test_stochastic_em_learns() -> None:
    pieces = group_of(sequences(200, 12, 20))
    pieces = pieces._replace(tokens=(pieces.tokens + np.arange(len(pieces.tokens)) % 2 * 6) % 12)
    begin = parameters(4, 12)
    found = baum_welch.baum_welch(begin, pieces, flat(12), iterations=8, tolerance=-np.inf, batch_tokens=200)
    assert log_likelihood(found, pieces) > log_likelihood(begin, pieces)


@pytest.mark.slow
def test_a_step_of_the_largest_size() -> None:
    """1,024 states and 30,000 words; whole texts of that size are in `benchmarks/hmm.py --part large`."""
    K, size = 1024, 30_000
    pieces = group_of([np.random.default_rng(n).integers(0, size, 40) for n in range(50)])
    prior = Prior(5.0, 1.0, torch.full((size,), 1 / size, dtype=torch.float64))
    start = parameters(K, size)
    counts = expect(start, pieces)
    assert float(counts.emission.sum()) == pytest.approx(2000)
    assert float(counts.transition.sum()) == pytest.approx(2000 - 50)
    better = maximize(counts, prior, start)
    assert float(better.emission.sum(0).min()) == pytest.approx(1)
    assert log_likelihood(better, pieces) > counts.log_likelihood


@pytest.mark.parametrize("order", [1, 2])
def test_score_is_the_sum_over_all_paths(order: int) -> None:
    model = HMM(Vocabulary(V, 0), of_order(order))
    for ids in sequences(5, longest=6):
        expected = enumerated(model.parameters, group_of([ids])).log_likelihood
        assert float(model.log_probs([ids])[0].sum()) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("initialization", "order"), [("random", 1), ("ngram", 1), ("kmeans", 1), ("ngram", 2)]
)
def test_it_is_a_language_model(
    make_store: Callable[..., TokenStore], initialization: str, order: int, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    documents = [rng.integers(1, 30, rng.integers(5, 80)).tolist() for _ in range(60)]
    config = HMMConfig(states=12, order=order, initialization=initialization, iterations=5, cut=32)
    store = make_store(documents, vocabulary=40, held_out=documents[:4])
    model = estimate(config, store)
    assert isinstance(model, Causal)
    assert all(found.passed for found in check(model, [np.array([*ids, 0]) for ids in documents[:4]]))
    assert np.isfinite(model.next_log_probs([np.array([35, 36])])).all()  # words that never occurred
    model.save(tmp_path)
    loaded = load(tmp_path, config, Vocabulary(40, 0))
    text = [np.array([1, 2, 39, 0]), np.array([], np.uint32)]
    for one, other in zip(model.log_probs(text), loaded.log_probs(text), strict=True):
        assert np.array_equal(one, other)
    again = estimate(config, store)
    assert torch.equal(again.parameters.emission, model.parameters.emission)


def test_the_second_order_sees_two_states_back(make_store: Callable[..., TokenStore]) -> None:
    """1 1 2 2 1 1 2 2 …: what comes next is settled by two tokens, and not by one."""
    documents = [[1, 1, 2, 2] * 8, [2, 2, 1, 1] * 8, [1, 2, 2, 1] * 8] * 20
    store = make_store(documents, vocabulary=3, held_out=documents[:3])
    nats = {}
    for order in (1, 2):
        model = estimate(HMMConfig(states=3, order=order, iterations=40, tolerance=0.0), store)
        nats[order] = -float(model.log_probs([np.array(documents[0])])[0][2:].mean())
        (found,) = model.states([np.array(documents[0])])
        assert found.posteriors.sum(1) == pytest.approx(1)
    assert nats[2] < 0.15
    assert nats[2] < nats[1]


def test_planted_states_are_found(make_store: Callable[..., TokenStore]) -> None:
    """Two states that alternate, each with words of its own: no bigram of classes is in doubt."""
    rng = np.random.default_rng(1)
    documents = [
        [int(rng.integers(1, 6)) + 5 * (t % 2) for t in range(20)] for _ in range(100)
    ]  # 1–5 at even places, 6–10 at odd ones
    config = HMMConfig(states=3, iterations=30, initialization="random", restarts=4)
    model = estimate(config, make_store(documents, vocabulary=11, held_out=documents[:5]))
    (found,) = model.states([np.array(documents[0])])
    assert len(set(found.states[::2])) == len(set(found.states[1::2])) == 1
    assert found.states[0] != found.states[1]
    assert found.posteriors.sum(1) == pytest.approx(1)
    assert found.posteriors.argmax(1).tolist() == found.states.tolist()
    per_token = float(model.log_probs([np.array(documents[0])])[0].mean())
    assert per_token == pytest.approx(-math.log(5), abs=0.1)  # and now and then the end


def test_longer_than_memory_holds_at_once(make_store: Callable[..., TokenStore]) -> None:
    model = HMM(Vocabulary(V, 0), parameters(3))
    long = np.random.default_rng(0).integers(0, V, 20_000)
    (scores,) = model.log_probs([long])
    assert np.isfinite(scores).all()
    assert model.log_probs([long[:50], long])[0] == pytest.approx(scores[:50], abs=1e-6)


def class_bigram_log_likelihood(tokens: np.ndarray, classes: np.ndarray) -> float:
    """log-likelihood of the class bigram model, up to what no classing changes."""
    joint = np.zeros((classes.max() + 1,) * 2)
    np.add.at(joint, (classes[tokens[:-1]], classes[tokens[1:]]), 1)
    parts = (joint, joint.sum(0), joint.sum(1))
    logs = [float((part[part > 0] * np.log(part[part > 0])).sum()) for part in parts]
    return logs[0] - logs[1] - logs[2]


def test_no_single_exchange_is_better() -> None:
    rng = np.random.default_rng(0)
    tokens = rng.choice(14, 800, p=rng.dirichlet(np.ones(14)))
    begins = np.zeros(800, bool)
    begins[0] = True
    classes = exchange(tokens, begins, 14, 3)
    best = class_bigram_log_likelihood(tokens, classes)
    for word, k in itertools.product(range(14), range(3)):
        moved = classes.copy()
        moved[word] = k
        assert class_bigram_log_likelihood(tokens, moved) <= best + 1e-6


@pytest.mark.parametrize("kind", ["ngram", "kmeans"])
def test_planted_classes_are_found(kind: str) -> None:
    rng = np.random.default_rng(2)
    tokens = np.stack([rng.integers(0, 10, 3000), rng.integers(10, 20, 3000), rng.integers(20, 30, 3000)], 1)
    begins = np.zeros(9000, bool)
    begins[0] = True
    if kind == "ngram":
        classes = exchange(tokens.ravel(), begins, 30, 3)
    else:
        classes = kmeans(tokens.ravel(), begins, 30, 3, generator(5, "x"))
    assert len({tuple(classes[first : first + 10]) for first in (0, 10, 20)}) == 3
    assert all(len(set(classes[first : first + 10])) == 1 for first in (0, 10, 20))


@pytest.mark.parametrize("documents", [[[]], [[1]], [[1, 2, 3]]])
def test_hardly_any_text(make_store: Callable[..., TokenStore], documents: list[list[int]]) -> None:
    model = estimate(HMMConfig(states=4, iterations=3), make_store(documents, vocabulary=V))
    assert np.exp(model.next_log_probs([np.array([1])])).sum() == pytest.approx(1, abs=1e-5)


def test_ctrl_c_keeps_the_best_pass(
    make_store: Callable[..., TokenStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    original = baum_welch.expect

    def stopped(*arguments: object) -> Counts:
        calls.append(arguments)
        if len(calls) == 3:
            signal.raise_signal(signal.SIGINT)
        return original(*arguments)

    monkeypatch.setattr(baum_welch, "expect", stopped)
    documents = [[1, 2, 3, 4]] * 20
    with Stop(listen=False) as stop:
        model = estimate(HMMConfig(states=3), make_store(documents, vocabulary=V, held_out=documents[:2]))
    assert stop.asked and len(calls) == 3
    assert np.isfinite(model.log_probs([np.array([1, 2])])[0]).all()
