"""What a user can get wrong: one message that says what to do, exit code 2, and nothing half-written."""

from collections.abc import Callable
from pathlib import Path

import pytest

from langue import cli

Fails = Callable[..., str]
MODEL = Path(__file__).parents[1] / "compat" / "data" / "models" / "ngram"


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fails:
    """Run a command that must fail in an empty folder; its one message."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path) -> str:
        before = sorted(tmp_path.rglob("*"))
        capsys.readouterr()
        assert cli.run([str(argument) for argument in arguments]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert "Traceback" not in printed.err
        assert printed.err.startswith("langue: ")
        assert sorted(tmp_path.rglob("*")) == before
        return printed.err

    return run


def test_no_file(fails: Fails) -> None:
    assert "no file nowhere.txt" in fails("prepare", "nowhere.txt", "-o", "store")


@pytest.mark.parametrize("content", ["", "\n \n\t\n"])
def test_empty_file(fails: Fails, tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "empty.txt").write_text(content)
    assert "no text to prepare" in fails("prepare", "empty.txt", "-o", "store")


def test_one_word(fails: Fails, tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("word")
    assert "not enough text for a split" in fails("prepare", "one.txt", "-o", "store")


def test_not_enough_text_for_a_split_says_what_to_do(fails: Fails, tmp_path: Path) -> None:
    (tmp_path / "few.txt").write_text("one\ntwo\nthree\n")
    message = fails("prepare", "few.txt", "-o", "store", "--documents", "line")
    assert "--valid FILE" in message


def test_binary_file(fails: Fails, tmp_path: Path) -> None:
    (tmp_path / "image.txt").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR")
    assert "image.txt is binary (a NUL byte at 8)" in fails("prepare", "image.txt", "-o", "store")


def test_not_utf8(fails: Fails, tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n")
    message = fails("prepare", "latin.txt", "-o", "store")
    assert "latin.txt: byte 3 is not UTF-8" in message
    assert "or pass --invalid=skip or --invalid=replace" in message


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", b"caf\xe9\n"),
        ("a.txt", b"nul\0\n"),
        ("a.jsonl", b"{nope}\n"),
        ("a.jsonl", b'{"text": null}\n'),
        ("a.json", b'[{"text": "caf\xe9"}]'),
        ("a.csv", b"id,text\n1\n"),
        ("a.csv", b'id,text\n1,"open\n'),
    ],
)
def test_an_option_is_named_where_there_is_one(
    fails: Fails, tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    assert "--invalid=" in fails("prepare", name, "-o", "store")
    for verb in (["summarize"], ["score", MODEL], ["evaluate", MODEL], ["similar", "x"]):
        assert "invalid" not in fails(*verb, name).replace("invalid JSON", "")


def test_damaged_gzip(fails: Fails, tmp_path: Path) -> None:
    (tmp_path / "text.txt.gz").write_bytes(b"\x1f\x8b\x08\x00damaged")
    assert "text.txt.gz is damaged" in fails("prepare", "text.txt.gz", "-o", "store")


def test_records_without_the_field(fails: Fails, tmp_path: Path) -> None:
    (tmp_path / "news.jsonl").write_text('{"body": "text"}\n')
    message = fails("prepare", "news.jsonl", "-o", "store")
    assert "line 1 has no text in field 'text' (body)" in message


def test_unknown_key_names_the_nearest(fails: Fails, small_store: Path) -> None:
    message = fails("train", "ngram", small_store, "-o", "model", "--set", "ordr=3")
    assert "did you mean order?" in message
    message = fails("train", "gpt2", small_store, "-o", "model", "--set", "training.minute=3")
    assert "did you mean minutes?" in message


def test_unknown_key_in_a_recipe(fails: Fails, small_store: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text('family = "gpt2"\n[training]\nlearning_rat = 0.1\n')
    message = fails("train", "recipe.toml", small_store, "-o", "model")
    assert "training.learning_rat; did you mean learning_rate?" in message
    (tmp_path / "recipe.toml").write_text('family = "gpt2"\n[modle]\n')
    assert "unknown section modle; did you mean model?" in fails(
        "train", "recipe.toml", small_store, "-o", "model"
    )
    (tmp_path / "recipe.toml").write_text('family = "gpt3"\n')
    assert "unknown family gpt3; did you mean gpt2?" in fails(
        "train", "recipe.toml", small_store, "-o", "model"
    )
    (tmp_path / "recipe.toml").write_text("family = \n")
    assert "line 1" in fails("train", "recipe.toml", small_store, "-o", "model")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("order=0", "model.order"),
        ("order=many", "model.order"),
        ("order", "write section.key=value"),
        ("other.order=3", "unknown section other"),
    ],
)
def test_bad_values(fails: Fails, small_store: Path, setting: str, message: str) -> None:
    assert message in fails("train", "ngram", small_store, "-o", "model", "--set", setting)


def test_unknown_family(fails: Fails, small_store: Path) -> None:
    assert "did you mean ngram?" in fails("train", "ngrams", small_store, "-o", "model")


def test_model_and_store_of_a_closed_vocabulary(
    fails: Fails, small_models: dict[str, Path], small_text: Path, tmp_path: Path
) -> None:
    arguments = ["prepare", str(small_text), "-o", "other", "--tokenizer", "whitespace", "--quiet"]
    assert cli.run(arguments) == 0
    message = fails("evaluate", small_models["trigram"], "other")
    assert "another tokenizer" in message
    assert "the text file itself" in message


def test_not_a_store_not_a_model(fails: Fails, small_models: dict[str, Path], small_store: Path) -> None:
    assert "not a token store" in fails("train", "ngram", small_models["trigram"], "-o", "model")
    assert "nowhere does not exist" in fails("train", "ngram", "nowhere", "-o", "model")
    assert "not a model folder" in fails("generate", small_store, "text")
    # What it says to type must not write over the file.
    told = fails("find", __file__, "text")
    assert "is a file, not a model folder" in told and f"-o {__file__}" not in told
    assert "neither a model folder" in fails("info", ".")
    assert "unknown split tests" in fails(
        "evaluate", small_models["trigram"], small_store, "--split", "tests"
    )


def test_an_altered_store(fails: Fails, small_store: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(small_store, tmp_path / "store")
    tokens = tmp_path / "store" / "train.tokens"
    whole = tokens.read_bytes()
    tokens.write_bytes(whole[:-2])
    assert "train.tokens has" in fails("train", "ngram", "store", "-o", "model")
    tokens.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    assert "contents of train.tokens were altered" in fails("train", "ngram", "store", "-o", "model")


def test_output_in_the_way(fails: Fails, small_store: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    message = fails("train", "ngram", small_store, "-o", "mine", "--overwrite")
    assert "holds other files" in message
    assert "is a file" in fails("train", "ngram", small_store, "-o", "mine/thesis.txt")


def test_nothing_to_score(fails: Fails, small_models: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("")
    assert "empty.txt is empty" in fails("score", small_models["trigram"], "empty.txt")
    assert "holds no text" in fails("evaluate", small_models["trigram"], "empty.txt")
    assert "nothing.txt" in fails("score", small_models["trigram"], "nothing.txt")


def test_a_foreign_file_for_a_tokenizer(fails: Fails, small_text: Path, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    message = fails("prepare", small_text, "-o", "store", "--tokenizer", "tokenizer.json")
    assert "not a tokenizer.json" in message
    assert "too small" in fails("prepare", small_text, "-o", "store", "--vocabulary", "10")
