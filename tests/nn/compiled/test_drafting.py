"""A network that drafts its own text writes what it writes without, to the bit, and in fewer passes."""

import numpy as np
import pytest
from tests.nn.compiled.decoders import check_drawn_as_chosen
from tests.nn.compiled.test_decoder import OPTIONS, V, model_of, prompts_of

from langue.nn.compiled import drafting, transformer
from langue.nn.compiled.choice import race
from langue.protocols.drawing import Draws
from langue.tokens.utf8 import REJECT

LEADS, STATES = np.zeros((1, V), np.uint8), np.zeros(1, np.int64)


@pytest.fixture
def drafted(monkeypatch):
    """Networks of any size have a draft."""
    monkeypatch.setattr(transformer, "pays", lambda weights: True)


def drawn(decoder, numbers, settings, end=-1):
    count = np.array([numbers.shape[1]])
    (ids,), (log_probs,) = decoder.draw(Draws(numbers, count, settings, LEADS, STATES, np.array([end])))
    return ids.tolist(), log_probs.tolist()


@pytest.mark.parametrize("settings", [(0, 0, 1, 0), (1, 0, 1, 0), (0.7, 20, 0.9, 0.01)])
@pytest.mark.parametrize("options", ["gpt2", "qwen3", "grouped"])
def test_a_text_has_the_bits_of_one_without_drafts(options, settings, monkeypatch):
    given = np.array([settings], np.float64)
    numbers = np.random.default_rng(5).random((4, 1, 40))
    decoders = {}
    for whether in (False, True):
        monkeypatch.setattr(transformer, "pays", lambda weights, whether=whether: whether)
        decoders[whether] = model_of(**OPTIONS[options], context=200).decoder(prompts_of(9))
    pace = decoders[True].room.pace
    for some in numbers:
        assert drawn(decoders[True], some, given) == drawn(decoders[False], some, given)
    assert decoders[True].step.drafts and not decoders[False].step.drafts
    assert pace[drafting.RATE] != drafting.LIKELY
    # What stood in the cache of tokens that were drafted in vain is read by none.
    after = [decoder.extend([np.array([3, 4, 5])], every=True)[0] for decoder in decoders.values()]
    np.testing.assert_array_equal(*after)


@pytest.mark.parametrize("options", ["gpt2", "qwen3"])
def test_tokens_are_those_chosen_one_by_one_and_windows_move_on(options, drafted):
    model = model_of(**OPTIONS[options])
    for length in (1, 20, 70):
        check_drawn_as_chosen(model, prompts_of(length), calls=9)
    check_drawn_as_chosen(model, prompts_of(3, 9), calls=9, seed=8)  # one ends, and the other is alone


@pytest.mark.parametrize("options", ["gpt2", "qwen3", "grouped"])
def test_a_draft_is_what_the_network_is_in_int8(options, drafted):
    model = model_of(**OPTIONS[options])
    both, alone = model.lay_out(None), model.lay_out("int8")
    for pair, expected in zip(both.weights[4:6], alone.weights[4:6], strict=True):
        np.testing.assert_array_equal(pair[1], expected[0])


def test_a_text_ends_where_it_would_without_drafts(drafted):
    numbers, settings = np.random.default_rng(6).random((1, 60)), np.array([[1.0, 0, 1, 0]])
    whole, log_probs = drawn(model_of(context=200).decoder(prompts_of(9)), numbers, settings)
    for end in set(whole):
        ids = drawn(model_of(context=200).decoder(prompts_of(9)), numbers, settings, end)
        length = whole.index(end) + 1
        assert ids == (whole[:length], log_probs[:length])


def test_nothing_is_drawn_where_nothing_may_stand(drafted):
    """States that allow fewer and fewer tokens, and at last none."""
    leads = np.array([[1] * V, [REJECT] * (V - 1) + [2], [REJECT] * V], np.uint8)
    model = model_of()
    count, numbers = np.array([9]), np.random.default_rng(2).random((1, 9))
    draws = Draws(numbers, count, np.array([[1.0, 0, 1, 0]]), leads, STATES, np.array([-1]))
    (ids,), _ = model.decoder(prompts_of(4)).draw(draws)
    assert len(ids) == 2 and ids[1] == V - 1


def test_as_many_are_drafted_as_give_the_most_tokens_for_the_time():
    for rate in np.linspace(0, 1, 41):
        expected = [sum(rate**right for right in range(k + 1)) for k in range(drafting.MOST + 1)]
        worth = [tokens / (1 + k * drafting.COST) for k, tokens in enumerate(expected)]
        count = drafting.count_to_draft(np.array([rate, 0.0]), drafting.MOST)
        assert worth[count] == pytest.approx(max(worth))
    assert drafting.count_to_draft(np.array([1.0, 0.0]), 3) == 3
    assert drafting.count_to_draft(np.array([1.0, 0.0]), -2) == 0


def test_one_is_tried_now_and_then_where_drafts_are_wrong():
    pace = np.array([0.0, 0.0])
    tried = [drafting.count_to_draft(pace, 5) for _ in range(4 * drafting.AGAIN)]
    assert sum(tried) == 4 and max(tried) == 1
    for _ in range(30):
        drafting.learn(pace, True)
    assert drafting.count_to_draft(pace, drafting.MOST) > 3


def test_a_number_stands_for_the_same_token_of_two_close_distributions():
    """Daliri et al. 2025, theorem 1: no more rarely than (1 - d) / (1 + d), of a distance d."""
    draw = np.random.default_rng(7)
    p = draw.dirichlet(np.full(500, 0.3)).astype(np.float32)
    for spread in (0.01, 0.1, 1.0):
        q = (p * np.exp(draw.normal(0, spread, 500))).astype(np.float32)
        distance = np.abs(p / p.sum() - q / q.sum()).sum() / 2
        numbers = draw.random(4000)
        same = np.mean([race(p.copy(), number) == race(q.copy(), number) for number in numbers])
        assert same > (1 - distance) / (1 + distance) - 0.02


def test_a_race_draws_from_the_weights():
    draw = np.random.default_rng(8)
    for size in (2, 17, 300):
        weights = draw.random(size).astype(np.float32) ** 3
        weights[size // 2] = 0
        counts = np.bincount(
            [race(weights.copy(), number) for number in draw.random(100_000)], minlength=size
        )
        expected = 100_000 * weights / weights.sum(dtype=np.float64)
        common = expected > 5
        chi_square = ((counts - expected)[common] ** 2 / expected[common]).sum()
        assert counts[size // 2] == 0 and chi_square < size + 5 * np.sqrt(2 * size)
    # Numbers one after another stand for tokens that have nothing to do with each other.
    tokens = np.array([race(np.ones(4, np.float32), number * 2.0**-53) for number in range(20_000)])
    pairs = np.bincount(4 * tokens[:-1] + tokens[1:], minlength=16)
    assert np.abs(pairs - 1250).max() < 5 * np.sqrt(1250)
