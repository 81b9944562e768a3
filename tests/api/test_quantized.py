"""`quantize="int8"`: what it gives, what is kept of its measurement, and what it refuses."""

import json
import logging
import shutil
from itertools import pairwise

import numpy as np
import pytest

import langue
from langue.base.errors import Damaged, InvalidSetting, LangueError, Unsupported
from langue.cli import run
from langue.nn.quantized import FILE, known


@pytest.fixture
def gpt2(small_models, tmp_path):
    return shutil.copytree(small_models["gpt2"], tmp_path / "gpt2")


def test_a_quantized_model_scores_and_writes_nearly_the_same(gpt2):
    whole, coarse = langue.load(gpt2), langue.load(gpt2, quantize="int8")
    text = "It was the best of times, 喜怒哀乐。"
    bits, other = whole.score(text).bits.sum(), coarse.score(text).bits.sum()
    assert bits != other and abs(other / bits - 1) < 0.01
    nexts = [dict(model.next_tokens("the ", k=5)) for model in (whole, coarse)]
    assert nexts[0] != nexts[1]
    assert max(abs(nexts[0][token] - nexts[1].get(token, 0)) for token in nexts[0]) < 0.01
    text = coarse.generate("the ", max_tokens=60, seed=4)
    assert text == coarse.generate("the ", max_tokens=60, seed=4)


def test_the_scores_in_int8_are_those_that_generation_sees(gpt2):
    model = langue.load(gpt2, quantize="int8").folder.model
    ids = np.random.default_rng(0).integers(1, model.vocabulary.size, size=80)  # beyond the window of 32
    decoder = model.decoder([[]])
    seen = [decoder.log_probs()[0][ids[0]]]
    for id, following in pairwise(ids):
        decoder.extend(np.array([[id]]))
        seen.append(decoder.log_probs()[0][following])
    np.testing.assert_allclose(model.log_probs([ids])[0], seen, atol=2e-6)


def test_evaluate_measures_both_and_keeps_it_beside_what_is_there(gpt2, small_store, caplog):
    before = {path.name: path.read_bytes() for path in gpt2.iterdir() if path.is_file()}
    with caplog.at_level(logging.WARNING):
        langue.load(gpt2, quantize="int8")
    assert f"langue evaluate {gpt2} STORE --quantize int8" in caplog.text
    result = langue.evaluate(gpt2, small_store, quantize="int8")
    figures = known(gpt2, langue.info(gpt2)["digest"])
    assert figures.bits_per_byte == result.evaluation.bits_per_byte
    assert figures.float32_bits_per_byte == langue.evaluate(gpt2, small_store).bits_per_byte
    assert 0 < abs(figures.rise) < 0.002  # the gate
    assert {name: (gpt2 / name).read_bytes() for name in before} == before
    assert langue.info(gpt2)["quantized"]["bits_per_byte"] == figures.bits_per_byte
    assert "float32 has" in str(result) and result.to_json()["rise"] == figures.rise
    caplog.clear()
    langue.load(gpt2, quantize="int8")
    assert not caplog.text


def test_a_figure_beyond_the_gate_warns_and_one_of_other_weights_does_not_count(gpt2, small_store, caplog):
    langue.evaluate(gpt2, small_store, quantize="int8")
    kept = json.loads((gpt2 / FILE).read_text())
    kept["bits_per_byte"] = kept["float32_bits_per_byte"] * 1.01
    (gpt2 / FILE).write_text(json.dumps(kept))
    langue.load(gpt2, quantize="int8")
    assert "is worse in int8" in caplog.text and "+1.00%" in caplog.text
    kept["of"] = "0" * 64
    (gpt2 / FILE).write_text(json.dumps(kept))
    caplog.clear()
    langue.load(gpt2, quantize="int8")
    assert "never measured" in caplog.text and "quantized" not in langue.info(gpt2)
    kept["bits_per_byte"] = "none"
    (gpt2 / FILE).write_text(json.dumps(kept))
    with pytest.raises(Damaged, match=FILE):
        langue.info(gpt2)


def test_what_cannot_be_quantized_says_so(small_models, gpt2, capsys):
    with pytest.raises(Unsupported, match="no form in int8; leave quantize out"):
        langue.load(small_models["trigram"], quantize="int8")
    assert run(["generate", str(small_models["trigram"]), "the ", "--quantize", "int8"]) == 2
    assert "no form in int8; leave --quantize out" in capsys.readouterr().err
    with pytest.raises(InvalidSetting, match="known: int8"):
        langue.load(gpt2, quantize="int4")
    with pytest.raises(InvalidSetting, match="leave device and dtype out"):
        langue.load(gpt2, quantize="int8", dtype="bfloat16")


def test_a_mixture_quantizes_its_networks(small_models, small_store, tmp_path):
    parts = [str(small_models["trigram"]), str(small_models["gpt2"])]
    path = tmp_path / "mixture"
    langue.train("mixture", small_store, path, models=parts)
    model = langue.load(path, quantize="int8").folder.model
    assert [getattr(part, "quantize", None) for part in model.models] == [None, "int8"]


def test_the_commands_take_it(gpt2, small_store, capsys):
    assert run(["evaluate", str(gpt2), str(small_store), "--quantize", "int8"]) == 0
    assert "float32 has" in capsys.readouterr().out
    assert run(["generate", str(gpt2), "the ", "--max-tokens", "5", "--quantize", "int8"]) == 0
    assert capsys.readouterr().out.startswith("the ")


def test_what_is_asked_of_the_documents_holds_in_int8_too(gpt2, small_store):
    with pytest.raises(LangueError, match="has no fields"):
        langue.evaluate(gpt2, small_store, quantize="int8", text_field="body")
    with pytest.raises(InvalidSetting, match="labeled file of a tagger"):
        langue.evaluate(gpt2, small_store, quantize="int8", format="conll")
