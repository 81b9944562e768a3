"""A mixture of a GPT-2 and an n-gram draws within the step of the network what it says token by token."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from tests.nn.compiled.decoders import check_drawn_as_chosen

import langue
from langue.models.networks.mixture import Mixture, MixtureDecoder
from langue.models.networks.mixture_draw import DrawingMixture
from langue.nn.compiled import drafting, transformer
from langue.protocols.drawing import Draws


@pytest.fixture(scope="module")
def mixtures(
    small_models: dict[str, Path], small_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("mixtures")
    for name, parts in (("before", ("trigram", "gpt2")), ("behind", ("gpt2", "trigram"))):
        paths = [str(small_models[part]) for part in parts]
        langue.train("mixture", small_store, folder / name, models=paths)
    return {name: folder / name for name in ("before", "behind")}


def mixture_of(path: Path, **how: Any) -> Mixture:
    return cast(Mixture, langue.load(path, **how).folder.model)


def prompts_of(model: Mixture, *lengths: int) -> list[Any]:
    draw = np.random.default_rng(3)
    return [draw.integers(1, model.vocabulary.size, size=length) for length in lengths]


@pytest.mark.parametrize("how", [{}, {"quantize": "int8"}])
@pytest.mark.parametrize("drafts", [False, True])
@pytest.mark.parametrize("name", ["before", "behind"])
def test_tokens_drawn_in_one_call_are_those_chosen_one_by_one(
    mixtures: dict[str, Path], name: str, drafts: bool, how: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transformer, "pays", lambda weights: drafts)
    model = mixture_of(mixtures[name], **how)
    assert isinstance(model.decoder([]), DrawingMixture)
    check_drawn_as_chosen(model, prompts_of(model, 0, 1, 9, 12, 40, 3))
    check_drawn_as_chosen(model, prompts_of(model, 20), calls=9)  # alone, and windows move on


def test_a_text_has_the_bits_of_one_without_drafts(
    mixtures: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = {}
    for drafts in (False, True):
        monkeypatch.setattr(transformer, "pays", lambda weights, drafts=drafts: drafts)
        model = mixture_of(mixtures["before"])
        decoder = cast(DrawingMixture, model.decoder(prompts_of(model, 5)))
        numbers = np.random.default_rng(5).random((1, 25))
        leads, zero = np.zeros((1, model.vocabulary.size), np.uint8), np.zeros(1, np.int64)
        draws = Draws(numbers, np.array([25]), np.array([[1.0, 0, 1, 0]]), leads, zero, zero - 1)
        (ids,), (log_probs,) = decoder.draw(draws)
        texts[drafts] = ids.tolist(), log_probs.tolist(), decoder.log_probs().tolist()
        pace = cast(Any, decoder.network.room).pace
        assert len(pace) == 0 or pace[drafting.RATE] != drafting.LIKELY
        assert (len(pace) > 0) == drafts
    assert texts[True] == texts[False]


def test_what_it_draws_is_what_it_says(mixtures: dict[str, Path]) -> None:
    """Against the decoder of any parts."""
    model = mixture_of(mixtures["before"])
    drawing = cast(DrawingMixture, model.decoder(prompts_of(model, 7)))
    plain = MixtureDecoder(
        model.vocabulary,
        [part.decoder(prompts_of(model, 7)) for part in model.models],
        [False, True],
        model.weights,
    )
    leads, zero = np.zeros((1, model.vocabulary.size), np.uint8), np.zeros(1, np.int64)
    for _ in range(6):
        np.testing.assert_array_equal(drawing.log_probs(), plain.log_probs())
        draws = Draws(np.zeros((1, 4)), np.array([4]), np.array([[0.0, 0, 1, 0]]), leads, zero, zero - 1)
        (ids,), (log_probs,) = drawing.draw(draws)
        for id, log_prob in zip(ids, log_probs, strict=True):
            after = plain.log_probs()[0]
            assert after.argmax() == id and after[id] == log_prob
            plain.extend([np.array([id])])


def test_parts_of_other_kinds_are_mixed_step_by_step(
    small_models: dict[str, Path], small_store: Path, tmp_path: Path
) -> None:
    parts = [str(small_models[name]) for name in ("trigram", "unigram", "gpt2")]
    langue.train("mixture", small_store, tmp_path / "three", models=parts)
    model = mixture_of(tmp_path / "three")
    assert type(model.decoder([])) is MixtureDecoder
    assert langue.CausalModel.load(tmp_path / "three").generate("the", max_tokens=5).tokens
