"""A source and a target of their own: scored, written, measured, and refused where there are no pairs."""

import json
import math
import shutil
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

import langue
from langue import cli
from langue.base.checksums import sealed
from langue.base.deprecated import RenamedWarning
from langue.tokens.store import TokenStore
from langue.tokens.tokenizer import Tokenizer
from langue.tokens.train import TokenizerConfig, train_tokenizer

# Tabs, line ends and what looks like a special token may stand in either.
PAIRS = {"one\ttwo": "eins\tzwei", "two one": "zwei\neins", "天": "sky", "one <sep>": "<eos>"}
TINY: dict[str, Any] = {"layers": 1, "width": 32, "heads": 2, "context": 32, "batch_tokens": 512}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    lines = [json.dumps({"source": a, "target": b}, ensure_ascii=False) + "\n" for a, b in PAIRS.items()]
    (folder / "pairs.jsonl").write_text("".join(lines * 12), encoding="utf-8")
    held = folder / "held.jsonl"
    held.write_text("".join(lines), encoding="utf-8")
    texts = folder / "texts.txt"
    texts.write_text("one two\nzwei eins\n" * 30)
    split = {"valid": [held], "test": [held]}
    langue.prepare(folder / "pairs.jsonl", folder / "store", documents="pairs", kind="chars", **split)  # type: ignore[arg-type]
    langue.prepare(texts, folder / "texts", documents="line", kind="chars", valid=[texts], test=[texts])
    langue.train(
        "transformer", folder / "store", folder / "model", norm="pre", steps=120, learning_rate=0.01, **TINY
    )
    langue.train("bert2bert", folder / "store", folder / "bert2bert", steps=1, **TINY)
    langue.train("transformer", folder / "texts", folder / "plain", steps=1, **TINY)
    langue.train("ngram", folder / "store", folder / "ngram", order=3)
    langue.train("ngram", folder / "texts", folder / "of_texts", order=3)
    return folder


def test_a_target_is_written_from_its_source(pairs: Path) -> None:
    model = langue.load(pairs / "model")
    assert isinstance(model, langue.Seq2SeqModel)
    assert model.separator == ""
    for source, target in PAIRS.items():
        assert model.generate_target(source, temperature=0.0).text == target
        assert model.beam_search_target(source, num_beams=2)[0].text == target
        assert "".join(model.stream_target(source, temperature=0.0)) == target


@pytest.mark.parametrize("quantize", [None, "int8"])
@pytest.mark.parametrize("name", ["model", "bert2bert"])
def test_targets_are_the_same_drawn_and_chosen_by_torch_alone_and_side_by_side(
    pairs: Path, name: str, quantize: Literal["int8"] | None
) -> None:
    model = langue.Seq2SeqModel.load(pairs / name, quantize=quantize)
    sources = [*PAIRS, "two two one", "", "天天", "one\tone two"]
    texts: list[list[str]] = []

    def write(rows: int, **rules: Any) -> None:
        texts.append([])
        for temperature in (0.0, 1.0):
            asked = {"max_tokens": 70, "temperature": temperature, "seed": 3, **rules}
            texts[-1] += [one.text for (one,) in model.generate_target_all(sources, batch_size=rows, **asked)]

    for rows in (1, 8):
        write(rows)
        write(rows, bias={"<eos>": 0.0})  # changes nothing, but each distribution is looked at for it
    if quantize is None:
        model.folder.model.compiled = lambda: None  # type: ignore[method-assign]
        for rows in (1, 8):
            write(rows)
    assert all(some == texts[0] for some in texts)
    assert model.generate_target("one\ttwo", max_tokens=70, temperature=1.0, seed=3).text == texts[0][8]


@pytest.mark.parametrize("name", ["model", "bert2bert"])
def test_a_target_is_scored_given_its_source(pairs: Path, name: str) -> None:
    """Brute force: the product of the next-token probabilities after the source and its end."""
    model = langue.Seq2SeqModel.load(pairs / name)
    tokenizer, network = model.tokenizer, model.folder.model
    sep, eos = network.vocabulary.sep, tokenizer.eos
    assert sep is not None
    for source, target in [*PAIRS.items(), ("", "x"), ("one", "")]:
        read = [*tokenizer.encode(source).tolist(), sep]
        expected = []
        for id in [*tokenizer.encode(target).tolist(), eos]:
            row = network.next_log_probs([np.array(read)])[0].astype(np.float64)
            assert np.exp(row).sum() == pytest.approx(1, abs=1e-4)
            expected.append(-row[id] / math.log(2))
            read.append(id)
        score = model.score_target(source, target)
        assert score.bits == pytest.approx(expected, abs=2e-3)
        assert score.text == target
    score = model.score_target("天", "sky")
    assert score.tokens == [*"sky", "<eos>"]
    assert score.spans.tolist() == [[0, 1], [1, 2], [2, 3], [3, 3]]


