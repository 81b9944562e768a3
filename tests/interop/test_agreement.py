"""A model is asked as it was counted: KenLM, `--format kenlm`, its surface and `langue score` agree."""

import gzip
import json
import math
from pathlib import Path
from typing import Any

import pytest

import langue
from langue.base.errors import LangueError
from langue.interop import kenlm
from langue.interop.convert import read_text, train_text
from langue.models.counts.ngram import NGramConfig

peer = pytest.importorskip("kenlm")

# White space of Unicode inside words and as words, what normalization changes, and names of special tokens.
LINES = [
    "the\u3000cat sat \u3000 on\tthe mat",
    "cafe\u0301 nai\u0308ve Vie\u0323\u0302t \u095c\u093e \u095d\u0928\u093e",
    "a\u00a0b \u2028 c\u0085d \x1c e\x1ff",
    "the <pad> cat <eos> sat",
    "the <UNK> sat on a\u00a0b",
    "",
    "  the mat\r",
]
ODD = [
    "never <UNK> seen",
    "the <s> cat </s> sat",
    "<s> the cat",
    "\ufb01 \uff21 cafe\u0301 x\u3000y",
    "\x7f the",
]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`text`, its `model`, that as `model.arpa`, and that as `imported`."""
    folder = tmp_path_factory.mktemp("agreement")
    (folder / "text").write_bytes("".join(f"{line}\n" for line in LINES * 4 + LINES[:2]).encode())
    train_text(NGramConfig(order=3), folder / "text", folder / "model")
    langue.export_model(folder / "model", folder / "model.arpa")
    langue.import_model(folder / "model.arpa", folder / "imported")
    return folder


def test_all_that_score_agree(models: Path, tmp_path: Path) -> None:
    theirs = peer.Model(str(models / "model.arpa"))
    lines = [*LINES, *ODD]
    (tmp_path / "text").write_bytes("".join(f"{line}\n" for line in lines).encode())
    words = [list(theirs.full_scores(line)) for line in lines]
    expected = [sum(word[0] for word in line) for line in words]
    for name in ("model", "model.arpa", "imported"):
        ours = kenlm.Model(models / name)
        assert [ours.score(line) for line in lines] == pytest.approx(expected, abs=1e-4)
        assert ours.scores(lines) == pytest.approx(expected, abs=1e-4)
        for line, scored in zip(lines, words, strict=True):
            assert [tuple(word)[1:] for word in ours.full_scores(line)] == [word[1:] for word in scored]
            assert ours.perplexity(line) == pytest.approx(theirs.perplexity(line), rel=1e-5)
        sums, tokens, unknowns = ours.line_totals("".join(f"{line}\n" for line in lines).encode())
        assert sums / math.log(10) == pytest.approx(expected, abs=1e-4)
        assert tokens.tolist() == list(map(len, words))
        assert unknowns.tolist() == [sum(oov for *_, oov in line) for line in words]
        queried = langue.query(models / name, tmp_path / "text")
        assert queried.total == pytest.approx(sum(expected), abs=1e-3)
        assert queried.tokens == sum(map(len, words))
        assert queried.oovs == sum(oov for line in words for *_, oov in line)
        if name != "model.arpa":
            scores = langue.CausalModel.load(models / name).score_all(lines)
            bits = [-score.total_bits * math.log10(2) for score in scores]
            assert bits == pytest.approx(expected, abs=1e-4)
    measured: Any = langue.evaluate(models / "model", tmp_path / "text")
    assert measured.scores.tokens == queried.tokens
    assert measured.total_bits * -math.log10(2) == pytest.approx(sum(expected), abs=1e-3)
    # The file lacks the share of words that neither <unk> nor <UNK> stands for, as that of lmplz does.
    with pytest.raises(LangueError, match="do not sum to one"):
        langue.evaluate(models / "imported", tmp_path / "text")


def test_states_are_told_apart_as_by_kenlm(models: Path) -> None:
    ours, theirs = kenlm.Model(models / "model"), peer.Model(str(models / "model.arpa"))
    pairs = set()
    for line in [*LINES, *ODD]:
        state, other = kenlm.State(), peer.State()
        ours.BeginSentenceWrite(state)
        theirs.BeginSentenceWrite(other)
        for word in line.encode().split():
            after, other_after = kenlm.State(), peer.State()
            ours.BaseScore(state, word, after)
            theirs.BaseScore(other, word.decode(), other_after)
            state, other = after, other_after
            pairs.add((state, other))
    assert len(pairs) == len({state for state, _ in pairs}) == len({other for _, other in pairs})


def test_marks_of_sentences_are_no_words(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("a b\n<s> a </s>\n")
    with pytest.raises(LangueError, match=r"line 2 has a word <s>.*take it out"):
        read_text(tmp_path / "text", NGramConfig())


def test_a_word_that_would_be_cut_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"a " * 600_000 + b"a" * (18 << 20))
    with pytest.raises(LangueError, match=r"has a word of over 16 MB: .* train on the store"):
        read_text(tmp_path / "text", NGramConfig())


def test_packed_texts_and_records_are_the_text(models: Path, tmp_path: Path) -> None:
    text = (models / "text").read_bytes()
    (tmp_path / "packed").write_bytes(gzip.compress(text))
    records = [json.dumps({"text": line}) + "\n" for line in text.decode().removesuffix("\n").split("\n")]
    (tmp_path / "text.jsonl").write_text("".join(records))
    expected = langue.query(models / "model", models / "text")
    assert expected.oovs == 4
    for name in ("packed", "text.jsonl"):
        assert langue.query(models / "model", tmp_path / name) == expected


def test_a_text_is_cut_into_lines_alike_by_all(tmp_path: Path) -> None:
    """As by an old Macintosh, behind a byte-order mark, and in files of a folder that end in no line end."""
    lines = ["the cat sat", "the cat ran", "the dog sat"]
    (tmp_path / "usual").write_bytes("".join(f"{line}\n" for line in lines).encode())
    (tmp_path / "old").write_bytes("".join(f"{line}\r" for line in lines).encode())
    (tmp_path / "packed").write_bytes(gzip.compress("\r".join(lines).encode()))
    (tmp_path / "marked").write_bytes("\ufeff".encode() + (tmp_path / "usual").read_bytes())
    (tmp_path / "folder").mkdir()
    for number, line in enumerate(lines):
        (tmp_path / "folder" / f"{number}.txt").write_text(line)
    train_text(NGramConfig(order=2), tmp_path / "usual", tmp_path / "model")
    expected = langue.query(tmp_path / "model", tmp_path / "usual")
    for name in ("old", "packed", "marked"):
        train_text(NGramConfig(order=2), tmp_path / name, tmp_path / f"{name}-model")
        assert langue.query(tmp_path / f"{name}-model", tmp_path / name) == expected
    for name in ("old", "packed", "marked", "folder"):
        assert langue.query(tmp_path / "model", tmp_path / name) == expected
        scored = list(langue.score(tmp_path / "model", tmp_path / name))
        assert [text.text for text in scored] == lines
        assert sum(text.log10 for text in scored) == pytest.approx(expected.total, abs=1e-4)
        if name != "folder":
            measured: Any = langue.evaluate(tmp_path / "model", tmp_path / name)
            assert measured.scores.tokens == expected.tokens


def test_the_names_of_the_module_are_there(models: Path) -> None:
    config = kenlm.Config()
    config.load_method = kenlm.LoadMethod.LAZY
    config.arpa_complain = kenlm.ARPALoadComplain.NONE
    model = kenlm.LanguageModel(str(models / "model").encode(), config)
    assert model.path.decode() == str(models / "model")
    assert b"the" in model
    assert model.score(b"the cat") == model.score("the cat")
    assert min(kenlm.State(3, 1), kenlm.State(2, 1)) == kenlm.State(2, 1)
