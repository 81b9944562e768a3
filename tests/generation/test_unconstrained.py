"""Texts drawn in compiled code, many tokens at a time, are those that are chosen step by step."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

import langue
from langue.generation.unconstrained import RUN
from langue.protocols.drawing import Draws
from langue.tokens.utf8 import REJECT

RULES: dict[str, Any] = {"bias": {"<eos>": 0.0}}  # changes nothing, but each distribution is looked at for it
SETTINGS: list[dict[str, Any]] = [
    {"temperature": 1.0, "top_p": 1.0},
    {"temperature": 0.7, "top_k": 20, "top_p": 0.9},
    {"temperature": 1.3, "min_p": 0.02, "stop": ["e", "king"]},
    {"temperature": 0.0},
]
NETWORKS = ("gpt2", "transformer", "bert2bert")


@pytest.fixture(scope="module")
def models(
    small_models: dict[str, Path], small_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Beside the others, decoders of documents part by part."""
    folder, tiny = tmp_path_factory.mktemp("parts"), {"layers": 1, "width": 32, "heads": 2, "context": 32}
    for name in NETWORKS[1:]:
        langue.train(name, small_store, folder / name, steps=30, batch_tokens=512, **tiny)
    return small_models | {name: folder / name for name in NETWORKS[1:]}


@pytest.mark.parametrize("name", ["trigram", *NETWORKS])
@pytest.mark.parametrize("settings", SETTINGS)
def test_drawn_as_step_by_step(models: dict[str, Path], name: str, settings: dict[str, Any]) -> None:
    model = langue.CausalModel.load(models[name])
    asked = {"max_tokens": 4 * RUN + 3, **settings}  # more than the window of the network has
    for seed in range(3):
        drawn = model.generate("The king", seed=seed, **asked)
        stepped = model.generate("The king", seed=seed, **asked, **RULES)
        assert drawn == stepped and drawn.log_prob == pytest.approx(stepped.log_prob, rel=1e-6)
    prompts = ["The king", "", "却说"]
    together = [list(model.generate_all(prompts, n=2, **asked, **some)) for some in ({}, RULES)]
    assert together[0] == together[1]


@pytest.mark.parametrize("quantize", [None, "int8"])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_texts_of_networks_are_the_same_by_torch_alone_and_side_by_side(
    models: dict[str, Path], name: str, quantize: Literal["int8"] | None
) -> None:
    model = langue.CausalModel.load(models[name], quantize=quantize)
    prompts = ["The king", "", "却说", "and shall not come to thee", "k", "The", "first citizen", "speak"]
    texts: list[list[str]] = []

    def write(rows: int, **rules: Any) -> None:
        texts.append([])
        for number, settings in enumerate(SETTINGS):
            asked = {"max_tokens": RUN + 40, "seed": number, **settings, **rules}
            written = model.generate_all(prompts, batch_size=rows, **asked)
            texts[-1] += [one.text for (one,) in written]

    for rows in (1, 8):
        write(rows)
        write(rows, **RULES)
    if quantize is None:
        model.folder.model.compiled = lambda: None  # type: ignore[method-assign]
        for rows in (1, 8):
            write(rows)
    assert all(some == texts[0] for some in texts)


@pytest.mark.parametrize("name", ["trigram", *NETWORKS])
def test_a_decoder_has_read_what_it_drew(models: dict[str, Path], name: str) -> None:
    face = langue.CausalModel.load(models[name])
    model, leads = face.folder.model, face.tokenizer.well_formed.leads
    prompt = face.tokenizer.encode("The king")
    decoder = model.decoder([prompt, prompt[:0]], depth=3)
    plain, none = np.array([[1.0, 0, 1, 0]] * 2), np.array([-1, -1])
    numbers, states = np.random.default_rng(1).random((2, 5)), np.zeros(2, np.int64)
    draws = Draws(numbers, np.array([5, 2]), plain, leads, states, none)
    ids, log_probs = decoder.draw(draws)
    assert [len(row) for row in ids] == [len(row) for row in log_probs] == [5, 2]
    whole = [np.concatenate([prompt, ids[0]]), ids[1]]
    for row, scores, said in zip(whole, model.log_probs(whole), log_probs, strict=True):
        assert np.allclose(scores[len(row) - len(said) :], said, atol=1e-5)
    assert np.array_equal(decoder.log_probs(), model.decoder(whole).log_probs())
    decoder.truncate([3, 1])
    fewer = model.decoder([whole[0][:-3], whole[1][:-1]])
    assert np.array_equal(decoder.log_probs(), fewer.log_probs())
    # A token that ends a row is the last; where none may stand next, none is drawn.
    likeliest = np.where(leads[0] != REJECT, decoder.log_probs(), -np.inf).argmax(1)
    greedy = draws._replace(settings=plain * 0, ends=likeliest)
    assert [row.tolist() for row in fewer.draw(greedy)[0]] == [[int(id)] for id in likeliest]
    barred = draws._replace(leads=np.full_like(leads, REJECT))
    assert [len(row) for row in decoder.draw(barred)[0]] == [0, 0]


def test_tokens_that_are_drawn_in_one_call_end_with_the_window(small_models: dict[str, Path]) -> None:
    face = langue.CausalModel.load(small_models["gpt2"])
    model = face.folder.model
    prompt = face.tokenizer.encode("The king")
    for read in (0, 1, model.context - len(prompt) - 2, model.context - len(prompt) - 1, model.context):
        decoder = model.decoder([prompt, prompt[:1]])
        decoder.extend([np.resize(prompt, read), prompt[:0]])
        position = len(prompt) + read  # of what was read last, behind `<eos>`
        start = model.window_start(position)
        assert decoder.most() == max(start + model.context - position, 1)
