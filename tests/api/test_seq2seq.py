"""A source and a target of their own: scored, written, and refused where there are no pairs."""

import json
from pathlib import Path

import numpy as np
import pytest

import langue
from langue import cli

PAIRS = {"one two": "eins zwei", "two one": "zwei eins", "天": "sky", "one": "eins"}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    lines = [f"{source}\t{target}" for source, target in PAIRS.items()]
    (folder / "pairs.txt").write_text("\n".join(lines * 12), encoding="utf-8")
    held = folder / "held.txt"
    held.write_text("\n".join(lines), encoding="utf-8")
    langue.prepare(
        folder / "pairs.txt", folder / "store", valid=[held], test=[held], documents="line", kind="chars"
    )
    tiny = {"layers": 1, "width": 32, "heads": 2, "context": 32, "batch_tokens": 512, "learning_rate": 0.01}
    langue.train("transformer", folder / "store", folder / "model", separator="\t", steps=150, **tiny)
    langue.train("transformer", folder / "store", folder / "plain", steps=1, **tiny)
    return folder


def test_a_target_is_written_from_its_source(pairs: Path) -> None:
    model = langue.load(pairs / "model")
    assert isinstance(model, langue.Seq2SeqModel)
    for source, target in PAIRS.items():
        assert model.generate_target(source, temperature=0.0).text == target
        assert model.beam_search_target(source, num_beams=2)[0].text == target
        assert "".join(model.stream_target(source, temperature=0.0)) == target


def test_a_target_is_scored_given_its_source(pairs: Path) -> None:
    """What the pair costs, less what its source and the separator do."""
    model = langue.Seq2SeqModel.load(pairs / "model")
    whole, target = model.score("天\tsky"), model.score_target("天", "sky")
    assert target.text == "sky"
    assert target.tokens == [*"sky", "<eos>"]
    assert target.spans.tolist() == [[0, 1], [1, 2], [2, 3], [3, 3]]
    assert target.bits == pytest.approx(whole.bits[-4:])
    right, wrong = (model.score_target("one", text).total_bits for text in ("eins", "zwei"))
    assert right < wrong
    assert np.isfinite(model.score_target("", "x").total_bits)


def test_what_is_no_pair_is_refused(pairs: Path, small_models: dict[str, Path]) -> None:
    model = langue.Seq2SeqModel.load(pairs / "model")
    with pytest.raises(langue.InvalidSetting, match="holds the separator"):
        model.generate_target("one\ttwo")
    with pytest.raises(langue.Unsupported, match="without pairs"):
        langue.Seq2SeqModel.load(pairs / "plain")
    assert not isinstance(langue.load(pairs / "plain"), langue.Seq2SeqModel)
    with pytest.raises(langue.Unsupported, match="Seq2Seq"):
        langue.Seq2SeqModel.load(small_models["trigram"])


def test_the_command_line_takes_a_source(pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(pairs / "model")
    assert cli.run(["generate", path, "--source", "two one", "--temperature", "0"]) == 0
    assert capsys.readouterr().out == "zwei eins\n"
    assert cli.run(["generate", path, "--source", "天", "--num-beams", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["text"] == "sky"
    assert cli.run(["generate", path, "one", "--source", "two"]) == 2
    assert "not both" in capsys.readouterr().err
