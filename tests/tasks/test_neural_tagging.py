"""Neural taggers as a user meets them: from scratch and from an encoder, used, measured and misused."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import langue
from langue import cli
from langue.models.taggers.base import NeuralTagger

SENTENCES = [
    ("Anna lives in Rome .", "B-PER O O B-LOC O"),
    ("Bruno Costa left New York .", "B-PER I-PER O B-LOC I-LOC O"),
    ("In Paris Anna met Carla Costa .", "O B-LOC B-PER O B-PER I-PER O"),
    ("She sleeps .", "O O O"),
    ("Anna", "B-PER"),
    ("Paris !", "B-LOC O"),
    ("Rome lives", "B-LOC O"),
]
RNN = ["width=24", "word_width=24", "epochs=15", "batch_size=4", "learning_rate=0.02", "dropout=0.1"]
ENCODER = ["epochs=16", "learning_rate=3e-3", "batch_size=4"]
Run = Callable[..., str]


def columns(rows: list[tuple[list[str], list[str]]]) -> str:
    return "\n".join("".join(f"{word} {tag}\n" for word, tag in zip(*row, strict=True)) for row in rows)


def write(path: Path, rows: list[tuple[str, str]]) -> Path:
    path.write_text(columns([(text.split(), tags.split()) for text, tags in rows]), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def english(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("tagged") / "english.conll", SENTENCES * 4)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command; what it printed, or the message where it must fail."""

    def do(*arguments: str | Path, code: int = 0) -> str:
        capsys.readouterr()
        assert cli.run([str(argument) for argument in arguments]) == code
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return printed.err if code else printed.out

    return do


@pytest.fixture(params=["rnn", "encoder"])
def learn(request: pytest.FixtureRequest, run: Run, encoder: Path) -> Run:
    """`langue train rnn-tagger` or `langue finetune --task tag`, on a file."""

    def do(data: Path, output: Path, *more: str | Path, code: int = 0) -> str:
        if request.param == "rnn":
            start: list[str | Path] = ["train", "rnn-tagger", data]
            settings = RNN
        else:
            start = ["finetune", encoder, data, "--task", "tag"]
            settings = [*ENCODER, "seeds=1"]
        sets = [part for setting in settings for part in ("--set", setting)]
        return run(*start, "-o", output, *sets, *more, code=code)

    return do


def test_learns_and_every_verb_works(learn: Run, run: Run, english: Path, tmp_path: Path) -> None:
    model = tmp_path / "m"
    learn(english, model, "--valid", english, "--set", "head=crf")
    assert run("tag", model, "Anna lives in Rome.").split() == [
        *("Anna", "B-PER", "lives", "O", "in", "O", "Rome", "B-LOC", ".", "O")
    ]
    assert "micro" in run("evaluate", model, english)
    assert json.loads(run("evaluate", model, english, "--json"))["f1"] == 1
    assert run("inspect", model, "--top", "4").count("\n") == 4
    assert run("tag", model, english).split() == english.read_text().split()
    (best,) = json.loads(run("tag", model, "Anna lives", "--n-best", "3", "--json"))
    assert best["best"][0]["probability"] > best["best"][2]["probability"]
    (shares,) = json.loads(run("tag", model, "Anna", "--marginals", "--json"))
    assert sum(shares["probabilities"][0].values()) == pytest.approx(1, abs=1e-2)
    assert "config.head" in run("info", model)
    assert "langue tag" in (model / "README.md").read_text()
    held = langue.load(model)
    assert held.tag_all(["", "Paris"]) == [[], [("Paris", "B-LOC")]]
    assert "F1 100.00% on held-out sentences" in held.summary()
    assert "tagger" in run("score", model, "x", code=2)
    # With the same seed, the same bits.
    learn(english, tmp_path / "again", "--valid", english, "--set", "head=crf")
    one, two = ((path / "weights.safetensors").read_bytes() for path in (model, tmp_path / "again"))
    assert one == two


