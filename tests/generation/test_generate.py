"""Writing text: stop strings, ends, streaming, and no broken character ever."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import langue
from langue.base.arrays import Floats, Ids
from langue.generation.generate import generate, next_tokens
from langue.generation.sample import Sampling
from langue.protocols import Vocabulary
from langue.tokens.tokenizer import Tokenizer
from langue.tokens.train import TokenizerConfig, train_tokenizer

BYTES = train_tokenizer(TokenizerConfig(kind="bytes"), ["a"])


class Scripted:
    """Says the tokens of a script, whatever was read; then any byte at all, an end included."""

    window = None
    stride = None

    def __init__(self, tokenizer: Tokenizer, script: Sequence[int]) -> None:
        self.vocabulary = Vocabulary(tokenizer.vocab_size, tokenizer.eos)
        self.script = list(script)

    def decoder(self, prompts: Sequence[Ids], *, depth: int = 0) -> "Scripted":
        assert len(prompts) == 1
        return self

    def log_probs(self) -> Floats:
        row = np.full(self.vocabulary.size, -20.0)
        if self.script:
            row[self.script[0]] = 0.0
        else:
            row[:] = -np.log(self.vocabulary.size)
        return row[None]

    def extend(self, ids: Ids) -> None:
        self.script = self.script[1:]

    def select(self, rows: Sequence[int]) -> None:
        assert len(rows) == 0

    def next_log_probs(self, contexts: Sequence[Ids]) -> Floats:
        return self.log_probs()


def write(text: str, sampling: Sampling, *, end: bool = True) -> tuple[list[str], str, str]:
    script = [int(id) for id in BYTES.encode(text)] + ([BYTES.eos] if end else [])
    writer = generate(Scripted(BYTES, script), BYTES, "", sampling)
    pieces = list(writer)
    return pieces, writer.result.text, writer.result.finished


@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=30))
def test_streams_whole_characters_and_ends_with_the_document(text: str) -> None:
    pieces, whole, finished = write(text, Sampling(max_tokens=200, temperature=0))
    assert "".join(pieces) == whole == text
    assert finished == "eos"


@given(
    before=st.text(alphabet="ab中", max_size=8),
    stop=st.text(alphabet="ab中", min_size=1, max_size=3),
    after=st.text(alphabet="ab中", max_size=4),
)
def test_nothing_of_a_stop_string_is_ever_shown(before: str, stop: str, after: str) -> None:
    text = before + stop + after
    pieces, whole, finished = write(text, Sampling(max_tokens=99, temperature=0, stop=("zz", stop)))
    assert "".join(pieces) == whole == text[: text.find(stop)]
    assert finished == "stop"


def test_what_only_began_like_a_stop_string_is_shown_at_the_end() -> None:
    assert write("ab", Sampling(temperature=0, stop=("abc",)))[1] == "ab"
    assert write("ab", Sampling(max_tokens=2, temperature=0, stop=("abc",)), end=False)[1:] == (
        "ab",
        "length",
    )


@pytest.mark.parametrize("tokens", [1, 2, 4, 5])
def test_a_character_cut_by_the_limit_is_left_out(tokens: int) -> None:
    _, whole, finished = write("中文", Sampling(max_tokens=tokens, temperature=0))
    assert whole == "中文"[: tokens // 3]
    assert finished == "length"


@given(seed=st.integers(0, 1000))
def test_random_bytes_are_text_all_the_same(seed: int) -> None:
    writer = generate(
        Scripted(BYTES, []), BYTES, "中", Sampling(max_tokens=60, temperature=1.0, top_p=1.0, seed=seed)
    )
    text = "".join(writer)
    assert "\ufffd" not in text
    assert writer.result.finished in ("eos", "length")


def test_a_model_that_gives_nothing_a_probability_stops() -> None:
    class Silent(Scripted):
        def log_probs(self) -> Floats:
            return np.full((1, self.vocabulary.size), -np.inf)

    writer = generate(Silent(BYTES, []), BYTES, "", Sampling())
    assert list(writer) == []
    assert writer.result.finished == "stuck"


def test_the_same_seed_writes_the_same() -> None:
    def text(seed: int) -> str:
        return "".join(generate(Scripted(BYTES, []), BYTES, "", Sampling(seed=seed, temperature=1.0)))

    assert text(1) == text(1)
    assert len({text(seed) for seed in range(4)}) > 1


def test_next_tokens_shows_white_space_bytes_and_the_end() -> None:
    model = Scripted(BYTES, [])
    shown = dict(next_tokens(model, BYTES, "", BYTES.vocab_size))
    assert shown["\\n"] == pytest.approx(1 / BYTES.vocab_size)
    assert "<eos>" in shown
    assert "\\xff" in shown


KINGS = "the king is dead\nthe queen is dead\nthe king is alive\n"


@pytest.fixture(scope="module", params=["text", "arpa", "line", "line of several", "file"])
def of_words(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A model of the words of three lines, trained from the text, imported, or over a store."""
    folder = tmp_path_factory.mktemp("words")
    text, model = folder / "text", folder / "model"
    text.write_text(KINGS * 4)
    if request.param in ("text", "arpa"):
        langue.train("ngram", text, model, order=3)
        if request.param == "arpa":
            langue.export_model(model, folder / "a.arpa")
            model = langue.import_model(folder / "a.arpa", folder / "again").path
    else:
        langue.prepare(
            text, folder / "store", kind="whitespace", documents=request.param.split()[0], valid=[text],
            test=[text],
        )  # fmt: skip
        if " " in request.param:  # as a model of several others, one by gradient
            langue.train("ngram", folder / "store", folder / "a", order=3)
            langue.train("markov", folder / "store", folder / "b", order=2)
            parts = [str(folder / "a"), str(folder / "b")]
            langue.train("mixture", folder / "store", model, models=parts)
        else:
            langue.train("ngram", folder / "store", model, order=3)
    return request.param, model


