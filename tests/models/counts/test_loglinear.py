"""The log-linear model against softmax regression on indicator features, its best weights by L-BFGS."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from langue.models.counts.loglinear import LogLinear, LogLinearConfig, estimate
from langue.models.counts.loglinear.features import Weights, count_of, hashes
from langue.models.counts.loglinear.learn import DISCOUNT
from langue.protocols import Vocabulary
from langue.tokens.store import TokenStore

V = 7
CORPUS = [[1, 2, 3], [1, 2, 4, 2], [3, 2, 1, 2, 3], [5, 2, 3], [1, 2, 3, 2, 4]]


def grams(words: list[int], t: int, order: int, skips: bool) -> list[tuple[object, ...]]:
    """The features of the context of `words[t]`, by name instead of by hash."""
    found: list[tuple[object, ...]] = [tuple(words[t - k : t]) for k in range(1, order)]
    return found + [("skip", k, words[t - k]) for k in range(2, order) if skips]


class Reference:
    """exp(b + Σ W) / Z with a dictionary of weights, in float64, and its best θ by L-BFGS of torch."""

    def __init__(self, order: int, skips: bool, l2: float) -> None:
        self.order, self.skips, self.l2 = order, skips, l2
        self.places = []
        for ids in CORPUS:
            words = [0] * (order - 1) + [*ids, 0]
            for t in range(order - 1, len(words)):
                self.places.append((grams(words, t, order, skips), words[t]))
        pairs = sorted({(feature, word) for features, word in self.places for feature in features}, key=repr)
        self.index = {pair: number for number, pair in enumerate(pairs)}
        self.bias = torch.zeros(V, dtype=torch.float64, requires_grad=True)
        self.weight = torch.zeros(len(pairs), dtype=torch.float64, requires_grad=True)

    def log_probs(self, features: list[tuple[object, ...]]) -> torch.Tensor:
        scores = self.bias
        for feature in features:
            for word in range(V):
                if (place := self.index.get((feature, word))) is not None:
                    scores = scores + self.weight[place] * torch.nn.functional.one_hot(torch.tensor(word), V)
        return torch.log_softmax(scores, 0)

    def objective(self) -> torch.Tensor:
        nats = -sum(self.log_probs(features)[word] for features, word in self.places)
        return nats + self.l2 / 2 * (self.weight.square().sum() + self.bias.square().sum())

    def optimize(self) -> None:
        optimizer = torch.optim.LBFGS(
            [self.bias, self.weight], max_iter=60, line_search_fn="strong_wolfe", tolerance_change=1e-12
        )

        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            value = self.objective()
            value.backward()
            return value

        optimizer.step(closure)


@pytest.mark.parametrize(("order", "skips"), [(2, False), (4, True)])
def test_finds_the_best_weights(make_store: Callable[..., TokenStore], order: int, skips: bool) -> None:
    """The objective is concave: its value is the optimum's, and so, nearly, is every score."""
    reference = Reference(order, skips, l2=0.5)
    reference.optimize()
    config = LogLinearConfig(order=order, skips=skips, epochs=400, learning_rate=1.0, l1=0.0, l2=0.5)
    model = estimate(config, make_store(CORPUS, vocabulary=V))
    nats = -sum(float(found.sum()) for found in model.log_probs([np.array([*ids, 0]) for ids in CORPUS]))
    squares = np.square(model.weights.weight).sum() + np.square(model.weights.bias).sum()
    assert nats + 0.5 / 2 * squares == pytest.approx(float(reference.objective().detach()), rel=2e-3)
    for text in ([1, 2, 3], [5, 2, 4, 2], [6, 3]):
        words = [0] * (order - 1) + [*text, 0]
        expected = [
            float(reference.log_probs(grams(words, t, order, skips))[words[t]].detach())
            for t in range(order - 1, len(words))
        ]
        assert model.log_probs([np.array([*text, 0])])[0] == pytest.approx(expected, abs=0.1)


def kneser_ney(words: list[int], word: int, order: int, top: int) -> float:
    """p(word | the last order - 1 of words) by interpolated Kneser-Ney with one discount."""
    texts = [[0] * (top - 1) + [*ids, 0] for ids in CORPUS]
    ends = [(text, t) for text in texts for t in range(top - 1, len(text))]
    if order == 1:
        pairs = {(text[t - 1], text[t]) for text, t in ends}
        return (sum(w == word for _, w in pairs) + 1) / (len(pairs) + V)
    context = words[len(words) - order + 1 :]
    places = [(text, t) for text, t in ends if text[t - order + 1 : t] == context]
    if order == top:
        follows = [text[t] for text, t in places]
    else:
        follows = [word for _, word in {(text[t - order], text[t]) for text, t in places}]
    lower = kneser_ney(words, word, order - 1, top)
    if not follows:
        return lower
    own = max(follows.count(word) - DISCOUNT, 0) / len(follows)
    return own + DISCOUNT * len(set(follows)) / len(follows) * lower


def test_learning_begins_at_kneser_ney(make_store: Callable[..., TokenStore]) -> None:
    model = estimate(LogLinearConfig(order=4, epochs=0), make_store(CORPUS, vocabulary=V))
    for context in ([], [1], [1, 2], [5, 2], [6], [4, 2, 1], [1, 2, 3]):
        expected = [kneser_ney([0, 0, 0, *context], word, 4, 4) for word in range(V)]
        row = np.exp(model.next_log_probs([np.array(context, np.int64)])[0].astype(np.float64))
        assert row == pytest.approx(expected, abs=1e-5)


def test_the_l1_penalty_drops_what_is_not_worth_it(make_store: Callable[..., TokenStore]) -> None:
    store = make_store(CORPUS, vocabulary=V)
    dense, sparse, none = (
        estimate(LogLinearConfig(epochs=100, l1=l1), store).size()["parameters"] - V
        for l1 in (0.0, 0.5, 100.0)
    )
    assert dense > sparse > none == 0


@pytest.mark.parametrize("skips", [False, True])
def test_features_are_what_they_say(skips: bool) -> None:
    """Two contexts share a hash exactly where they share a feature."""
    order = 4
    contexts = [[1, 2, 3], [9, 2, 3], [1, 9, 3], [3, 2, 1], [3, 3, 3]]
    names: dict[object, int] = {}
    for before in contexts:
        found = np.empty(count_of(order, skips), np.uint64)
        hashes(np.array(before), len(found), found)
        for name, value in zip(grams(before, 3, order, skips), found, strict=True):
            assert names.setdefault(name, int(value)) == int(value)
    assert len(set(names.values())) == len(names)


def test_rows_that_share_a_hash_still_sum_to_one() -> None:
    """One row for everything: the worst collision there can be."""
    weights = Weights(
        np.zeros(V, np.float32),
        np.array([0, 3], np.uint32),
        np.array([1, 2, 3], np.uint32),
        np.ones(3, np.float32),
    )
    model = LogLinear(Vocabulary(V, 0), 3, False, weights)
    row = model.next_log_probs([np.array([1, 2])])[0]
    assert np.exp(row.astype(np.float64)).sum() == pytest.approx(1, abs=1e-6)
    assert row[1] - row[0] == pytest.approx(2, abs=1e-6)  # both features of a trigram model fall on it
    assert model.log_probs([np.array([1, 2, 3])])[0][2] == pytest.approx(row[3], abs=1e-6)