def test_targets_tell_their_sources_apart_and_no_source_sees_its_target(pairs: Path) -> None:
    model = langue.Seq2SeqModel.load(pairs / "model")
    right, wrong = (model.score_target(source, "sky").total_bits for source in ("天", "two one"))
    assert right < wrong
    network, encode = model.folder.model, model.tokenizer.encode
    sources = []
    for target in ("sky", "xyz\tabc", ""):
        ids = np.array([*encode("two one"), network.vocabulary.sep, *encode(target), model.tokenizer.eos])
        sources.append(network.log_probs([ids])[0][: len(encode("two one")) + 1])
    np.testing.assert_allclose(sources[1], sources[0], atol=1e-6)
    np.testing.assert_allclose(sources[2], sources[0], atol=1e-5)


def test_pairs_are_measured_in_a_store_and_in_a_file(pairs: Path) -> None:
    """Bits of a pair by the bytes of both; those of targets by their own; of any family."""
    model = langue.Seq2SeqModel.load(pairs / "model")
    stored, read = model.evaluate(pairs / "store", check=True), model.evaluate(pairs / "held.jsonl")
    assert stored.passed
    size = sum(len(target.encode()) for target in PAIRS.values())
    bits = sum(model.score_target(*pair).total_bits for pair in PAIRS.items())
    for evaluation in (stored, read):
        assert evaluation.target_bits_per_byte == pytest.approx(bits / size, rel=1e-4)
        assert evaluation.bits_per_byte == pytest.approx(stored.bits_per_byte, rel=1e-4)
        assert evaluation.scores.bytes.sum() == size + sum(len(source.encode()) for source in PAIRS)
        assert len(evaluation.scores.bits) == len(PAIRS)
        assert "of targets" in str(evaluation)
        assert evaluation.to_json()["target_bits_per_byte_interval"][0] <= bits / size
    assert "documents = pairs" in read.cut
    table = langue.compare([pairs / "model", pairs / "ngram"], pairs / "held.jsonl")
    by_name = {row.evaluation.name: row.evaluation for row in table.rows}
    assert by_name["model"].bits_per_byte == pytest.approx(stored.bits_per_byte, rel=1e-4)
    ngram = langue.CausalModel.load(pairs / "ngram").evaluate(pairs / "store", check=True)
    assert ngram.passed
    assert by_name["ngram"].bits_per_byte == pytest.approx(ngram.bits_per_byte)
    assert ngram.target_bits_per_byte is not None


def test_what_is_no_pair_is_refused(pairs: Path, tmp_path: Path, small_models: dict[str, Path]) -> None:
    with pytest.raises(langue.Unsupported, match="without pairs; train it on a store of pairs"):
        langue.Seq2SeqModel.load(pairs / "plain")
    assert not isinstance(langue.load(pairs / "plain"), langue.Seq2SeqModel)
    with pytest.raises(langue.Unsupported, match="Seq2Seq"):
        langue.Seq2SeqModel.load(small_models["trigram"])
    for data in ("store", "held.jsonl"):
        with pytest.raises(langue.Mismatch, match="trained on texts, where no source ends"):
            langue.evaluate(
                pairs / "of_texts", pairs / data, **({} if data == "store" else {"documents": "pairs"})
            )  # type: ignore[arg-type]
    with pytest.raises(langue.LangueError, match="leave the separator out"):
        langue.train("transformer", pairs / "store", tmp_path / "m", separator="\t", steps=1, **TINY)


def test_documents_with_a_separator_still_work(tmp_path: Path) -> None:
    """The setting of an earlier version: a warning, and the scores of the document cut there."""
    texts = tmp_path / "pairs.txt"
    texts.write_text("one two\teins zwei\ntwo\tzwei\n天\tsky\n" * 20, encoding="utf-8")
    langue.prepare(texts, tmp_path / "store", documents="line", kind="chars", valid=[texts], test=[texts])
    with pytest.warns(RenamedWarning, match="separator is now a store of pairs"):
        model = langue.train(
            "transformer", tmp_path / "store", tmp_path / "m", separator="\t", steps=2, **TINY
        )
    assert isinstance(model, langue.Seq2SeqModel)
    assert model.separator == "\t"
    whole, target = model.score("天\tsky"), model.score_target("天", "sky")
    assert target.tokens == [*"sky", "<eos>"]
    assert target.spans.tolist() == [[0, 1], [1, 2], [2, 3], [3, 3]]
    assert target.bits == pytest.approx(whole.bits[-4:])
    assert model.generate_target("two", max_tokens=3, temperature=0.0).tokens <= 3
    with pytest.raises(langue.InvalidSetting, match="holds the separator"):
        model.generate_target("one\ttwo")


@pytest.mark.parametrize("kind", ["bpe", "unigram", "wordpiece", "words", "chars", "bytes", "whitespace"])
def test_no_text_has_the_end_of_a_source(kind: Any) -> None:
    texts = ["<sep> is a word <sep> <sep 2> here <sep>", "<sep><sep>天地<sep>"] * 20
    plain = train_tokenizer(TokenizerConfig(kind=kind), texts)
    tokenizer, sep = plain.with_separator()
    assert (tokenizer.kind, tokenizer.vocab_size, sep) == (kind, plain.vocab_size + 1, plain.vocab_size)
    assert (tokenizer.closed, tokenizer.eos) == (plain.closed, plain.eos)
    for text in [*texts, "<sep>", " <sep 2> ", "<eos><sep>"]:
        ids = tokenizer.encode(text)
        assert sep not in ids
        assert ids.tolist() == plain.encode(text).tolist()
        assert tokenizer.decode([*ids, sep]) == plain.decode(ids)
    again, same = tokenizer.with_separator()
    assert (again.fingerprint, same) == (tokenizer.fingerprint, sep)