def test_a_model_of_lines_ends_with_its_line_and_one_of_a_stream_goes_on(of_words: tuple[str, Path]) -> None:
    cut, path = of_words
    model = langue.CausalModel.load(path)
    lines = set(KINGS.splitlines())
    for seed in range(8):
        written = model.generate("the king", seed=seed, max_tokens=30, top_k=1)
        assert written.text.startswith(" is ")  # a blank stands between prompt and text
        if cut == "file":
            assert written.finished == "length" and "\n" in written.text
        else:
            assert (written.finished, "the king" + written.text in lines) == ("eos", True)
    assert model.generate("the king ", temperature=0).text.startswith("is ")
    assert model.generate("", temperature=0, max_tokens=2).text == "the king"
    (best, *_) = model.beam_search("the king", num_beams=2, max_tokens=10)
    assert best.text.startswith(" is ") and not best.text.endswith((" ", "\n"))
    assert best.finished == ("length" if cut == "file" else "eos")


def test_a_word_that_is_spelled_like_the_end_is_told_from_it(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("the <eos>\nthe <eos>\n<eos> the\n")
    langue.train("ngram", tmp_path / "text", tmp_path / "model", order=2)
    model = langue.CausalModel.load(tmp_path / "model")
    names = [token.strip() for token, _ in model.next_tokens("the")]
    assert sorted(names) == ["<eos>", "<pad>", "<unk>", "\\<eos>", "the"]
    assert model.explain("the <eos>", 1).token.strip() == "\\<eos>"
    assert model.generate("the", bias={"<eos> ": 90}, max_tokens=1).text == " <eos>"
    assert model.generate("the", bias={"<eos>": 90}).finished == "eos"


def test_after_the_end_of_a_line_a_line_begins(of_words: tuple[str, Path]) -> None:
    cut, path = of_words
    model = langue.CausalModel.load(path)
    begin, after = model.next_tokens(""), model.next_tokens("the king is dead\n")
    assert cut == "file" or after == begin
    if cut != "file":
        text = "the king is dead\nthe queen"
        assert model.next_tokens(text) == model.next_tokens("the queen")
        assert model.generate(text, temperature=0).text == " is dead"
        lines = [model.score(line) for line in KINGS.splitlines()]
        whole = model.score(KINGS)
        assert whole.total_bits == pytest.approx(sum(line.total_bits for line in lines), rel=1e-6)
        assert len(whole.bits) == sum(len(line.bits) for line in lines) == len(whole.tokens)
