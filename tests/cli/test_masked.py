"""Filling, embedding, pseudo-scoring and measuring an encoder, as a user types it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import langue
from langue import cli


@pytest.fixture(scope="module")
def encoder(small_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoder") / "bert"
    tiny = {"layers": 1, "width": 32, "heads": 2, "context": 32, "steps": 5, "batch_tokens": 256}
    langue.train("bert", small_store, folder, sentence_pairs="none", **tiny)
    return folder


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*arguments: str | Path, code: int = 0) -> str:
        capsys.readouterr()
        assert cli.run([str(argument) for argument in arguments]) == code
        printed = capsys.readouterr()
        return printed.err if code else printed.out

    return call


def test_vectors_are_measured_by_how_they_rank_pairs(run: Any, encoder: Path, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.tsv"
    rows = [
        ("the king", "the king", 1),
        ("the king", "天下大势", 0),
        ("a queen", "a queen", 1),
        ("rain", "第一回", 0),
    ]
    pairs.write_text("".join(f"{one}\t{other}\t{label}\n" for one, other, label in rows), encoding="utf-8")
    told = json.loads(run("evaluate", encoder, pairs, "--similarity", "--json"))
    assert told["pairs"] == 4 and told["spearman"]["cosine"]["value"] > 0.8
    assert "Spearman" in run("evaluate", encoder, pairs, "--similarity")
    assert "alone" in run("evaluate", encoder, pairs, "--similarity", "--check", code=2)
    lines = tmp_path / "lines.txt"
    lines.write_text("".join(f"{one}\n" for one, _, _ in rows), encoding="utf-8")
    vectors = np.array(json.loads(run("embed", encoder, lines, "--whiten", "--json")))
    assert vectors.shape == (4, 2)  # of four texts, three differ
    np.testing.assert_allclose(vectors.mean(0), 0, atol=1e-5)
    lines.write_text("one\n", encoding="utf-8")
    assert "vectors that differ" in run("embed", encoder, lines, "--whiten", code=2)


def test_similar_by_vectors_and_a_kept_index(
    run: Any, encoder: Path, small_text: Path, tmp_path: Path
) -> None:
    index = tmp_path / "index"
    arguments = ["similar", "the king", small_text, "--model", encoder, "--passages", "line", "--json"]
    alone = json.loads(run(*arguments))
    assert alone["by"] == str(encoder)
    assert json.loads(run(*arguments, "--index", index)) == alone
    written = (index / "vectors.npy").stat().st_mtime_ns
    assert json.loads(run(*arguments, "--index", index)) == alone  # read, not made
    assert (index / "vectors.npy").stat().st_mtime_ns == written
    whitened = ["--whiten", "--index", index]
    assert "--overwrite" in run(*arguments, *whitened, code=2)
    first = json.loads(run(*arguments, *whitened, "--overwrite"))
    assert json.loads(run(*arguments, *whitened)) == first != alone
    held = langue.Passages.read(small_text, cut="line")
    model = langue.MaskedModel.load(encoder)
    vectors = model.embed([held.passage(number) for number in range(len(held))])
    (query,) = model.embed(["the king"])
    cosines = vectors @ query / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query)
    scores = [one["score"] for one in alone["passages"]]
    np.testing.assert_allclose(scores, np.sort(cosines)[::-1][: len(scores)], atol=1e-5)
    (index / "vectors.npy").write_bytes(b"cut")
    assert "no whole index" in run(*arguments, *whitened, code=2)


def test_an_index_that_is_not_what_it_must_be_is_named(
    run: Any, encoder: Path, small_text: Path, tmp_path: Path
) -> None:
    index = tmp_path / "index"
    arguments = ["similar", "the king", small_text, "--model", encoder, "--whiten", "--index", index]
    first = run(*arguments)
    for name in ("vectors", "mean", "matrix"):
        array = np.load(index / f"{name}.npy")
        for wrong in (array[:-1], array[None], array.astype(np.int64), np.full_like(array, np.nan)):
            np.save(index / f"{name}.npy", wrong)
            assert name in run(*arguments, code=2)
        np.save(index / f"{name}.npy", array)
    np.save(index / "mean.npy", np.load(index / "mean.npy")[:3])  # of a narrower model, consistently
    np.save(index / "matrix.npy", np.load(index / "matrix.npy")[:3])
    assert "vectors of 3 numbers" in run(*arguments, code=2)
    for wrong_json in ("[]", "null", '{"fingerprint": 3}', "[" * 100_000, '{"passages": 1e999}'):
        (index / "index.json").write_text(wrong_json)
        assert "no whole index" in run(*arguments, code=2)
    assert run(*arguments, "--overwrite") == first


def test_fill(run: Any, encoder: Path) -> None:
    shown = run("fill", encoder, "The capital of [MASK] is Paris", "--top", "3")
    assert shown.count("%") == 3
    assert shown.splitlines()[-1].startswith("The capital of")
    found = json.loads(run("fill", encoder, "床前明月", "--num-masks", "2", "--top", "4", "--json"))
    assert [len(gap["candidates"]) for gap in found["gaps"]] == [4, 4]
    assert found["text"].startswith("床前明月")
    assert len(found["text"]) > 4
    assert "write [MASK] where a token is missing" in run("fill", encoder, "nothing", code=2)


def test_embed(run: Any, encoder: Path, tmp_path: Path) -> None:
    lines = tmp_path / "lines.txt"
    lines.write_text("The king\n天下大势\n", encoding="utf-8")
    vectors = np.array(json.loads(run("embed", encoder, lines, "--json")))
    assert vectors.shape == (2, 32)
    assert "2 vectors of 32 numbers" in run("embed", encoder, lines, "-o", tmp_path / "v.npy")
    np.testing.assert_allclose(np.load(tmp_path / "v.npy"), vectors, rtol=1e-6)
    first = run("embed", encoder, lines, "--pooling", "cls").splitlines()
    assert len(first[0].split("\t")) == 32
    assert "is no file" in run("embed", encoder, "/dev/null", code=2)


def test_pseudo_scores_say_what_they_are(run: Any, encoder: Path, tmp_path: Path) -> None:
    lines = tmp_path / "lines.txt"
    lines.write_text("The king is dead.\n第一回\n", encoding="utf-8")
    assert run("score", encoder, lines).startswith("pseudo-bits\tpseudo-bits/byte\ttext")
    found = json.loads(run("score", encoder, lines, "--json", "--per-token"))
    assert found[1]["text"] == "第一回"
    for row in found:
        assert row["pseudo_bits"] == pytest.approx(sum(part["pseudo_bits"] for part in row["per_token"]))


def test_an_encoder_has_no_bits_per_byte(
    run: Any, encoder: Path, small_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("langue.evaluation.masked.PSEUDO_TOKENS", 50)
    shown = run("evaluate", encoder, small_store, "--check")
    assert "masked accuracy" in shown
    assert "do not set these figures beside bits per byte" in shown
    assert json.loads(run("evaluate", encoder, small_store, "--json"))["bits_per_byte"] is None
    for verb in (("next", encoder), ("compare", encoder, "--on", small_store)):
        assert "reads in both directions" in run(*verb, code=2)


def test_a_causal_model_fills_no_gap(run: Any, small_models: dict[str, Path], small_text: Path) -> None:
    for verb in (("fill", small_models["trigram"], "a [MASK]"), ("embed", small_models["gpt2"], small_text)):
        assert "reads from left to right and sees nothing after a gap" in run(*verb, code=2)


def test_generate_writes_between_a_prompt_and_a_suffix(
    run: Any, encoder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "langue"):
        shown = run("generate", encoder, "却说", "--tokens", "5", "--suffix", "。")
    assert shown.startswith("却说") and shown.endswith("。\n")
    assert "nothing streams, and what it writes has no probability" in caplog.messages[0]
    assert caplog.messages[-1].startswith("5 tokens, ")
    lines = tmp_path / "prompts.txt"
    lines.write_text("The king\n却说\n", encoding="utf-8")
    drawn = ("--method", "gibbs", "--rounds", "2", "--tokens", "4", "--seed", "3", "--json")
    rows = [
        json.loads(line)
        for line in run("generate", encoder, "--prompts", lines, "-n", "2", *drawn).splitlines()
    ]
    assert [row["prompt"] for row in rows] == ["The king", "The king", "却说", "却说"]
    assert {row["log_prob"] for row in rows} == {None}
    alone = json.loads(run("generate", encoder, "却说", *drawn))
    assert alone["text"] == rows[2]["text"]
    lines.write_text("")
    assert "is empty" in run("generate", encoder, "--prompts", lines, code=2)


def test_generate_refuses_what_does_not_apply(run: Any, encoder: Path, small_models: dict[str, Path]) -> None:
    refused = {
        ("--max-tokens", "9"): "leave out --max-tokens: say how many --tokens it writes",
        ("--stop", "x", "--ban", "y"): "leave out --stop: its length is given by --tokens; leave out --ban",
        ("--regex", "a+"): "leave out --regex: its tokens do not come in a row",
        ("--best-of", "3"): "leave out --best-of: its texts have no probability",
        ("--num-beams", "3"): "leave out --num-beams",
        ("--draft", "prompt"): "leave out --draft: its tokens do not come in a row",
        ("--sources", "x"): "leave out --sources: it has learned from no pairs",
        ("--quantize", "int8"): "leave out --quantize",
        ("-n", "2"): "2 texts would be the same",
        ("--tokens", "31"): "tokens = 31 is more than the 30 that this model can see at once",
    }
    for options, message in refused.items():
        assert message in run("generate", encoder, *options, code=2)
    for options in (("--tokens", "3"), ("--method", "gibbs"), ("--rounds", "2"), ("--suffix", "x")):
        message = run("generate", small_models["trigram"], "The", *options, code=2)
        assert f"reads from left to right; leave out {options[0]}" in message
