"""ARPA files both ways, against KenLM's reader, and every way in which one can be damaged."""

import gzip
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from langue.base.errors import LangueError
from langue.interop import arpa, kenlm
from langue.interop.formats import export_model, import_model
from langue.models.folder import load

SMALL = """\\data\\
ngram 1=5
ngram 2=3

\\1-grams:
-1.0\t<unk>
0\t<s>\t-0.3
-0.5\t</s>
-0.6\ta\t-0.2
-0.7\tb\t-0.1

\\2-grams:
-0.2\t<s> a
-0.3\ta b
-0.4\tb </s>

\\end\\
"""


def test_what_was_written_is_read(folder: Path, arpa_file: Path, tmp_path: Path) -> None:
    tables = load(folder).model.tables.exact()  # type: ignore[attr-defined]
    zipped = tmp_path / "model.arpa.gz"
    export_model(folder, zipped)
    assert gzip.decompress(zipped.read_bytes()) == arpa_file.read_bytes()
    for path in (arpa_file, zipped):
        found = arpa.read(path)
        for name in ("first", "suffix", "children", "slots"):
            assert np.array_equal(getattr(found.tables, name), getattr(tables, name)), name
        begin = found.tables.first[1] - 1
        read, own = found.tables.log_prob.copy(), tables.log_prob.copy()
        read[begin] = own[begin] = 0  # `<s>` is written with log-probability 0
        read[1] = own[1] = 0  # padding, which stands in no text, is not written
        assert read == pytest.approx(own, abs=3e-7)
        assert found.tables.log_backoff == pytest.approx(tables.log_backoff, abs=3e-7)


def test_an_imported_folder_scores_as_its_file(arpa_file: Path, tmp_path: Path) -> None:
    import_model(arpa_file, tmp_path / "model")
    text = "w1 w2 中文 new w1\nw3"
    assert kenlm.Model(tmp_path / "model").scores(text.split("\n")) == pytest.approx(
        kenlm.Model(arpa_file).scores(text.split("\n")), abs=1e-9
    )


def test_pruned_contexts_and_suffixes_are_put_back(tmp_path: Path) -> None:
    """SRILM prunes a bigram and keeps the trigram that ends with it; KenLM puts it back, and so do we."""
    import kenlm as peer

    lines = ["ngram 1=36", "ngram 2=33", "ngram 3=2", "", "\\1-grams:", "-1.1\t<unk>", "-99\t<s>\t-0.3"]
    lines += ["-0.5\t</s>", "-0.6\ta\t-0.2", "-0.7\tb\t-0.1", "-0.8\tc\t-0.4"]
    lines += [*(f"-2\tf{number}" for number in range(30)), "", "\\2-grams:"]
    lines += ["-0.2\t<s> a\t-0.15", "-0.3\ta b\t-0.25", "-0.35\tb c\t-0.45"]
    # KenLM's hash wants other bigrams around, among which to make room.
    lines += [*(f"-0.5\tf{number} a" for number in range(30)), "", "\\3-grams:"]
    lines += ["-0.1\ta b a", "-0.12\tb c c", "", "\\end\\"]
    (tmp_path / "pruned.arpa").write_text("\n".join(["", "\\data\\", *lines, ""]))
    ours, theirs = kenlm.Model(tmp_path / "pruned.arpa"), peer.Model(str(tmp_path / "pruned.arpa"))
    for sentence in ("a b a b c c c", "b a", "c c", "x b c c x", ""):
        expected = [(score, length) for score, length, _ in theirs.full_scores(sentence)]
        found = [(score, length) for score, length, _ in ours.full_scores(sentence)]
        assert [score for score, _ in found] == pytest.approx([score for score, _ in expected], abs=1e-6)


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("\\data\\", "data", None, "not an ARPA file"),
        ("ngram 2=3", "ngram 3=3", 3, "expected ngram 2"),
        ("ngram 2=3", "ngram 2=x", 3, "no count"),
        ("ngram 1=5", "ngram 1=6", 11, "expected 6 unigrams"),
        ("ngram 1=5", "ngram 1=4", 10, "expected \\2-grams:"),
        ("ngram 2=3", "ngram 2=4", 16, "expected 4 2-grams"),
        ("ngram 2=3", "ngram 2=2", 15, "expected \\end\\"),
        ("-0.6\ta", "nan\ta", 9, "holds no number"),
        ("-0.6\ta", "0.6\ta", 9, "no log-probability"),
        ("-0.7\tb", "-0.7\ta", 10, "second time"),
        ("-0.3\ta b", "nan\ta b", 14, "does not begin with a log-probability"),
        ("-0.3\ta b", "-0.3x\ta b", 14, "does not begin with a log-probability"),
        ("-0.3\ta b", "-0.3\ta", 14, "too few words"),
        ("-0.3\ta b", "-0.3\ta z", 14, "not among the unigrams"),
        ("-0.3\ta b", "-0.3\ta b nan", 14, "backoff that is no finite number"),
        ("-0.3\ta b", "-0.3\ta b -0.1 c", 14, "too many words"),
        ("-0.4\tb </s>", "-0.4\ta b", 15, "second time"),
        ("\\end\\\n", "", 16, "cut short"),
        ("b </s>\n\n\\end\\\n", "", 15, "too few words"),
        ("-0.4\tb </s>\n\n\\end\\\n", "", 14, "ends after 2 of 3"),
    ],
)
def test_damage_is_named_with_its_line(
    tmp_path: Path, old: str, new: str, line: int | None, message: str
) -> None:
    assert old in SMALL
    path = tmp_path / "damaged.arpa"
    path.write_text(SMALL.replace(old, new, 1))
    with pytest.raises(LangueError) as error:
        arpa.read(path)
    assert message in str(error.value)
    assert line is None or f"line {line}:" in str(error.value)


@pytest.mark.parametrize("content", [b"", b"\n", b"hello\n" * 200, b"\x1f\x8b broken", b"\\data\\\n"])
def test_what_is_no_arpa_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "other.arpa").write_bytes(content)
    with pytest.raises(LangueError):
        arpa.read(tmp_path / "other.arpa")


def test_numbers_in_every_spelling(tmp_path: Path) -> None:
    spelled = (
        SMALL.replace("-0.3\ta b", " -3e-1   a\tb\t")
        .replace("-0.4\tb", "-inf b")
        .replace("-0.2\t<s>", "-.2E+00 <s>")
    )
    (tmp_path / "spelled.arpa").write_text(spelled.replace("\n", "\r\n"))
    found = arpa.read(tmp_path / "spelled.arpa").tables
    assert sorted(found.log_prob[found.level(2)] / math.log(10)) == pytest.approx([-math.inf, -0.3, -0.2])


def test_names_never_clash(made_up: Callable[[int, int], list[str]], tmp_path: Path) -> None:
    """A subword vocabulary that learned `<s>` and `</s>` from HTML still has one name for each entry."""
    from langue.tokens.tokenizer import Tokenizer
    from langue.tokens.train import TokenizerConfig, train_tokenizer

    trained = train_tokenizer(TokenizerConfig(kind="words", vocabulary=400), ["<s>", "</s>", "a b"] * 9)
    names = kenlm.names_of(trained)
    assert len(set(names)) == len(names) == trained.vocab_size
    assert names[trained.eos] == b"</s>"
    assert names[trained.pad] == b"<unk>"
    assert isinstance(trained, Tokenizer)
