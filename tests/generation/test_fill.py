"""Filling gaps with a model that knows what belongs there."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from langue.base.arrays import Floats, Ids
from langue.base.errors import LangueError
from langue.generation import embed as embedding
from langue.generation.embed import embed
from langue.generation.fill import fill, read
from langue.protocols import Vocabulary
from langue.tokens.masked_batch import Specials
from langue.tokens.tokenizer import Tokenizer
from langue.tokens.train import TokenizerConfig, train_tokenizer

ENGLISH = "The capital of France is Paris"
CHINESE = "床前明月光"


class Knows:
    """A `Masked` model that knows one text: sure of the token at each place, after how much it sees."""

    window = 40
    sentence_pairs = "none"

    def __init__(self, tokenizer: Tokenizer, text: str) -> None:
        self.vocabulary = Vocabulary(tokenizer.vocab_size, tokenizer.eos)
        size = tokenizer.vocab_size
        self.specials = Specials(size, size + 1, size + 2)
        self.answer = np.r_[size, tokenizer.encode(text), size + 1].astype(np.int64)
        self.seen: list[list[int]] = []

    def masked_log_probs(
        self, sequences: Sequence[Ids], places: Sequence[Ids], types: Any = None
    ) -> list[Floats]:
        found = []
        for ids, chosen in zip(sequences, places, strict=True):
            self.seen.append(ids.tolist())
            share = 0.5 + 0.5 * (ids[chosen] == self.answer[chosen]).mean()  # type: ignore[index]
            rows = np.full((len(chosen), self.vocabulary.size + 3), 1e-6)
            rows[np.arange(len(chosen)), self.answer[chosen]] = share
            found.append(np.log(rows / rows.sum(-1, keepdims=True)))
        return found

    def hidden(self, sequences: Sequence[Ids], types: Any = None) -> list[Floats]:
        return [np.stack([ids, ids**2], 1).astype(np.float32) for ids in sequences]


@pytest.fixture(scope="module", params=["bpe", "chars"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    texts = [ENGLISH, CHINESE, "France Paris of is"] * 4
    return train_tokenizer(TokenizerConfig(kind=request.param, vocabulary=300), texts)


def test_fills_english_and_chinese(tokenizer: Tokenizer) -> None:
    for text in (ENGLISH, CHINESE):
        model: Any = Knows(tokenizer, text)
        last = tokenizer.decode(tokenizer.encode(text)[-1:])
        gap = text.removesuffix(last) + (" [MASK]" if last.startswith(" ") else "[MASK]")
        found = fill(model, tokenizer, gap, k=3)
        assert found.text == text
        assert found.gaps[0].candidates[0][0] == last
        assert found.gaps[0].candidates[0][1] > 0.9
        assert len(found.gaps[0].candidates) == 3
        probabilities = [probability for _, probability in found.gaps[0].candidates]
        assert probabilities == sorted(probabilities, reverse=True)


def test_the_space_before_a_gap_belongs_to_it_where_tokens_hold_spaces(tokenizer: Tokenizer) -> None:
    model: Any = Knows(tokenizer, ENGLISH)
    ids = read(tokenizer, "The capital of [MASK] is Paris", model)
    before, after = np.split(ids[1:-1], np.flatnonzero(ids[1:-1] == model.specials.mask))
    assert tokenizer.decode(before) == ("The capital of " if tokenizer.kind == "chars" else "The capital of")
    assert tokenizer.decode(after[1:]) == " is Paris"
    assert (ids[0], ids[-1]) == model.specials[:2]
    assert read(tokenizer, "[MASK][MASK]", model)[1:-1].tolist() == [model.specials.mask] * 2


def test_refining_opens_the_least_sure_gaps_again(tokenizer: Tokenizer) -> None:
    text = "Paris is France, Paris!"
    count = len(tokenizer.encode(text))
    model: Any = Knows(tokenizer, text)
    found = fill(model, tokenizer, "[MASK]" * count, rounds=3)
    assert found.text == text
    open_gaps = [ids.count(model.specials.mask) for ids in model.seen]
    assert open_gaps == [count, count * 2 // 3, count // 3]  # Ghazvininejad et al. 2019, equation 5


def test_drawing_follows_the_seed(tokenizer: Tokenizer) -> None:
    model: Any = Knows(tokenizer, "Paris is France, Paris!")
    hot = {"rounds": 1, "temperature": 50.0}
    texts = {seed: fill(model, tokenizer, "[MASK]" * 5, seed=seed, **hot).text for seed in (1, 2)}
    assert texts[1] == fill(model, tokenizer, "[MASK]" * 5, seed=1, **hot).text
    assert texts[1] != texts[2]
    assert "\ufffd" not in texts[1] + texts[2]  # never half a character


def test_what_cannot_be_filled_is_told(tokenizer: Tokenizer) -> None:
    model: Any = Knows(tokenizer, CHINESE)
    with pytest.raises(LangueError, match=r"write \[MASK\] where a token is missing"):
        fill(model, tokenizer, "no gap")
    with pytest.raises(LangueError, match="more than the 38 this model can see at once"):
        fill(model, tokenizer, "[MASK]" * 39)


def test_embedding_is_the_mean_or_the_first(tokenizer: Tokenizer) -> None:
    model: Any = Knows(tokenizer, CHINESE)
    ids = np.r_[model.specials.cls, tokenizer.encode(CHINESE), model.specials.sep].astype(np.float32)
    mean, first = (embed(model, tokenizer, [CHINESE, ""], pooling=pooling) for pooling in ("mean", "cls"))  # type: ignore[arg-type]
    np.testing.assert_allclose(mean[0], [ids.mean(), (ids**2).mean()], rtol=1e-6)
    np.testing.assert_allclose(first[0], [ids[0], ids[0] ** 2])
    assert mean.shape == (2, 2)


def test_a_long_text_is_read_in_parts(tokenizer: Tokenizer) -> None:
    model: Any = Knows(tokenizer, CHINESE)
    text = ENGLISH * 8
    ids = tokenizer.encode(text).astype(np.float64)
    parts = np.array_split(ids, -(-len(ids) // 38))
    framed = np.concatenate([np.r_[model.specials.cls, part, model.specials.sep] for part in parts])
    found = embed(model, tokenizer, [text])
    np.testing.assert_allclose(found[0], [framed.mean(), (framed**2).mean()], rtol=1e-5)


def test_the_states_of_a_long_text_are_not_held_together(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    model: Any = Knows(tokenizer, CHINESE)
    texts = [ENGLISH * 8, "", CHINESE]
    for pooling in ("mean", "cls"):
        whole = embed(model, tokenizer, texts, pooling=pooling)  # type: ignore[arg-type]
        with monkeypatch.context() as few:
            few.setattr(embedding, "AT_ONCE", 2)
            parts = embed(model, tokenizer, texts, pooling=pooling)  # type: ignore[arg-type]
        np.testing.assert_allclose(parts, whole, rtol=1e-6)
