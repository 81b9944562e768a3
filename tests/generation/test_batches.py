"""Many texts side by side: each is what it would be alone, however they come and go."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import langue
from langue.base.seeds import generator
from langue.generation.sample import Sampling, choose

WORDS = ("the", "king", "is dead", "and", "shall", "not", "come", "to thee", "却说", "first citizen", "speak")


def prompts(count: int = 64) -> list[str]:
    """Of no words to some hundred tokens: beyond the context of the network."""
    draw = np.random.default_rng(0)
    lengths = [0, 1, *draw.integers(1, 60, count - 2).tolist()]
    return [" ".join(draw.choice(WORDS, length)) for length in lengths]


@pytest.mark.parametrize("name", ["trigram", "gpt2"])
def test_in_a_batch_as_one_by_one(small_models: dict[str, Path], name: str) -> None:
    """64 prompts, of which many end early and make room, by a context that most of them pass."""
    model = langue.CausalModel.load(small_models[name])
    settings = {"max_tokens": 24, "temperature": 1.0, "top_p": 1.0, "stop": ["he"], "seed": 5}
    alone = [model.generate(text, **settings) for text in prompts()]  # type: ignore[arg-type]
    for rows in (7, 64):
        together = list(model.generate_all(prompts(), batch_size=rows, **settings))  # type: ignore[arg-type]
        assert [some[0] for some in together] == alone
    assert "stop" in {one.finished for one in alone}
    assert len({one.tokens for one in alone}) > 5


def test_texts_of_one_prompt_differ_and_the_first_is_that_of_the_seed(small_models: dict[str, Path]) -> None:
    model = langue.CausalModel.load(small_models["gpt2"])
    (some,) = model.generate_all(["The king"], n=4, max_tokens=20, temperature=1.0, seed=2)
    assert some[0] == model.generate("The king", max_tokens=20, temperature=1.0, seed=2)
    assert len({one.text for one in some}) == 4
    (alone,) = model.generate_all(["The king"], n=4, max_tokens=20, temperature=1.0, seed=2, batch_size=1)
    assert some == alone
    (best,) = model.generate_all(["The king"], n=2, best_of=4, max_tokens=20, temperature=1.0, seed=2)
    assert best == sorted(some, key=lambda one: -one.log_prob / one.tokens)[:2]


def test_the_log_probability_is_that_of_the_text(small_models: dict[str, Path]) -> None:
    model = langue.CausalModel.load(small_models["trigram"])
    for seed in range(5):
        (best, *_) = model.beam_search("", num_beams=3, max_tokens=12)
        written = model.generate("", max_tokens=4000, seed=seed)
        for one in (best, written) if written.finished == "eos" else (best,):
            if one.finished == "eos":
                nats = model.score(one.text).total_bits * np.log(2)
                assert -one.log_prob >= nats - 1e-3  # tokens as they were drawn may be others


def test_prompts_are_read_as_there_is_room(small_models: dict[str, Path]) -> None:
    model = langue.CausalModel.load(small_models["trigram"])
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield "The"

    results = model.generate_all(endless(), batch_size=4, max_tokens=3)
    assert [len(next(results)) for _ in range(3)] == [1, 1, 1]
    assert read <= 8
    assert list(model.generate_all([])) == []
    assert [some[0].finished for some in model.generate_all(["a", "b"], max_tokens=0)] == ["length"] * 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n": 0}, "n is to be a whole number"),
        ({"n": 3, "best_of": 2}, "best_of = 2 is less than n = 3"),
        ({"batch_size": 0}, "batch_size is to be a whole number"),
        ({"prompts": "The king"}, "prompts is to be a list of texts"),
    ],
)
def test_what_makes_no_sense_is_refused(
    small_models: dict[str, Path], settings: dict[str, object], message: str
) -> None:
    model = langue.CausalModel.load(small_models["trigram"])
    with pytest.raises(langue.InvalidSetting, match=message):
        list(model.generate_all(**{"prompts": ["The"], **settings}))  # type: ignore[arg-type]


def test_beams_of_many_prompts_are_those_of_each(small_models: dict[str, Path]) -> None:
    for name in ("trigram", "gpt2"):
        model = langue.CausalModel.load(small_models[name])
        some = prompts(12)
        alone = [model.beam_search(text, num_beams=3, max_tokens=9) for text in some]
        together = list(model.beam_search_all(some, num_beams=3, max_tokens=9))
        assert together == alone


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"temperature": 1.0, "top_p": 1.0}, lambda p: p),
        ({"temperature": 1.0, "top_p": 0.9}, lambda p: np.where(np.cumsum(p) - p < 0.9, p, 0)),
        ({"temperature": 0.7, "top_p": 1.0, "top_k": 40}, lambda p: np.where(np.arange(len(p)) < 40, p, 0)),
        ({"temperature": 1.0, "top_p": 1.0, "min_p": 0.02}, lambda p: np.where(p >= 0.02 * p[0], p, 0)),
    ],
)
def test_draws_follow_the_distribution(settings: dict[str, float], expected: object) -> None:
    """Chi-square, four times 25,000 draws, over a vocabulary with a long tail."""
    V, draws = 500, 25_000
    logits = np.sort(np.random.default_rng(1).normal(0, 2.5, V))[::-1]
    p = np.exp(logits / settings["temperature"])
    p = expected(p / p.sum())  # type: ignore[operator]
    p /= p.sum()
    order = np.random.default_rng(2).permutation(V)  # ids are in no order
    logs, draw = np.empty(V), generator(3, "chi-square")
    logs[order] = logits - np.logaddexp.reduce(logits)
    sampling = Sampling(**settings)  # type: ignore[arg-type]
    nothing = np.empty(0, np.int64)
    drawn = np.bincount([choose(logs, nothing, sampling, draw) for _ in range(draws)], minlength=V)[order]
    assert not drawn[p == 0].any()
    cells = np.flatnonzero(p * draws >= 10)
    seen = np.append(drawn[cells], draws - drawn[cells].sum())
    wanted = np.append(p[cells], max(1 - p[cells].sum(), 0)) * draws
    kept = wanted > 0
    chi_square = ((seen[kept] - wanted[kept]) ** 2 / wanted[kept]).sum()
    degrees = kept.sum() - 1
    assert chi_square < degrees + 3.72 * np.sqrt(2 * degrees) + 20  # of a normal with its mean and variance
