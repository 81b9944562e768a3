import random

import pytest

from langue.base.errors import LangueError
from langue.tokens.train import Sample, TokenizerConfig, train_tokenizer


def test_the_sample_is_bounded_and_blind_to_order() -> None:
    texts = [f"text number {number}" for number in range(1000)]
    shuffled = texts.copy()
    random.Random(1).shuffle(shuffled)
    samples = []
    for order in (texts, shuffled):
        sample = Sample(2000, seed=0)
        for text in order:
            sample.add(text)
        samples.append(sample.texts())
    assert samples[0] == samples[1]
    assert 1900 < sum(map(len, samples[0])) <= 2000
    other = Sample(2000, seed=1)
    for text in texts:
        other.add(text)
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
