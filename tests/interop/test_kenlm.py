"""The surface of the kenlm module, against the module itself on the same file."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from langue.base.errors import LangueError
from langue.corpus.config import DataConfig
from langue.interop import convert, kenlm
from langue.interop.convert import estimated, read_text, tokenizer_json, train_text
from langue.interop.words import Words, learn
from langue.models.counts.ngram import NGramConfig, estimate
from langue.tokens.prepare import prepare
from langue.tokens.store import TokenStore
from langue.tokens.tokenizer import Tokenizer
from langue.tokens.train import TokenizerConfig, whitespace


@pytest.fixture(scope="module")
def pair(arpa_file: Path) -> tuple[kenlm.Model, "kenlm.Model"]:
    import kenlm as peer

    return kenlm.Model(arpa_file), peer.Model(str(arpa_file))


def test_sentences_score_as_in_the_module(
    pair: tuple[kenlm.Model, kenlm.Model], made_up: Callable[[int, int], list[str]]
) -> None:
    ours, theirs = pair
    lines = [*made_up(2, 60), "new words w1 w2", "", "中文 w1", "  w1\tw2 "]
    assert ours.order == theirs.order
    for line in lines:
        for bos in (True, False):
            for eos in (True, False):
                expected = theirs.score(line, bos=bos, eos=eos)
                assert ours.score(line, bos=bos, eos=eos) == pytest.approx(expected, abs=1e-4)
        full = list(theirs.full_scores(line))
        found = list(ours.full_scores(line))
        assert [word.log_prob for word in found] == pytest.approx([word[0] for word in full], abs=1e-5)
        assert [(word.ngram_length, word.oov) for word in found] == [(length, oov) for _, length, oov in full]
        assert ours.perplexity(line) == pytest.approx(theirs.perplexity(line), rel=1e-5)
    assert ours.scores(lines) == pytest.approx([theirs.score(line) for line in lines], abs=1e-4)
    assert ours.scores([*lines, "two\nlines"])[-1] == pytest.approx(theirs.score("two lines"), abs=1e-4)
    odd = ["w1 <s> w2", "</s> <s>", "w2"]  # which stand for ends of sentences, and are none
    assert ours.scores(odd) == pytest.approx([ours.score(line) for line in odd], abs=1e-5)
    assert ours.scores([]).shape == (0,)


def test_states_step_as_in_the_module(pair: tuple[kenlm.Model, kenlm.Model]) -> None:
    import kenlm as peer

    ours, theirs = pair
    mine, other = kenlm.State(), peer.State()
    for begin in ("BeginSentenceWrite", "NullContextWrite"):
        getattr(ours, begin)(mine)
        getattr(theirs, begin)(other)
        for word in ("w1", "w2", "w1", "new", "w3", "</s>"):
            after, next_other = kenlm.State(), peer.State()
            assert ours.BaseScore(mine, word, after) == pytest.approx(
                theirs.BaseScore(other, word, next_other), abs=1e-5
            )
            assert ours.BaseFullScore(mine, word, after).oov == (word == "new")
            mine, other = after, next_other
    assert "w1" in ours
    assert "new" not in ours
    assert "<unk>" not in ours
    same, fresh = kenlm.State(), kenlm.State()
    ours.BeginSentenceWrite(same)
    ours.BeginSentenceWrite(fresh)
    assert len({same, fresh}) == 1
    assert same != kenlm.State()


def test_what_is_no_text_state_or_path_is_refused_in_a_sentence(
    pair: tuple[kenlm.Model, kenlm.Model],
) -> None:
    ours = pair[0]
    for no_text in (None, 3, ["w1"], "\ud800"):
        for method in (ours.score, ours.perplexity, ours.__contains__):
            with pytest.raises(LangueError, match="what is to be scored"):
                method(no_text)
    for no_state in (None, 3):
        with pytest.raises(LangueError, match="the state is one of another model"):
            ours.BaseScore(no_state, "w1", kenlm.State())
    for no_path in (None, 3, [], "", b"", "a\0b"):
        with pytest.raises(LangueError, match="path"):
            kenlm.Model(no_path)


def test_a_state_of_another_model_is_refused(pair: tuple[kenlm.Model, kenlm.Model], tmp_path: Path) -> None:
    """It would be read as a place in other tables: wrong numbers, or the end of the process."""
    ours = pair[0]
    (tmp_path / "text").write_text("w1 w2\nw2 w1 w3\n")
    train_text(NGramConfig(order=2), tmp_path / "text", tmp_path / "model")
    other, again = kenlm.Model(tmp_path / "model"), kenlm.Model(tmp_path / "model")
    state, after = kenlm.State(), kenlm.State()
    ours.BeginSentenceWrite(state)
    with pytest.raises(LangueError, match="another model"):
        other.BaseScore(state, "w1", after)
    for made_up in (kenlm.State(10_000), kenlm.State(10**30), kenlm.State(-7)):
        with pytest.raises(LangueError, match="another model"):
            ours.BaseFullScore(made_up, "w1", after)
    with pytest.raises(LangueError, match="not one of this model"):
        ours.BaseScore(kenlm.State(10**9, state.model), "w1", after)
    # No context is that of every model, and two of one file are one.
    ours.NullContextWrite(state)
    assert state == kenlm.State()
    assert math.isfinite(other.BaseScore(state, "w1", after))
    assert math.isfinite(again.BaseScore(after, "w2", state))


def test_a_query_sums_what_the_sentences_score(
    pair: tuple[kenlm.Model, kenlm.Model],
    made_up: Callable[[int, int], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours, theirs = pair
    lines = [*made_up(3, 300), "some new words"]
    words = [word for line in lines for word in theirs.full_scores(line)]
    for block in (1 << 20, 500):
        monkeypatch.setattr(kenlm, "CHUNK_BYTES", block)
        found = ours.query("\n".join([*lines, ""]).encode())
        assert found.tokens == len(words)
        assert found.oovs == sum(oov for *_, oov in words)
        assert found.total == pytest.approx(sum(score for score, *_ in words), abs=1e-2)
        assert found.oov_total == pytest.approx(sum(score for score, _, oov in words if oov), abs=1e-3)
    printed = dict(line.split("\t") for line in str(found).split("\n"))
    assert list(printed) == ["Perplexity including OOVs:", "Perplexity excluding OOVs:", "OOVs:", "Tokens:"]
    assert float(printed["Perplexity including OOVs:"]) == pytest.approx(10 ** (-found.total / found.tokens))


def test_text_and_store_give_the_same_model(text: Path, folder: Path, tmp_path: Path) -> None:
    prepare(
        [str(text)],
        tmp_path / "store",
        data=DataConfig(documents="line", duplicates="keep"),
        tokenizer=TokenizerConfig(kind="whitespace"),
        valid=[str(text)],
        test=[str(text)],
    )
    stored = estimate(NGramConfig(order=4), TokenStore(tmp_path / "store"))
    tokenizer = Tokenizer.load(tmp_path / "store" / "tokenizer.json")
    model = kenlm.Model(folder)
    lines = [line for line in text.read_text().split("\n") if line.strip()]
    # The store has no empty sentences; a text of none of them must score the same.
    (tmp_path / "text").write_text("\n".join([*lines, ""]))
    _, direct = estimated(tmp_path / "text", NGramConfig(order=4))
    assert sorted(direct.log_prob) == pytest.approx(sorted(stored.tables.log_prob), abs=1e-6)
    assert model.order == 4
    assert tokenizer.closed


def test_words_are_numbered_as_they_come() -> None:
    draw = np.random.default_rng(0)
    drawn = [f"{number:x}" for number in draw.zipf(1.2, 60_000) % 30_000]
    lines = [" ".join(drawn[place : place + 7]) for place in range(0, len(drawn), 7)]
    lines[3:3] = ["", "  spaced \t out  ", "\x0b"]
    data = np.frombuffer("\n".join([*lines, ""]).encode(), np.uint8)
    words, stream = learn(data, stop=1_000_000)
    numbered: dict[str, int] = {}
    ids = [[numbered.setdefault(word, len(numbered)) for word in line.split()] for line in lines]
    assert [words[id].decode() for id in range(len(words))] == list(numbered)
    expected = [id for line in ids for id in [len(numbered), *line, 1_000_000]]
    assert stream.tolist() == [*expected, len(numbered)]
    again, begins = words.encode(data, unknown=0, start=len(numbered), stop=1_000_000)
    assert again.tolist() == expected
    assert begins.tolist() == np.cumsum([0, *(len(line) + 2 for line in ids)]).tolist()
    assert Words.of([b"a", b"b"]).encode(np.frombuffer(b"a c\nb\n", np.uint8), unknown=7, start=8, stop=9)[
        0
    ].tolist() == [8, 0, 7, 9, 8, 1, 9]


def test_the_tokenizer_is_the_one_the_library_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = ['"quoted"', "back\\slash", "中文", "tab\u0008", "naïve", "\u2028", "a" * 99]
    names = ["</s>", "<pad> ", "<unk>", *entries]
    for size in (2, 1 << 14):
        monkeypatch.setattr(convert, "CHUNK_ENTRIES", size)
        written = b"".join(tokenizer_json(Words.of([name.encode() for name in names])))
        assert written.decode() == whitespace(entries, marks=True).to_str()


@pytest.mark.parametrize(
    "content",
    [
        "a",
        "one line of text\n",
        "one line of text that comes again\n" * 500,
        "我 爱 语言\n" * 3,
        " ".join("白日依山盡黃河入海流欲窮千里目更上一層樓") + "\n",
        "the first hundred bytes of a text, which is little to learn from, but a model will come of it\n",
        "".join(f"line {n} says {n * n % 97} and {n % 7} of {n * 31 % 13}\n" for n in range(330)),  # 10 KB
    ],
    ids=[
        "a word",
        "a line",
        "one line repeated",
        "Chinese words",
        "Chinese characters",
        "100 bytes",
        "10 KB",
    ],
)
@pytest.mark.parametrize("quantize", [False, True])
def test_any_text_will_do(tmp_path: Path, content: str, quantize: bool) -> None:
    (tmp_path / "text").write_text(content, encoding="utf-8")
    train_text(NGramConfig(order=5, quantize=quantize), tmp_path / "text", tmp_path / "model")
    model = kenlm.Model(tmp_path / "model")
    assert math.isfinite(model.score(content.split("\n")[0]))
    total = np.exp(model._model.next_log_probs([np.array([], np.uint32)])[0].astype(np.float64)).sum()
    assert (0.9 < total <= 1 + 1e-6) if quantize else total == pytest.approx(1, abs=1e-5)
    assert math.isfinite(model.score("never seen"))


@pytest.mark.parametrize("content", [b"", b" \n\n", b"\xff\xfe a\n"])
def test_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "text").write_bytes(content)
    with pytest.raises(LangueError):
        read_text(tmp_path / "text", NGramConfig())


def wikitext_2(files: Path, folder: Path) -> None:
    """WikiText-2 without its blank lines."""
    for name in ("train", "test"):
        lines = (files / f"{name}.txt").read_text(encoding="utf-8").split("\n")
        (folder / name).write_text("".join(f"{line}\n" for line in lines if line.strip()))


@pytest.mark.parametrize(
    ("order", "perplexity"),  # KenLM's, blank lines removed and <unk> an ordinary word
    [(2, 269.8572442), (3, 230.8862994), (4, 226.0501227), (5, 224.8115407), (6, 224.4872957)],
)
def test_wikitext_2_perplexities_are_kenlms(
    shared_data: Callable[[str], Path], tmp_path: Path, order: int, perplexity: float
) -> None:
    wikitext_2(shared_data("wikitext-2"), tmp_path)
    train_text(NGramConfig(order=order), tmp_path / "train", tmp_path / "model")
    found = kenlm.Model(tmp_path / "model").query((tmp_path / "test").read_bytes())
    assert found.tokens == 244_102
    assert found.perplexity == pytest.approx(perplexity, rel=2e-7)


@pytest.mark.parametrize(
    ("prune", "ngrams", "perplexity"),  # what lmplz --prune writes, and query says of it
    [
        ((0, 0, 1), [619_591, 201_431, 108_311, 52_179], 230.5084729),
        ((0, 1, 2), [205_743, 85_324, 34_265, 12_544], 256.1120797),
        ((0, 0, 1, 1, 2), [619_591, 201_431, 108_311, 12_544], 230.8565265),
    ],
)
def test_pruned_wikitext_2_is_what_kenlm_prunes(
    shared_data: Callable[[str], Path],
    tmp_path: Path,
    prune: tuple[int, ...],
    ngrams: list[int],
    perplexity: float,
) -> None:
    wikitext_2(shared_data("wikitext-2"), tmp_path)
    train_text(NGramConfig(prune=prune), tmp_path / "train", tmp_path / "model")
    model = kenlm.Model(tmp_path / "model")
    assert np.diff(model.tables.first)[1:].tolist() == ngrams
    assert model.query((tmp_path / "test").read_bytes()).perplexity == pytest.approx(perplexity, rel=2e-7)


def test_quantized_wikitext_2_takes_eight_bytes(shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    wikitext_2(shared_data("wikitext-2"), tmp_path)
    train_text(NGramConfig(quantize=True), tmp_path / "train", tmp_path / "model")
    model = kenlm.Model(tmp_path / "model")
    assert sum(array.nbytes for array in model.tables) / len(model.tables.suffix) <= 8
    # Rounding down costs something, and never gains: to bins as they are KenLM's falls to 224.219.
    assert 1 < model.query((tmp_path / "test").read_bytes()).perplexity / 224.8115407 < 1.003
