"""What an n-gram model says of a token, against counting by hand."""

from collections import Counter, defaultdict
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from langue.models.counts.ngram import NGramConfig, estimate
from langue.models.counts.ngram.estimate import SMOOTHINGS, Smoothing
from langue.protocols import Explainable
from langue.tokens.store import TokenStore

V = 7  # ids 0 (end) to 6; 6 never occurs
BOS = 1000  # `<s>`: larger than any id
CORPUS = st.lists(st.lists(st.integers(1, 5), max_size=12), min_size=1, max_size=12)
Gram = tuple[int, ...]


def counted(corpus: list[list[int]], order: int, *, distinct: bool) -> list[dict[Gram, int]]:
    """Counts of n-grams by their length; distinct: of the tokens before them, below the highest order."""
    raw: list[Counter[Gram]] = [Counter() for _ in range(order + 1)]
    for document in corpus:
        words = [BOS, *document, 0]
        for n in range(1, order + 1):
            raw[n].update(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
    levels: list[dict[Gram, int]] = [{}]
    for n in range(1, order + 1):
        left = defaultdict(set)
        for gram in raw[n + 1] if n < order else ():
            left[gram[1:]].add(gram[0])
        fewer = distinct and n < order
        levels.append({g: len(left[g]) if fewer and g[0] != BOS else c for g, c in raw[n].items()})
    levels[1].pop((BOS,))
    return levels


@pytest.mark.parametrize("smoothing", ["modified-kneser-ney", "absolute", "witten-bell", "add-k"])
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(corpus=CORPUS, text=st.lists(st.integers(1, 6), max_size=6), order=st.integers(1, 4))
def test_counts_and_weights_are_those_of_the_corpus(
    make_store: Callable[..., TokenStore],
    smoothing: Smoothing,
    corpus: list[list[int]],
    text: list[int],
    order: int,
) -> None:
    model = estimate(NGramConfig(order=order, smoothing=smoothing), make_store(corpus, vocabulary=V))
    levels = counted(corpus, order, distinct=smoothing == "modified-kneser-ney")
    fallback = smoothing in ("modified-kneser-ney", "absolute")  # whose discounts leave small counts open
    row = model.next_log_probs([np.array(text, np.uint32)])[0]
    for word in range(V):
        steps = model.explain(np.array(text, np.uint32), word).orders
        assert np.log(steps[-1].probability) == pytest.approx(float(row[word]), abs=1e-5)
        lower = 1 / V
        for step in steps:
            context = (BOS, *text)[len(text) + 2 - step.order :]
            children = {g[-1]: c for g, c in levels[step.order].items() if g[:-1] == context}
            if any(model.tables.rules[step.order - 1][:3] > (0.999, 1.999, 2.999)):
                assert step.count is None  # a discount takes a count whole: nothing shows that it was there
                lower = step.probability
                continue
            assert step.continuations == len(children)
            assert step.probability == pytest.approx(step.share + step.backoff * lower, rel=1e-4)
            lower = step.probability
            assert step.count is not None or fallback or not children
            if children and step.count is not None:
                assert (step.count, step.total) == (children.get(word, 0), sum(children.values())), step
                assert step.seen == (word in children)
                raw = smoothing != "modified-kneser-ney" or step.order == order or context[:1] == (BOS,)
                assert step.distinct == (not raw)


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_counts_of_a_corpus_of_many_are_told_and_the_sum_is_the_score(
    make_store: Callable[..., TokenStore], smoothing: Smoothing
) -> None:
    rng = np.random.default_rng(7)
    corpus = [rng.zipf(1.3, rng.integers(0, 60)).clip(max=79).tolist() for _ in range(300)]
    model = estimate(NGramConfig(order=3, smoothing=smoothing), make_store(corpus, vocabulary=80))
    levels = counted(corpus, 3, distinct=smoothing == "modified-kneser-ney")
    assert isinstance(model, Explainable)
    ids = np.array(corpus[5][:9], np.uint32)
    told = 0
    for at in range(len(ids)):
        steps = model.explain(ids[:at], int(ids[at])).orders
        assert np.log(steps[-1].probability) == pytest.approx(
            float(model.log_probs([ids[: at + 1]])[0][at]), abs=1e-4
        )
        for step in steps:
            if step.count is not None:
                told += 1
                gram = (BOS, *ids.tolist())[at + 2 - step.order : at + 2]
                assert step.count == levels[step.order][gram], (step, gram)
    assert told > 15 if smoothing != "stupid-backoff" else not told


def test_what_is_pruned_or_quantized_tells_no_counts(make_store: Callable[..., TokenStore]) -> None:
    store = make_store([[1, 2, 3, 1, 2, 4]] * 3 + [[5, 1, 2]], vocabulary=V)
    for config in (NGramConfig(order=3, prune=(0, 1)), NGramConfig(order=3, quantize=True)):
        model = estimate(config, store)
        steps = model.explain(np.array([1, 2], np.uint32), 3).orders
        assert all(step.count is None for step in steps)
        expected = float(np.exp(model.next_log_probs([np.array([1, 2], np.uint32)])[0][3]))
        assert steps[-1].probability == pytest.approx(expected, rel=1e-5)
