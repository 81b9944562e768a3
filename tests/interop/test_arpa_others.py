"""ARPA files of others, beside KenLM: what it reads is read, and what it refuses is refused by name."""

import bz2
import gzip
import lzma
import math
from pathlib import Path
from typing import Any

import pytest

import langue
from langue.base.errors import LangueError
from langue.interop import arpa, kenlm

peer = pytest.importorskip("kenlm")

PLAIN = """\\data\\
ngram 1=6
ngram 2=4

\\1-grams:
-1\t<unk>\t0
-99\t<s>\t-0.5
-0.8\t</s>\t0
-0.7\ta\t-0.3
-0.6\tb\t-0.2
-2\tword\t0

\\2-grams:
-0.3\t<s> a
-0.4\ta b
-0.2\tb </s>
-0.5\tword a

\\end\\
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "other.arpa"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<unk>", "<UNK>"),
        ("-2\tword\t0", "-2\t<UNK>\t0"),  # both stand there: the later counts
        ("word", "x\x0by"),
        ("word", "x\x0cy"),
        ("word", "x\u3000y"),
        ("word", "<pad>"),
        ("word", "<eos>"),
        ("\\end\\\n", "\\end\\\n\n \n"),
        ("-0.2\tb </s>", "-0.2\tb </s>\t0"),
        ("\\data\\", "# made by hand\n\\data\\"),
    ],
)
def test_what_kenlm_reads_is_read_with_its_scores(tmp_path: Path, old: str, new: str) -> None:
    text = PLAIN.replace(old, new)
    if new.endswith("<UNK>\t0"):
        text = text.replace("word a", "<UNK> a")
    path = written(tmp_path, text)
    ours, theirs = kenlm.Model(path), peer.Model(str(path))
    for sentence in ("a b", "b zz a b", "<UNK> a", "<pad> a", "<eos> a", ""):
        expected = [(log_prob, oov) for log_prob, _, oov in theirs.full_scores(sentence)]
        found = [(score.log_prob, score.oov) for score in ours.full_scores(sentence)]
        assert [oov for _, oov in found] == [oov for _, oov in expected]
        assert [log_prob for log_prob, _ in found] == pytest.approx([p for p, _ in expected], abs=1e-5)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("-0.8\t</s>\t0\n", "-0.8\tc\t0\n", "</s> is not among the unigrams"),
        ("-99\t<s>\t-0.5\n", "-99\tc\t-0.5\n", "<s> is not among the unigrams"),
        ("-0.4\ta b", "-0.4\ta b\t-0.1", "line 15: '-0.4\\ta b\\t-0.1' has a backoff, and is of the highest"),
        ("\\data\\", "iARPA\n\n\\data\\", "is an iARPA file of IRSTLM"),
        ("\\end\\\n", "\\end\\\nmore\n", "line 20: after \\end\\ comes 'more'"),
        (
            "\\data\\",
            "mmap lm http://kheafield.com/code format version 5\n",
            "a file of KenLM's build_binary",
        ),
        ("-0.4\ta b", "0.1\ta b", "line 15: '0.1\\ta b' has a log-probability above 0"),
        ("-0.7\ta", "-0_7\ta", "line 9: '-0_7 a -0.3' holds no number"),  # which Python reads as -7
        ("-0.7\ta", "-0.7\ta\t1_0", "line 9: "),
        ("\n", "\r", "it has no \\data\\; its lines end in \\r alone"),
        ("-0.7\ta\t-0.3", "-0.7\ta\t-inf", "line 9: -0.7 and -inf are no log-probability and backoff"),
    ],
)
def test_what_kenlm_refuses_is_refused_by_name(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = PLAIN.replace(old, new)
    if new.startswith(("-0.8\tc", "-99\tc")):
        text = text.replace("</s>" if "0.8" in new else "<s>", "c")
    path = written(tmp_path, text)
    with pytest.raises((OSError, RuntimeError)):
        peer.Model(str(path))
    with pytest.raises(LangueError) as error:
        langue.import_model(path, tmp_path / "m")
    assert message in str(error.value)
    assert not (tmp_path / "m").exists()


def test_a_rounding_above_zero_is_zero(tmp_path: Path) -> None:
    text = PLAIN.replace("-0.3\t<s> a", "0.0000001\t<s> a").replace("-0.6\tb", "+1e-7\tb")
    tables = arpa.read(written(tmp_path, text)).tables
    assert max(tables.log_prob) == 0
    assert sum(tables.log_prob == 0) == 2  # `<s>` keeps the -99 of the file


def test_a_mark_of_byte_order_is_no_word(tmp_path: Path) -> None:
    marked = arpa.read(written(tmp_path, "\ufeff" + PLAIN))
    assert marked.words == arpa.read(written(tmp_path, PLAIN)).words


@pytest.mark.parametrize("size", [5, 40, 90])
def test_a_gzip_file_that_is_cut_is_told(tmp_path: Path, size: int) -> None:
    path = tmp_path / "cut.arpa.gz"
    path.write_bytes(gzip.compress(PLAIN.encode())[:size])
    with pytest.raises(LangueError) as error:
        langue.import_model(path, tmp_path / "m")
    assert "cut short" in str(error.value)
    assert "line 0" not in str(error.value)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_file_is_unpacked_by_its_first_bytes_whatever_its_name(tmp_path: Path, pack: Any) -> None:
    plain = arpa.read(written(tmp_path, PLAIN))
    for name in ("model.arpa", "model.arpa.gz"):
        path = tmp_path / name
        path.write_bytes(pack(PLAIN.encode()))
        assert arpa.read(path).words == plain.words
    path.write_bytes(PLAIN.encode())
    assert arpa.read(path).words == plain.words


def test_another_encoding_is_told(tmp_path: Path) -> None:
    path = tmp_path / "wide.arpa"
    path.write_bytes(PLAIN.encode("utf-16"))
    with pytest.raises(LangueError, match="it is UTF-16: convert it"):
        arpa.read(path)


def words_of(path: Path) -> list[str]:
    lines = path.read_text().split("\\1-grams:\n")[1].split("\n\n")[0].splitlines()
    return [line.split("\t")[1] for line in lines]


def test_exports_hold_the_words_and_no_padding(tmp_path: Path) -> None:
    """Of an imported file, of a text with `<unk>` and without; a word `<pad>` is one like others."""
    langue.import_model(written(tmp_path, PLAIN), tmp_path / "m")
    export = langue.export_model(tmp_path / "m", tmp_path / "again.arpa")
    assert sorted(words_of(export.path)) == sorted(["<unk>", "<s>", "</s>", "a", "b", "word"])
    assert export.size == {"ngrams": 10}
    assert peer.Model(str(export.path)).score("a b") == pytest.approx(-0.9, abs=1e-5)
    for more in ("", " <unk>"):
        (tmp_path / "text").write_text(f"a b{more}\nb a\n" * 9)
        langue.train("ngram", tmp_path / "text", tmp_path / "t", order=2, overwrite=True)
        langue.export_model(tmp_path / "t", tmp_path / "t.arpa", overwrite=True)
        assert sorted(words_of(tmp_path / "t.arpa")) == sorted(["<unk>", "<s>", "</s>", "a", "b"])
        ours, theirs = kenlm.Model(tmp_path / "t"), peer.Model(str(tmp_path / "t.arpa"))
        for sentence in ("a b", "b", "<unk> a"):
            assert ours.score(sentence) == pytest.approx(theirs.score(sentence), abs=1e-5)
    padded = PLAIN.replace("word", "<pad>")
    for text in (padded, padded.replace("-0.5\t<pad> a", "-0.5\tb a")):
        langue.import_model(written(tmp_path, text), tmp_path / "p", overwrite=True)
        langue.export_model(tmp_path / "p", tmp_path / "p.arpa", overwrite=True)
        assert sorted(words_of(tmp_path / "p.arpa")) == sorted(["<unk>", "<s>", "</s>", "a", "b", "<pad>"])


def test_a_model_that_was_imported_says_so(tmp_path: Path) -> None:
    model: Any = langue.import_model(written(tmp_path, PLAIN), tmp_path / "m")
    assert "imported (arpa other.arpa)" in model.summary()
    assert "trained" not in model.summary()
    assert math.isfinite(model.score("a b").total_bits)


def test_scores_that_do_not_sum_to_one_are_no_probabilities(tmp_path: Path, caplog: Any) -> None:
    """The file is read, asked as KenLM asks it, and known for what it is."""
    langue.import_model(written(tmp_path, PLAIN), tmp_path / "m")
    assert "does not sum to one" in caplog.text
    (tmp_path / "text").write_text("a b\nb a zz\n")
    assert math.isfinite(langue.query(tmp_path / "m", tmp_path / "text").perplexity)
    assert langue.load(tmp_path / "m").info()["config"]["smoothing"] == "arpa"
    with pytest.raises(LangueError, match=r"ARPA file that do not sum to one.*are no probabilities"):
        langue.evaluate(tmp_path / "m", tmp_path / "text", check=True)
    compared = langue.compare([tmp_path / "m"], on=tmp_path / "text")
    assert compared.to_json()["models"][0]["perplexity"] is None
    assert "m has no bits/byte: the numbers of an ARPA file" in str(compared)
    (tmp_path / "train").write_text("a b\nb a\n" * 9)
    langue.train("ngram", tmp_path / "train", tmp_path / "t", order=2)
    langue.export_model(tmp_path / "t", tmp_path / "t.arpa")
    caplog.clear()
    again = langue.import_model(tmp_path / "t.arpa", tmp_path / "again")
    assert again.info()["config"]["smoothing"] != "arpa"
    assert not caplog.text
    assert math.isfinite(langue.evaluate(again, tmp_path / "text", check=True).perplexity)
