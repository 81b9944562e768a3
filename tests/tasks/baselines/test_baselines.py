"""Baselines: each against what it is by definition, and all of them on texts that they can tell apart."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from langue.corpus.labeled import Example
from langue.tasks.baselines import ngrams
from langue.tasks.baselines.baselines import BASELINES, Comparison, measure_baselines
from langue.tasks.baselines.bayes import EOS, Bayes
from langue.tasks.baselines.likeness import ENOUGH, alike, edits
from langue.tasks.baselines.logistic import learn, log_probs, log_ratios

GOOD, BAD = "a fine and moving film", "a dull and tedious film"


def examples(count: int, *, seed: int, texts: int = 1, chinese: bool = False) -> list[Example]:
    draw = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        label = int(draw.integers(2))
        noise = " ".join(draw.choice(["of", "the", "in", "this", "scene", "actor", "very"], 4))
        text = f"{noise} {(BAD, GOOD)[label]} {noise}"
        if chinese:
            text = "".join(draw.choice(list("今天新闻关于的事"), 6)) + ("股市大跌", "球队获胜")[label]
        pair = (text, text if label else f"{noise} else") if texts == 2 else (text,)
        rows.append(Example(pair, ("bad", "good")[label], "here"))
    return rows


@pytest.mark.parametrize("chinese", [False, True])
def test_all_but_the_majority_tell_plain_texts_apart(chinese: bool) -> None:
    results = measure_baselines(examples(120, seed=0, chinese=chinese), examples(60, seed=1, chinese=chinese))
    accuracies = {result.name: result.accuracy.value for result in results}
    assert list(accuracies) == list(BASELINES)
    assert accuracies.pop("majority") < 0.7
    assert min(accuracies.values()) > 0.95, accuracies


def test_pairs_are_told_by_what_both_texts_have() -> None:
    results = measure_baselines(examples(80, seed=0, texts=2), examples(40, seed=1, texts=2), ["words"])
    assert results[0].accuracy.value > 0.95
    assert list(ngrams.words(["a b", "b c"], 1)) == ["=b", "-a", "-c", "overlap 3"]


def test_likeness_sees_the_order_of_words() -> None:
    draw = np.random.default_rng(0)
    rows = []
    for number in range(160):
        words = list(draw.permutation(list("abcdefgh")))
        label = number % 2
        other = words if label else [*words[4:], *words[:4]]
        rows.append(Example((" ".join(words), " ".join(other)), str(label), "here"))
    shares = {one.name: one.accuracy.value for one in measure_baselines(rows[:120], rows[120:])}
    assert shares["words"] < 0.8 and shares["likeness"] == 1.0


def test_likeness_of_a_pair() -> None:
    told = set(alike(["I have 3 cats", "I have 4 cats now"]))
    assert told >= {
        "length: 8",  # 4 of 5
        "in order: 6",  # I have … cats
        "in order, of the shorter: 8",
        "runs of 1: 5",  # three of six
        "runs of 2, of the shorter: 3",  # "I have" of three
        "only 1: 1 2",
        "begin alike: 2",
        "end alike: 0",
        "numbers: True True False",
    }
    assert set(alike(["天气好", "天气很好"])) >= {"in order: 8", "end alike: 1"}
    assert "length: 10" in set(alike(["", ""]))
    assert "in order: 10" in set(alike(["a " * 5000, "a " * 5000]))


def test_edits_of_a_pair() -> None:
    told = set(edits(["how do I pay", "how can I pay back"]))
    assert told == {
        *("~can|do", "~how[can|do", "~can|do]i"),  # whichever text is the first
        *("~|back", "~pay[|back", "~|back]"),
        "edits 2",
    }
    assert told == set(edits(["how can I pay back", "how do I pay"]))
    assert set(edits(["怎么还花呗", "怎么还借呗"])) == {"~借|花", "~还[借|花", "~借|花]呗", "edits 1"}
    assert set(edits(["a", "a"])) == set(edits(["", ""])) == {"edits 0"}


def test_what_a_vote_is_worth_is_learned() -> None:
    """Words that were told by heart say nothing of other pairs; that both texts are one text does."""
    draw = np.random.default_rng(0)
    rows = []
    for number in range(6 * ENOUGH):
        first, second = (" ".join(map(str, draw.integers(10**6, size=4))) for _ in range(2))
        rows.append(Example((first, first if number % 3 == 0 else second), str(int(number % 3 == 0)), "here"))
    result = measure_baselines(rows[:-100], rows[-100:], ["likeness"])[0]
    assert result.accuracy.value == 1.0


def test_a_label_that_was_never_seen_is_wrong() -> None:
    training = examples(30, seed=0)
    strange = [one._replace(label="strange") for one in examples(5, seed=1)]
    (result,) = measure_baselines(training, strange, ["majority"])
    assert result.accuracy.value == 0 and not result.right.any()


def test_logistic_regression_is_that_of_scikit_learn() -> None:
    draw = np.random.default_rng(0)
    rows = [sorted({str(number) for number in draw.integers(12, size=5)}) for _ in range(80)]
    labels = draw.integers(3, size=80)
    columns = ngrams.Columns(rows, 1)
    matrix = columns.matrix(rows)
    weights = learn(matrix, labels, 3, penalty=2.0)
    dense = np.zeros((80, matrix.width))
    for row in range(80):
        dense[row, matrix.columns[matrix.starts[row] : matrix.starts[row + 1]]] = 1.0
    theirs = LogisticRegression(C=0.5, tol=1e-10, max_iter=2000).fit(dense[:, :-1], labels)
    np.testing.assert_allclose(
        np.exp(log_probs(matrix, weights)), theirs.predict_proba(dense[:, :-1]), atol=2e-3
    )


def test_ratios_are_those_of_counts() -> None:
    rows, labels = [["x", "y"], ["x"], ["y", "z"]], np.array([0, 0, 1])
    columns = ngrams.Columns(rows, 1)
    ratios = log_ratios(columns.matrix(rows), labels, 2)
    inside = np.array([3.0, 2.0, 1.0, 3.0])  # x, y, z and the bias, each and one
    outside = np.array([1.0, 2.0, 2.0, 2.0])
    expected = np.log((inside / inside.sum()) / (outside / outside.sum()))
    np.testing.assert_allclose(ratios[:3, 0], expected[:3])
    np.testing.assert_allclose(ratios[:3, 0], -ratios[:3, 1])


def test_models_of_labels_are_probabilities_and_bayes_adds_the_prior() -> None:
    texts = [["aab"], ["abab"], ["ba"], ["bbb"], ["bb"]]
    labels = np.array([0, 0, 0, 1, 1])
    bayes = Bayes(texts, labels, 2, order=3)
    for model in bayes.models:
        rows = np.exp(model.next_log_probs([np.array([], np.int64), bayes._encode("ab")[:-1]]))
        np.testing.assert_allclose(rows.sum(-1), 1, atol=1e-5)
    scores = bayes.log_probs([["ab"], ["新"]])
    np.testing.assert_allclose(np.exp(scores).sum(-1), 1)
    joint = [
        float(model.log_probs([bayes._encode("ab")])[0].sum()) + np.log(share)
        for model, share in zip(bayes.models, (0.6, 0.4), strict=True)
    ]
    assert scores[0, 0] - scores[0, 1] == pytest.approx(joint[0] - joint[1])
    assert bayes._encode("")[-1] == EOS


def test_a_model_is_set_beside_the_best_of_them() -> None:
    results = measure_baselines(examples(80, seed=0), examples(60, seed=1), ["majority", "words"])
    poor = Comparison.of(np.arange(60) % 3 == 0, results, "train.tsv")
    assert poor.best.name == "words"
    assert poor.gain.value < 0 and "not worth it" in str(poor)
    equal = Comparison.of(poor.best.right, results, "train.tsv")
    assert equal.gain.value == 0 and "no sure difference" in str(equal)
    assert set(equal.to_json()["baselines"]) == {"majority", "words"}


def test_the_same_file_gives_the_same_bits(tmp_path: Path) -> None:
    once, again = (
        measure_baselines(examples(60, seed=0), examples(30, seed=1), ["naive Bayes"]) for _ in range(2)
    )
    assert once[0].accuracy == again[0].accuracy
