"""Taggers as a user meets them: trained, measured, used and misused from the command line."""

import io
import json
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import langue
from langue import cli
from langue.api.models.tagger import NBest, Tagging
from langue.base.errors import InvalidSetting
from langue.corpus.tagged import Sentence
from langue.models.taggers.crf.objective import Objective
from langue.tokens.split_text import split_text

SENTENCES = [
    ("Anna lives in Rome .", "B-PER O O B-LOC O"),
    ("Bruno Costa left New York .", "B-PER I-PER O B-LOC I-LOC O"),
    ("In Paris Anna met Carla Costa .", "O B-LOC B-PER O B-PER I-PER O"),
    ("She sleeps .", "O O O"),
    ("Anna", "B-PER"),
    ("Rome", "B-LOC"),
    ("Paris !", "B-LOC O"),
    ("Paris", "B-LOC"),
    ("Anna lives", "B-PER O"),
]
CHINESE = [
    ("王小明在北京。", "B-PER M-PER E-PER O B-LOC E-LOC O"),
    ("李四去上海。", "B-PER E-PER O B-LOC E-LOC O"),
]


def columns(rows: list[tuple[list[str], list[str]]]) -> str:
    return "\n".join("".join(f"{word} {tag}\n" for word, tag in zip(*row, strict=True)) for row in rows)


