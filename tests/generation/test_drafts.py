"""Speculative decoding: what is written is drawn from the model's distribution, whatever is guessed."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import langue
from langue.base.errors import InvalidSetting, Mismatch
from langue.generation.drafts import MOST, Pace, TextDraft
from langue.nn.compiled.choice import choose, pick, race, weigh
from langue.nn.compiled.speculation import accept
from langue.tokens.utf8 import REJECT

DRAWS = 100_000
SETTINGS = [(1.0, 0, 1.0, 0.0), (0.7, 0, 0.9, 0.0), (1.5, 3, 1.0, 0.0), (1.0, 0, 1.0, 0.1)]


def distributions(rows: int, V: int, seed: int) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(rows, V)) * 1.5
    return (x - np.log(np.exp(x).sum(1, keepdims=True))).astype(np.float32)


@pytest.mark.parametrize("guessing", ["model", "one token", "the same"])
@pytest.mark.parametrize("settings", SETTINGS)
def test_draws_follow_the_model_whatever_is_guessed(settings: tuple[float, ...], guessing: str) -> None:
    V, draw, rounds = 7, np.random.default_rng(3), DRAWS // len(SETTINGS)
    p, other = distributions(2, V, seed=1), distributions(1, V, seed=2)
    leads, given, tokens = np.zeros((1, V), np.uint8), np.array(settings), np.empty(2, np.int64)
    leads[0, 4] = REJECT  # may not stand next
    weights = np.zeros((1, V), np.float32)
    if guessing == "one token":
        weights[0, p[0, :4].argmax()] = 1.0
    else:
        weigh(other[0] if guessing == "model" else p[0], leads[0], given, weights[0])
    drawn, accepted = np.zeros((2, V)), 0
    for numbers, number in zip(draw.random((rounds, 2, 2)), draw.random(rounds), strict=True):
        guess = np.array([pick(weights[0], number)])
        written, right = accept(p, guess, weights, leads, 0, given, numbers, -1, tokens)
        assert written == right + 1
        accepted += right
        for t in range(written):
            drawn[t, tokens[t]] += 1
    for t in range(2):
        expected = np.zeros(V, np.float32)
        weigh(p[t], leads[0], given, expected)
        assert not drawn[t][expected == 0].any()
        kept = expected > 0
        wanted = expected[kept].astype(np.float64) / expected.sum(dtype=np.float64) * drawn[t].sum()
        assert kept.sum() == 1 or stats.chisquare(drawn[t][kept], wanted).pvalue > 1e-4
    assert accepted == rounds if guessing == "the same" else 0 < accepted < rounds


def test_a_guess_is_accepted_as_often_as_the_two_agree() -> None:
    V, draw, leads = 7, np.random.default_rng(5), np.zeros((1, 7), np.uint8)
    p, q = distributions(2, V, seed=6), np.exp(distributions(1, V, seed=7))
    plain, tokens, accepted = np.array([1.0, 0, 1, 0]), np.empty(2, np.int64), 0
    for numbers, number in zip(draw.random((DRAWS, 2, 2)), draw.random(DRAWS), strict=True):
        guess = np.array([pick(q[0], number)])
        accepted += accept(p, guess, q * 3, leads, 0, plain, numbers, -1, tokens)[1]
    assert accepted / DRAWS == pytest.approx(np.minimum(np.exp(p[0]), q[0]).sum(), abs=0.008)


def test_nothing_follows_the_end_or_where_nothing_may_stand() -> None:
    V, leads = 5, np.zeros((2, 5), np.uint8)
    leads[0, 3] = 1  # behind which nothing stands
    leads[1] = REJECT
    p, q, tokens = distributions(3, V, seed=1), np.zeros((2, V), np.float32), np.empty(3, np.int64)
    p[:2] = -20.0
    p[:2, 3] = 0.0
    q[:, 3] = 1.0
    guesses, plain, numbers = np.array([3, 3]), np.array([1.0, 0, 1, 0]), np.full((3, 2), 0.5)
    assert accept(p, guesses, q, leads, 0, plain, numbers, 3, tokens) == (1, 1) and tokens[0] == 3
    assert accept(p, guesses, q, leads, 0, plain, numbers, -1, tokens) == (1, 1)
    assert accept(p, guesses, q, leads, 1, plain, numbers, -1, tokens) == (0, 0)


@pytest.mark.parametrize("name", ["gpt2", "trigram"])
def test_the_likeliest_text_is_the_same_with_any_draft(small_models: dict[str, Path], name: str) -> None:
    model = langue.CausalModel.load(small_models[name])
    drafts = [langue.CausalModel.load(small_models[other]) for other in ("trigram", "unigram", "gpt2")]
    for prompt in ("The king", "", "the sea the sea the sea the", "却说却说却"):
        for settings in ({"max_tokens": 70}, {"max_tokens": 1}, {"max_tokens": 0}, {"stop": ["a"]}):
            plain = model.generate(prompt, temperature=0.0, **settings)
            for draft in ("prompt", *drafts):
                drafted = model.generate(prompt, temperature=0.0, draft=draft, **settings)
                assert drafted == plain
                assert drafted.log_prob == pytest.approx(plain.log_prob, abs=1e-3)


def test_a_seed_with_a_draft_gives_one_text_and_it_streams(small_models: dict[str, Path]) -> None:
    model, draft = (langue.CausalModel.load(small_models[name]) for name in ("gpt2", "trigram"))
    whole = model.generate("The king", draft=draft, seed=1, max_tokens=60)
    writer = model.stream("The king", draft=draft, seed=1, max_tokens=60)
    assert "".join(writer) == whole.text and writer.result == whole and whole.tokens
    assert whole != model.generate("The king", draft=draft, seed=2, max_tokens=60)
    ruled = {"regex": "[a-z ]{5,20}", "max_tokens": 30}
    assert model.generate("The king", draft=draft, **ruled) == model.generate("The king", **ruled)


def test_texts_are_guessed_from_what_stood_behind_the_same_tokens(small_models: dict[str, Path]) -> None:
    one = langue.CausalModel.load(small_models["gpt2"]).stream("x").continuation
    draft = TextDraft(np.array([5, 1, 2, 3, 9, 8, 7, 1, 2]))
    guess = draft.guess(3, one, np.zeros(3))
    assert guess.ids.tolist() == [3, 9, 8] and guess.weights.sum() == 3 and guess.weights[1, 9] == 1
    draft.read([4])
    assert not len(draft.guess(3, one, np.zeros(3)).ids)
    draft.read([1, 2])
    assert draft.guess(2, one, np.zeros(2)).ids.tolist() == [4, 1]  # the last time


def test_more_is_guessed_where_guesses_were_right_and_nothing_where_they_were_not() -> None:
    good, bad = Pace(), Pace()
    for _ in range(60):
        good.learn(4, 4)
        bad.learn(2, 0)
    assert good.count() == MOST
    counts = [bad.count() for _ in range(64)]
    assert sum(counts) == 4 and max(counts) == 1


def test_a_draft_has_to_have_the_same_tokens(small_models: dict[str, Path], tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("\n".join(f"line {index} of another text" for index in range(500)), encoding="utf-8")
    langue.prepare(text, tmp_path / "store", kind="chars", documents="line")
    langue.train("ngram", tmp_path / "store", tmp_path / "other", order=2)
    model = langue.CausalModel.load(small_models["gpt2"])
    with pytest.raises(Mismatch, match="another tokenizer"):
        model.generate("The king", draft=langue.CausalModel.load(tmp_path / "other"))
    with pytest.raises(InvalidSetting, match="draft"):
        model.generate("The king", draft="suffix")


def test_a_choice_is_what_weights_say() -> None:
    p, leads = distributions(1, 50, seed=9)[0], np.zeros(50, np.uint8)
    for settings in SETTINGS:
        weights, given = np.empty(50, np.float32), np.array(settings)
        weigh(p, leads, given, weights)
        for number in np.random.default_rng(1).random(50):
            assert choose(p, leads, given, number) == race(weights.copy(), number)
