import gzip
import random
from itertools import product
from pathlib import Path

import pytest

import langue
from langue.base.errors import LangueError
from langue.base.seeds import derive
from langue.corpus.sample import sample_path
from langue.tokens.train import Sample, TokenizerConfig, train_tokenizer


def test_the_sample_is_bounded_and_blind_to_order() -> None:
    texts = [f"text number {number}" for number in range(1000)]
    shuffled = texts.copy()
    random.Random(1).shuffle(shuffled)
    samples = []
    for order in (texts, shuffled):
        sample = Sample[str](2000)
        for text in order:
            sample.add(derive(0, text), len(text), text)
        samples.append(sample.texts())
    assert samples[0] == samples[1]
    assert 1900 < sum(map(len, samples[0])) <= 2000
    other = Sample[str](2000)
    for text in texts:
        other.add(derive(1, text), len(text), text)
    assert other.texts() != samples[0]


def test_a_text_larger_than_the_sample_is_still_learned_from() -> None:
    config = TokenizerConfig(sample_bytes=10, vocabulary=300)
    assert train_tokenizer(config, ["the best of times, the worst of times"]).vocab_size > 258


def test_too_small_a_vocabulary_is_a_message() -> None:
    with pytest.raises(LangueError, match="vocabulary of 100 is too small"):
        train_tokenizer(TokenizerConfig(vocabulary=100), ["text"])


@pytest.mark.parametrize("kind", ["bpe", "unigram", "wordpiece", "words", "chars"])
def test_the_vocabulary_is_as_large_as_asked(kind: str) -> None:
    texts = ["".join(chr(0x4E00 + (7 * i * j) % 900) for j in range(20)) + f" word{i}" for i in range(200)]
    assert train_tokenizer(TokenizerConfig(kind=kind, vocabulary=500), texts).vocab_size == 500


@pytest.mark.parametrize("kind", ["bpe", "unigram", "wordpiece", "words"])
def test_what_is_seen_a_few_times_makes_no_entry_unless_a_size_is_asked_for(kind: str) -> None:
    texts = ["some rare words, once each"] + ["the most usual of all words"] * 200
    by_itself = train_tokenizer(TokenizerConfig(kind=kind), texts)
    assert len(by_itself.encode("the most usual of all words")) < 20
    assert len(by_itself.encode(" rare")) > 1
    asked = train_tokenizer(TokenizerConfig(kind=kind, vocabulary=400), texts)
    assert len(asked.encode(" rare")) < len(by_itself.encode(" rare")) or kind == "unigram"
    assert train_tokenizer(TokenizerConfig(kind=kind, min_frequency=500), texts).vocab_size == 258


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["bpe", "wordpiece", "words"])
@pytest.mark.parametrize("language", ["english", "chinese"])
def test_on_a_small_text_the_vocabulary_by_default_is_nearly_the_best(
    tmp_path: Path, language: str, kind: str
) -> None:
    with gzip.open(sample_path(language)) as file:
        (tmp_path / "text.txt").write_bytes(
            file.read(50_000).decode(errors="ignore").replace("\f", "").encode()
        )

    def bits(name: str, **settings: int) -> float:
        langue.prepare(tmp_path / "text.txt", tmp_path / name, kind=kind, valid_fraction=0.1, **settings)
        model = langue.train("ngram", tmp_path / name, tmp_path / f"{name}-model", order=5)
        found = langue.evaluate(model, tmp_path / name, split="valid").bits_per_byte
        assert found is not None
        return found

    best = min(bits(f"of-{size}", vocabulary=size) for size in (400, 1024))
    assert bits("by-default") < 1.02 * best


@pytest.mark.parametrize("size", [262, 400, "auto"])
def test_rare_words_are_spelled_in_characters_before_bytes(size: int | str) -> None:
    pairs = "".join(f"{a}{b}q{n} " for n, (a, b) in enumerate(product("鸿蒙é🙂天", repeat=2)))
    text = "天下大势 " * 50 + pairs
    config = TokenizerConfig(kind="words", vocabulary=size, min_frequency=3)  # type: ignore[arg-type]
    tokenizer = train_tokenizer(config, [text])
    assert size == "auto" or tokenizer.vocab_size <= int(size)
    for sample in (text, "蒙🙂鸿é", "鸿" * 40, "魑魅魍魉", "ÿ蒙"):
        assert tokenizer.decode(tokenizer.encode(sample)) == sample
    tokens = [tokenizer.token_bytes(id) for id in tokenizer.encode("蒙🙂鸿é蒙势")]
    if size != 262:  # which has no room for them
        assert [token.decode() for token in tokens] == ["蒙", "🙂", "鸿", "é", "蒙", "势"]
    assert tokenizer.kind == "words"