@pytest.fixture(scope="module")
def english(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tagged") / "english.conll"
    path.write_text(columns([(text.split(), tags.split()) for text, tags in SENTENCES * 5]))
    return path


@pytest.fixture(scope="module")
def model(english: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "crf"
    langue.train("crf", english, path, valid=english)
    return path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command; what it printed, or the message where it must fail."""

    def do(*arguments: str | Path, code: int = 0) -> str:
        capsys.readouterr()
        assert cli.run([str(argument) for argument in arguments]) == code
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return printed.err if code else printed.out

    return do


def test_the_python_api(model: Path) -> None:
    held = langue.load(model)
    assert held.tag("Anna lives in Rome.") == [
        ("Anna", "B-PER"), ("lives", "O"), ("in", "O"), ("Rome", "B-LOC"), (".", "O"),
    ]  # fmt: skip
    assert held.tag_all(["", "Paris"]) == [[], [("Paris", "B-LOC")]]
    assert held.info()["data"]["columns"] == ["word", "tag"]
    assert "F1 100.00%" in held.summary()
    assert "crf" in repr(held)


def test_train_and_every_verb(run: Callable[..., str], english: Path, tmp_path: Path) -> None:
    path = tmp_path / "m"
    assert "F1 100.00%" in run("train", "crf", english, "-o", path, "--valid", english)
    assert run("tag", path, "Anna lives").splitlines()[0] == "Anna\tB-PER"
    shown = run("evaluate", path, english)
    assert "micro" in shown
    assert "no bits per byte" in shown
    assert run("inspect", path, "--top", "5").count("\n") == 5
    assert "data.sentences" in run("info", path)
    assert "Made with langue" in (path / "README.md").read_text()


def test_json(run: Callable[..., str], model: Path, english: Path) -> None:
    (found,) = json.loads(run("tag", model, "Anna lives", "--json"))
    assert found == {"tokens": ["Anna", "lives"], "tags": ["B-PER", "O"]}
    (best,) = json.loads(run("tag", model, "Anna lives", "--n-best", "3", "--json"))
    assert [len(one["tags"]) for one in best["best"]] == [2, 2, 2]
    assert best["best"][0]["probability"] > best["best"][1]["probability"]
    (shares,) = json.loads(run("tag", model, "Anna", "--marginals", "--json"))
    assert sum(shares["probabilities"][0].values()) == pytest.approx(1, abs=1e-2)
    assert json.loads(run("evaluate", model, english, "--json"))["f1"] == 1
    assert json.loads(run("inspect", model, "--top", "3", "--json"))[0].keys() == {
        "weight",
        "feature",
        "label",
    }


def test_files_come_back_in_their_format_or_another(
    run: Callable[..., str], model: Path, english: Path, tmp_path: Path
) -> None:
    assert run("tag", model, english).split() == english.read_text().split()
    bare = tmp_path / "bare.conll"
    bare.write_text("Anna\nlives\n\nRome\n")
    assert run("tag", model, bare) == "Anna\tB-PER\nlives\tO\n\nRome\tB-LOC\n\n"
    assert json.loads(run("tag", model, bare, "--to", "jsonl").splitlines()[1]) == {
        "tokens": ["Rome"],
        "tags": ["B-LOC"],
    }
    lines = tmp_path / "plain.txt"
    lines.write_text("Anna lives.\n\nParis!")
    assert run("tag", model, lines, "--format", "text").splitlines()[0] == "Anna\tB-PER"
    assert "Anna/B-PER" in run("tag", model, "Anna lives", "--n-best", "2")
    assert "B-PER" in run("tag", model, "Anna lives", "--marginals")
    assert "S-PER" not in run("tag", model, "Anna lives", "--marginals")


def test_standard_input(run: Callable[..., str], model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"Anna\nRome")))
    assert run("tag", model, "-") == "Anna\tB-PER\n\nRome\tB-LOC\n\n"


def test_chinese_is_cut_as_the_model_was_trained(run: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "chinese.bmes"
    path.write_text(columns([(list(text), tags.split()) for text, tags in CHINESE * 5]), encoding="utf-8")
    run("train", "crf", path, "-o", tmp_path / "m")
    assert run("tag", tmp_path / "m", "李四在北京").split() == [
        "李",
        "B-PER",
        "四",
        "E-PER",
        "在",
        "O",
        "北",
        "B-LOC",
        "京",
        "E-LOC",
    ]
    assert split_text("他在GitHub工作3.5年。", "characters") == list("他在GitHub工作3.5年。")
    assert "".join(split_text("他在GitHub工作3.5年。", "words")) == "他在GitHub工作3.5年。"
    assert split_text("state-of-the-art, isn't it?", "words") == [
        "state-of-the-art", ",", "is", "n't", "it", "?",
    ]  # fmt: skip


def test_what_a_tagger_is_not_for(
    run: Callable[..., str], model: Path, english: Path, small_store: Path
) -> None:
    for verb in ("generate", "next", "score"):
        assert "is a tagger" in run(verb, model, english, code=2)
    assert "has no bits per byte" in run("compare", model, "--on", small_store, code=2)
    assert "self-tests" in run("evaluate", model, english, "--check", code=2)
    assert "no file" in run("evaluate", model, small_store, code=2)


def test_what_a_language_model_is_not_for(
    run: Callable[..., str], small_models: dict[str, Path], small_store: Path, english: Path, tmp_path: Path
) -> None:
    assert "not a tagger" in run("tag", small_models["trigram"], "x", code=2)
    assert "leave --valid out" in run(
        "train", "ngram", small_store, "-o", tmp_path / "x", "--valid", english, code=2
    )
    assert "is a folder" in run("train", "crf", small_store, "-o", tmp_path / "x", code=2)


def test_plain_text_taken_for_columns_is_told(
    run: Callable[..., str], model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    english, chinese = tmp_path / "english.txt", tmp_path / "chinese.txt"
    english.write_text("Anna lives in Rome .\n")
    assert "plain text is read with --format=text" in run("tag", model, english, code=2)
    train = tmp_path / "train.conll"
    train.write_text(columns([(list(text), tags.split()) for text, tags in CHINESE * 5]))
    run("train", "crf", train, "-o", tmp_path / "m")
    chinese.write_text("王小明在北京。\n")
    run("tag", tmp_path / "m", chinese)
    assert "--format=text" in caplog.text
    caplog.clear()
    assert "王\tB-PER" in run("tag", tmp_path / "m", chinese, "--format", "text")
    assert "--format=text" not in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Anna B-PER\nlives\n", "line 2 has 1 column, not 2"),
        ("", "holds no sentence"),
        ("Anna ?\n", "no token has a known tag"),
        ("Anna NNP B-PER\nlives VBZ O\n\nRome B-LOC\n", "line 4 has 2 columns, not 3 (word, pos, tag)"),
        ("Anna B-PER\n\nRome NNP B-LOC\n", "line 3 has 3 columns, not 2 (word, tag)"),
        ("\n \n\n", "holds no sentence"),
    ],
)
def test_bad_training_data(run: Callable[..., str], tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.conll"
    path.write_text(text)
    assert message in run("train", "crf", path, "-o", tmp_path / "m", code=2)
    assert not (tmp_path / "m").exists()


def test_bad_settings(run: Callable[..., str], english: Path, tmp_path: Path) -> None:
    for setting, message in (
        ("templats=x", "did you mean templates?"),
        ("l2=-1", "model.l2"),
        ('columns=["tag"]', 'columns hold "word" once'),
        ('templates=["wrd"]', "did you mean word?"),
    ):
        assert message in run("train", "crf", english, "-o", tmp_path / "m", "--set", setting, code=2)


def test_ctrl_c_keeps_the_weights_found_so_far(
    run: Callable[..., str], english: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    original = Objective.__call__

    def stopped(self: Objective, theta: object) -> object:
        calls.append(theta)
        if len(calls) == stop_at:
            signal.raise_signal(signal.SIGINT)
        return original(self, theta)

    monkeypatch.setattr(Objective, "__call__", stopped)
    stop_at = 12
    message = run("train", "crf", english, "-o", tmp_path / "m", code=130)
    assert "the weights found so far are in" in message
    assert langue.load(tmp_path / "m").tag("Anna")
    calls.clear()
    stop_at = 1  # nothing found yet
    run("train", "crf", english, "-o", tmp_path / "none", code=130)
    assert not (tmp_path / "none").exists()


def test_without_seqeval_nothing_is_lost(
    run: Callable[..., str], english: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "seqeval.metrics", None)
    message = run("train", "crf", english, "-o", tmp_path / "m", "--valid", english, code=2)
    assert "pip install 'langue[eval]'" in message
    run("train", "crf", english, "-o", tmp_path / "m", "--set", "iterations=5")
    assert "pip install" in run("evaluate", tmp_path / "m", english, code=2)
    assert run("tag", tmp_path / "m", "Anna")


def test_a_tag_that_training_never_saw(run: Callable[..., str], model: Path, tmp_path: Path) -> None:
    path = tmp_path / "new.conll"
    path.write_text("Anna B-PER\nMonday B-DATE\n")
    assert "never seen in training: B-DATE" in run("evaluate", model, path)


def test_nothing_but_outside(run: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "o.conll"
    path.write_text("She O\nsleeps O\n\nHe O\n")
    run("train", "crf", path, "-o", tmp_path / "m", "--valid", path)
    assert run("tag", tmp_path / "m", "She works") == "She\tO\nworks\tO\n\n"
    scores = json.loads(run("evaluate", tmp_path / "m", path, "--json"))
    assert scores["accuracy"] == 1.0


def test_two_passes(run: Callable[..., str], english: Path, tmp_path: Path) -> None:
    path = tmp_path / "m"
    assert "F1 100.00%" in run("train", "crf", english, "-o", path, "--valid", english, "--set", "passes=2")
    assert run("tag", path, "Anna lives").splitlines()[0] == "Anna\tB-PER"
    assert "found[0]" in run("inspect", path)
    assert "Anna/B-PER" in run("tag", path, "Anna lives", "--n-best", "2")


def test_tags_that_are_known_in_part(run: Callable[..., str], english: Path, tmp_path: Path) -> None:
    path = tmp_path / "part.conll"
    lines = english.read_text().split("\n")
    known = [line.rsplit(" ", 1)[0] + " ?" if line and n % 3 == 0 else line for n, line in enumerate(lines)]
    path.write_text("\n".join(known))
    run("train", "crf", path, "-o", tmp_path / "m")
    assert "Anna\tB-PER" in run("tag", tmp_path / "m", "Anna lives in Rome .")
    assert "?" not in json.loads((tmp_path / "m" / "features.json").read_text())["labels"]


def test_tags_known_in_part_that_no_spans_agree_with(run: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "part.conll"
    path.write_text("Anna B-PER\nsings O\n\nin O\nRome I-LOC\ntoday ?\n")
    said = run("train", "crf", path, "-o", tmp_path / "m", code=2)
    assert "line 4" in said
    assert "constraints = false" in said
    assert not (tmp_path / "m").exists()


def test_sentences_without_a_token(run: Callable[..., str], model: Path, tmp_path: Path) -> None:
    path = tmp_path / "empty.jsonl"
    path.write_text('{"tokens": []}\n{"tokens": ["Anna"]}\n')
    assert [json.loads(line)["tags"] for line in run("tag", model, path).splitlines()] == [[], ["B-PER"]]
    for how in (("--n-best", "3"), ("--marginals",), ("--json",)):
        assert "Anna" in run("tag", model, path, *how)
    assert "the text is empty" in run("tag", model, "", code=2)
    bare = tmp_path / "bare.jsonl"
    bare.write_text('{"tokens": [], "tags": []}\n')
    assert "holds no sentence" in run("train", "crf", bare, "-o", tmp_path / "m", code=2)


def test_columns_beside_the_word(run: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "pos.conll"
    path.write_text("Anna NNP B-PER\nlives VBZ O\n\nRome NNP B-LOC\n\nAnna NNP B-PER\n")
    run("train", "crf", path, "-o", tmp_path / "m")
    assert "reads the columns word, pos" in run("tag", tmp_path / "m", "Anna lives", code=2)
    bare = tmp_path / "bare.conll"
    bare.write_text("Anna NNP\n")
    assert run("tag", tmp_path / "m", bare) == "Anna\tNNP\tB-PER\n\n"


def test_a_recipe_and_a_damaged_folder(run: Callable[..., str], english: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text(
        'family = "crf"\n[model]\ntemplates = ["word[-1..1]", "shape"]\nl1 = 0.1\n[data]\nformat = "conll"\n'
    )
    run("train", recipe, english, "-o", tmp_path / "m")
    assert json.loads((tmp_path / "m" / "model.json").read_text())["recipe"]["model"]["l1"] == 0.1
    weights = tmp_path / "m" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    assert "damaged" in run("tag", tmp_path / "m", "Anna", code=2)


@pytest.mark.slow
def test_chunks_of_conll2000(shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    """A twentieth of the data and few steps: enough to notice a fall in quality."""
    lines = shared_data("conll2000/train.txt").read_text().split("\n\n")
    part = tmp_path / "part.txt"
    part.write_text("\n\n".join(lines[:400]) + "\n")
    model = langue.train("crf", part, tmp_path / "m", iterations=25)
    assert langue.evaluate(model, shared_data("conll2000/test.txt")).scores.f1 > 0.87


def test_pipes_of_a_format(
    run: Callable[..., str], model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conll, jsonl = "Anna\nlives\n\nRome\n", '{"tokens": ["Anna", "lives"]}\n{"tokens": ["Rome"]}\n'
    expected = "Anna\tB-PER\nlives\tO\n\nRome\tB-LOC\n\n"
    for format, text in (("conll", conll), ("jsonl", jsonl), ("tokens", "Anna lives\nRome\n")):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        assert run("tag", model, "-", "--format", format, "--to", "conll") == expected
        pipe = tmp_path / f"{format}.pipe"
        os.mkfifo(pipe)
        writer = threading.Thread(target=pipe.write_text, args=(text,))
        writer.start()
        assert run("tag", model, pipe, "--format", format, "--to", "conll") == expected
        writer.join()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(conll,))
    writer.start()
    assert run("tag", model, pipe) == expected
    writer.join()


def test_a_name_that_looks_like_a_file_is_one(
    run: Callable[..., str], model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    names = ("mising.conll", "x.jsonl.gz", "a.txt", "./eng.testa", "/dev/none", "data/eng.testa", ".", "data")
    for name in names:
        assert "no file" in run("tag", model, name, code=2), name
    for format in ("conll", "conllu", "jsonl", "text", "tokens"):
        assert "no file" in run("tag", model, "mising.conll", "--format", format, code=2)
    assert "no file" in run("tag", model, "Anna", "--format", "conll", code=2)
    for text in ("and/or", "Anna", "U.S.", "3.5", "Open a.txt now"):
        assert run("tag", model, text)


def test_text_that_is_cut_already(run: Callable[..., str], model: Path) -> None:
    held = langue.load(model)
    words = ["Anna", "does", "n't", "pay", "3,000", "in", "the", "U.S.", "."]
    assert [word for word, _ in held.tag(words)] == words
    assert held.tag_all([words, "Anna doesn't"])[1][1][0] == "does"
    assert run("tag", model, " ".join(words), "--format", "tokens").split()[::2] == words
    assert held.n_best([words], n=1)[0].tokens == tuple(words)
    for wrong, message in (
        (["Anna", 3], r"texts\[0\]\[1\]"),
        (["Anna", ""], "empty token"),
        ([["a"]], "a text"),
    ):
        with pytest.raises(InvalidSetting, match=message):
            held.tag(wrong)
    with pytest.raises(InvalidSetting, match="not one text"):
        held.tag_all("Anna")


def test_entities_with_their_place(model: Path) -> None:
    text = "In Paris Anna met Carla Costa ."
    found = langue.load(model).entities(text)
    assert [(one.text, one.type) for one in found] == [
        ("Paris", "LOC"),
        ("Anna", "PER"),
        ("Carla Costa", "PER"),
    ]
    assert all(text[one.begin : one.end] == one.text for one in found)


def test_marginals_are_of_the_tags_of_the_data(model: Path) -> None:
    held = langue.load(model)
    (told,) = held.marginals(["Anna lives in Rome"])
    for row in told.probabilities:
        assert set(row) == {"B-LOC", "B-PER", "I-LOC", "I-PER", "O"}
        assert sum(row.values()) == pytest.approx(1, abs=1e-6)
    inner = held.folder.model.marginals(held.sentences(["Anna lives in Rome"]))[0][0]
    labels = held.folder.model.labels
    both = inner[labels.index("B-PER")] + inner[labels.index("S-PER")]
    assert told.probabilities[0]["B-PER"] == pytest.approx(both)


def test_equal_taggings_are_one(english: Path, tmp_path: Path) -> None:
    held = langue.train("crf", english, tmp_path / "m", constraints=False, iterations=8)
    (ranked,) = held.n_best(["Anna lives"], n=1000)
    taggings = [one.tags for one in ranked.taggings]
    assert len(set(taggings)) == len(taggings)
    assert sum(one.probability for one in ranked.taggings) == pytest.approx(1)
    probabilities = [one.probability for one in ranked.taggings]
    assert probabilities == sorted(probabilities, reverse=True)


def test_probabilities_of_long_sentences(model: Path) -> None:
    held = langue.load(model)
    (ranked,) = held.n_best([["Zyx"] * 3000], n=2)
    assert ranked.to_json()["best"][0]["log_probability"] < -1
    rare = NBest(("a",), [Tagging(0.0, ("O",), -2302.585)])
    assert str(rare).startswith("10^-1000.0")


CONLLU = "".join(
    f"{n}\t{word}\t_\t{tag}\t_\t_\t_\t_\t_\t_\n"
    for n, (word, tag) in enumerate((("Anna", "PROPN"), ("runs", "VERB")), 1)
)


def test_the_format_that_was_asked_for_is_remembered(run: Callable[..., str], tmp_path: Path) -> None:
    lines, columns, path = tmp_path / "u.txt", tmp_path / "c.conllu", tmp_path / "m"
    lines.write_text('{"tokens": ["Anna", "runs"], "upos": ["PROPN", "VERB"]}\n')
    columns.write_text(CONLLU)
    asked = ("--set", "format=jsonl", "--set", 'columns=["word", "upos"]')
    run("train", "crf", lines, "-o", path, *asked, "--valid", lines)
    assert "100.00%" in run("evaluate", path, lines)
    assert "Anna" in run("tag", path, lines)
    assert "100.00%" in run("evaluate", path, columns)  # its name says what it is
    columns.rename(tmp_path / "v.txt")
    assert "not JSON" in run("evaluate", path, tmp_path / "v.txt", code=2)
    assert "100.00%" in run("evaluate", path, tmp_path / "v.txt", "--format", "conllu")
    assert "unknown format" in run("evaluate", path, lines, "--format", "csv", code=2)


def test_a_stray_tag_of_the_training_file(
    run: Callable[..., str], english: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "langue")
    path = tmp_path / "stray.conll"
    path.write_text(english.read_text() + "\nhere o\nand 0\n")
    run("train", "crf", path, "-o", tmp_path / "m", "--valid", path)
    last = len(path.read_text().splitlines())
    assert (
        f"2 tags spell no BIO and count as O: o ({path}: line {last - 1}), 0 ({path}: line {last})"
        in caplog.text
    )
    assert "columns word tag, tags spell BIO, tokens are words" in caplog.text
    assert "(entity)" in caplog.text
    labels = json.loads((tmp_path / "m" / "features.json").read_text())["labels"]
    assert {"o", "0"}.isdisjoint(labels)
    assert "E-PER" in labels


@pytest.mark.parametrize(
    ("tags", "meant"),
    [
        ("B I O", ""),
        ("B-X L-X U-X", ""),
        ("B E S", ""),
        ("X-B X-I O", "B-X for X-B, I-X for X-I"),
        ("B_X I_X O", "B-X for B_X, I-X for I_X"),
        ("b-x i-x o", "B-x for b-x, I-x for i-x, O for o"),
        ("x_b x_e x_s o", "O for o, B-x for x_b, E-x for x_e"),
        ("B-X L-X U-X - O", "? for -"),
    ],
)
def test_other_spellings_of_spans(
    run: Callable[..., str], tmp_path: Path, caplog: pytest.LogCaptureFixture, tags: str, meant: str
) -> None:
    caplog.set_level("INFO", "langue")
    path = tmp_path / "t.conll"
    path.write_text("".join(f"w{n} {tag}\n" for n, tag in enumerate(tags.split())) + "\n")
    run("train", "crf", path, "-o", tmp_path / "m")
    scores = json.loads(run("evaluate", tmp_path / "m", path, "--json"))
    assert (scores["unit"], scores["accuracy"], scores["unknown_tags"]) == ("entity", 1, [])
    assert caplog.text.count(f"{path}: tags are read as {meant}\n") == 2 * bool(meant)


def test_what_training_says(
    run: Callable[..., str], english: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "langue")
    run("train", "crf", english, "-o", tmp_path / "a", "--set", "iterations=2")
    assert "the limit of iterations, not converged" in caplog.text
    caplog.clear()
    run("train", "crf", english, "-o", tmp_path / "b")
    assert ": converged" in caplog.text
    copy = pickle.loads(pickle.dumps(langue.load(tmp_path / "b").folder.model))
    assert copy.tag([Sentence((("Anna",),))]) == [("B-PER",)]