def test_a_softmax_keeps_to_the_scheme_and_has_nothing_to_inspect(
    learn: Run, run: Run, english: Path, tmp_path: Path
) -> None:
    learn(english, tmp_path / "m", "--valid", english, "--set", "head=softmax")
    assert json.loads(run("evaluate", tmp_path / "m", english, "--json"))["f1"] == 1
    assert "none says anything alone" in run("inspect", tmp_path / "m", code=2)
    assert "softmx" in learn(english, tmp_path / "n", "--set", "head=softmx", code=2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Anna B-PER\nlives\n", "line 2 has 1 column, not 2"),
        ("", "holds no sentence"),
        ("Anna ?\n\nRome ?\n", "no token has a known tag"),
        ("Anna B-PER\n", "too few examples to hold some out"),
    ],
)
def test_bad_data(learn: Run, english: Path, tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.conll"
    path.write_text(text)
    more = () if "hold some out" in message else ("--valid", english)
    assert message in learn(path, tmp_path / "m", *more, code=2)
    assert not (tmp_path / "m").exists()


def test_known_tags_that_no_spans_have_are_named(learn: Run, english: Path, tmp_path: Path) -> None:
    path = tmp_path / "odd.conll"
    path.write_text("Anna B-PER\nlives O\n\nNew O\nYork I-LOC\nhere ?\n\nRome B-LOC\n")
    message = learn(path, tmp_path / "m", "--valid", english, code=2)
    assert "odd.conll: line 4: no tags that spell spans agree" in message
    learn(path, tmp_path / "m", "--valid", english, "--set", "constraints=false")


def test_tags_that_are_not_known(learn: Run, run: Run, tmp_path: Path) -> None:
    """Half the tags are enough to learn all."""
    some = write(
        tmp_path / "some.conll",
        [("Anna lives in Rome .", "B-PER ? ? B-LOC ?"), ("Anna lives in Rome .", "? O O ? O")] * 8,
    )
    right = write(tmp_path / "right.conll", SENTENCES[:1] * 2)
    learn(some, tmp_path / "m", "--valid", right)
    assert json.loads(run("evaluate", tmp_path / "m", right, "--json"))["accuracy"] == 1


def test_nothing_but_outside_and_tags_training_never_saw(
    learn: Run, run: Run, english: Path, tmp_path: Path
) -> None:
    path = write(tmp_path / "o.conll", [("She sleeps .", "O O O"), ("He reads", "O O")] * 6)
    learn(path, tmp_path / "m", "--valid", path)
    assert set(run("tag", tmp_path / "m", "Anna lives").split()) == {"Anna", "lives", "O"}
    assert "never seen in training: B-LOC, B-PER" in run("evaluate", tmp_path / "m", english)
    new = write(tmp_path / "new.conll", [("Monday Anna", "B-DATE B-PER")])
    learn(english, tmp_path / "n", "--valid", new)  # an epoch is chosen by what can be right


def test_parts_of_speech(learn: Run, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "tags.jsonl"
    rows = [{"tokens": ["the", "dog", "runs"], "tags": ["DET", "NOUN", "VERB"]}] * 12
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    learn(path, tmp_path / "m", "--valid", path)
    assert run("tag", tmp_path / "m", "the dog runs").split()[1::2] == ["DET", "NOUN", "VERB"]


def test_chinese_is_tagged_by_characters(learn: Run, run: Run, tmp_path: Path) -> None:
    rows = [
        ("王小明在北京。", "B-PER M-PER E-PER O B-LOC E-LOC O"),
        ("李四去上海。", "B-PER E-PER O B-LOC E-LOC O"),
    ]
    path = write(tmp_path / "c.bmes", [(" ".join(text), tags) for text, tags in rows * 12])
    learn(path, tmp_path / "m", "--valid", path)
    tagged = run("tag", tmp_path / "m", "李四在北京。").split()
    assert tagged[::2] == list("李四在北京。")
    assert tagged[1::2] == ["B-PER", "E-PER", "O", "B-LOC", "E-LOC", "O"]


def test_a_sentence_longer_than_the_window(
    learn: Run, run: Run, english: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text, tags = (" ".join(parts) for parts in zip(*SENTENCES * 3, strict=True))
    path = write(tmp_path / "long.conll", [*SENTENCES * 3, (text, tags)])
    learn(path, tmp_path / "m", "--valid", path)
    if langue.load(tmp_path / "m").info()["family"] == "encoder-tagger":
        assert "2 sentences are longer than the window of 32" in caplog.text  # in training and in valid
    long = write(tmp_path / "one.conll", [(text, tags)])
    assert json.loads(run("evaluate", tmp_path / "m", long, "--json"))["accuracy"] > 0.7


def test_ctrl_c_keeps_the_best_epoch_and_before_one_nothing(
    learn: Run, english: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    original = NeuralTagger.loss

    def stopped(self: NeuralTagger, *given: Any) -> Any:
        calls.append(given)
        if len(calls) == stop_at:
            signal.raise_signal(signal.SIGINT)
        return original(self, *given)

    monkeypatch.setattr(NeuralTagger, "loss", stopped)
    stop_at = 31  # seven steps an epoch
    message = learn(english, tmp_path / "m", "--valid", english, code=130)
    assert f"--resume goes on. The best model so far is in {tmp_path / 'm'}" in message
    assert langue.load(tmp_path / "m").tag("Anna")
    calls.clear()
    stop_at = 3
    assert "no model was written" in learn(english, tmp_path / "none", "--valid", english, code=130)
    assert not (tmp_path / "none").exists()
    # What goes on ends at the bits of what was never stopped.
    stop_at = 0
    learn(english, tmp_path / "straight", "--valid", english)
    for name in ("m", "none"):
        learn(english, tmp_path / name, "--valid", english, "--resume")
        one, other = ((tmp_path / which / "weights.safetensors").read_bytes() for which in ("straight", name))
        assert one == other
        assert not (tmp_path / f"{name}.run").exists()


def test_several_seeds_and_their_best_epochs(run: Run, encoder: Path, english: Path, tmp_path: Path) -> None:
    found = langue.finetune(
        encoder, english, tmp_path / "m", task="tag", valid=english, test=english, seeds=2, epochs=2
    )
    assert len(found.valid) == len(found.test) == len(found.epochs) == 2
    assert found.valid[found.best].micro_f1 == max(scores.micro_f1 for scores in found.valid)
    assert "F1 counts each entity" in str(found)
    # What was measured while it was made is what the folder measures.
    again = json.loads(run("evaluate", tmp_path / "m", english, "--json"))
    assert again["f1"] == found.test[found.best].micro_f1
    assert again["accuracy"] == found.test[found.best].accuracy
    langue.train("rnn-tagger", english, tmp_path / "n", valid=english, seeds=2, epochs=2, width=8)
    measured = langue.load(tmp_path / "n").info()["measured"]
    assert measured["seeds"]["seeds"] == [0, 1]
    assert max(measured["seeds"]["f1"]) == measured["valid"]["f1"]


def test_columns_beside_the_word(run: Run, encoder: Path, tmp_path: Path) -> None:
    path = tmp_path / "pos.conll"
    path.write_text("Anna NNP B-PER\nlives VBZ O\n\nRome NNP B-LOC\n\nAnna NNP B-PER\n" * 4)
    langue.train("rnn-tagger", path, tmp_path / "m", valid=path, epochs=2, width=8, tensorboard=True)
    assert (tmp_path / "m/seed-0/metrics.jsonl").stat().st_size > 0  # what was measured stays with the model
    assert list((tmp_path / "m/seed-0/tensorboard").iterdir()) and not (tmp_path / "m.run").exists()
    assert "reads the columns word, pos" in run("tag", tmp_path / "m", "Anna lives", code=2)
    bare = tmp_path / "bare.conll"
    bare.write_text("Anna NNP\n")
    assert run("tag", tmp_path / "m", bare).startswith("Anna\tNNP\t")
    # An encoder reads words alone, and leaves the other columns where they are.
    langue.finetune(encoder, path, tmp_path / "n", task="tag", valid=path, epochs=1, seeds=1)
    assert run("tag", tmp_path / "n", "Anna").startswith("Anna\t")
    assert run("tag", tmp_path / "n", bare).startswith("Anna\tNNP\t")


def test_what_is_made_of_what(
    run: Run, encoder: Path, english: Path, small_models: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "m"
    assert "finetune MODEL DATA --task tag" in run("train", "encoder-tagger", english, "-o", out, code=2)
    assert "reads from left to right" in run(
        "finetune", small_models["gpt2"], english, "--task", "tag", "-o", out, code=2
    )
    assert "did you mean head" in run(
        "finetune", encoder, english, "--task", "tag", "-o", out, "--set", "haed=crf", code=2
    )
    assert "unknown key" in run("finetune", encoder, english, "-o", out, "--set", "head=crf", code=2)
    assert "no file" in run("finetune", encoder, tmp_path / "x", "--task", "tag", "-o", out, code=2)
    assert "keeps no checkpoints" in run("train", "crf", english, "-o", out, "--resume", code=2)
    assert not out.exists()