def test_a_second_store_takes_the_tokenizer_of_the_first(pairs: Path, tmp_path: Path) -> None:
    held = pairs / "held.jsonl"
    langue.prepare(
        pairs / "pairs.jsonl", tmp_path / "s", documents="pairs", valid=[held], test=[held],
        file=str(pairs / "store" / "tokenizer.json"),
    )  # fmt: skip
    first, second = TokenStore(pairs / "store"), TokenStore(tmp_path / "s")
    assert (first.sep, first.fingerprint) == (second.sep, second.fingerprint)
    tokenizer = Tokenizer.load(first.path / "tokenizer.json")
    ids = first.split("test").document(0).tolist()
    assert tokenizer.decode(ids[: ids.index(first.sep)]) in PAIRS


def test_a_store_without_one_end_of_each_source_is_refused(pairs: Path, tmp_path: Path) -> None:
    """With the digest put right, as whoever made it up would."""
    sep = TokenStore(pairs / "store").sep
    assert sep is not None
    for name, change, message in (
        ("other", {"sep": sep - 1}, "is not of pairs"),
        ("beyond", {"sep": sep + 1}, "sep is"),
        ("eos", {"sep": 0}, "sep is"),
        ("text", {"sep": "x"}, "sep"),
    ):
        folder = tmp_path / name
        shutil.copytree(pairs / "store", folder)
        table = json.loads((folder / "manifest.json").read_text()) | change
        del table["digest"]
        (folder / "manifest.json").write_text(json.dumps(sealed(table)))
        with pytest.raises(langue.LangueError, match=message):
            TokenStore(folder)
    folder = tmp_path / "model"
    shutil.copytree(pairs / "model", folder)
    table = json.loads((folder / "model.json").read_text())
    for wrong in (sep - 1, sep + 1, None):
        table["vocabulary"]["sep"] = wrong
        del table["digest"]
        (folder / "model.json").write_text(json.dumps(table := sealed(table)))
        with pytest.raises(langue.Damaged, match=r"separators is not|sep is"):
            langue.load(folder)


def test_the_command_line_takes_pairs_from_file_to_target(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(pairs / "model")
    assert cli.run(["generate", path, "--source", "one\ttwo", "--temperature", "0"]) == 0
    assert capsys.readouterr().out == "eins\tzwei\n"
    assert cli.run(["generate", path, "--source", "天", "--num-beams", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["text"] == "sky"
    assert cli.run(["generate", path, "one", "--source", "two"]) == 2
    assert "not both" in capsys.readouterr().err
    table = tmp_path / "t.csv"
    table.write_text("en,de\n" + "".join(f'"a {n}",b {n}\n' for n in range(60)))
    store, model = str(tmp_path / "s"), str(tmp_path / "m")
    prepare = ["prepare", str(table), "-o", store, "--documents", "pairs", "--tokenizer", "bytes"]
    assert cli.run(prepare) == 2
    assert "no column 'source' (en, de); pass --source-field" in capsys.readouterr().err
    fields = ["--source-field", "en", "--target-field", "de", "--set", "valid_fraction=0.2"]
    assert cli.run([*prepare, *fields, "--set", "test_fraction=0.2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["documents"] == {"pairs": 1}
    tiny = [f"{name}={value}" for name, value in TINY.items()]
    sets = [part for setting in [*tiny, "steps=1"] for part in ("--set", setting)]
    assert cli.run(["train", "transformer", store, "-o", model, *sets]) == 0
    capsys.readouterr()
    assert cli.run(["evaluate", model, store, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["target_bits_per_byte"] > 0
    assert cli.run(["evaluate", model, str(table)]) == 2
    assert "no column 'source' (en, de); pass --source-field" in capsys.readouterr().err
    names = ["--source-field", "en", "--target-field", "de"]
    figures = []
    for ending, rows in {
        "csv": table.read_text(),
        "tsv": table.read_text().replace(",", "\t").replace('"', ""),
        "jsonl": "".join(json.dumps({"en": f"a {n}", "de": f"b {n}"}) + "\n" for n in range(60)),
    }.items():
        (tmp_path / f"u.{ending}").write_text(rows)
        assert cli.run(["evaluate", model, str(tmp_path / f"u.{ending}"), *names, "--json"]) == 0
        figures.append(json.loads(capsys.readouterr().out)["target_bits_per_byte"])
    assert len(set(figures)) == 1
    assert cli.run(["compare", model, "--on", str(tmp_path / "u.csv"), *names]) == 0
    capsys.readouterr()
    assert cli.run(["evaluate", model, store, *names]) == 2
    assert "has no fields" in capsys.readouterr().err
