"""Writing with a masked model: Gibbs sampling against exact conditionals, mask-predict round by round."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import langue
from langue.base.arrays import Float64Array, Floats, Ids
from langue.base.errors import InvalidSetting
from langue.base.seeds import generator
from langue.generation.masked import MaskedSampling as Settings
from langue.generation.masked import MaskedText, generate_masked, gibbs, mask_predict
from langue.generation.sample import Sampling
from langue.models.registry import family, names
from langue.protocols import Masked, Vocabulary
from langue.tokens.masked_batch import Specials
from langue.tokens.tokenizer import Tokenizer
from langue.tokens.train import TokenizerConfig, train_tokenizer

ENGLISH, CHINESE = "The capital of France is Paris", "床前明月光，疑是地上霜"
V, MASK = 3, 3


class Joint:
    """A `Masked` model of N tokens whose joint distribution is a table: what it says is exact."""

    specials = Specials(4, 5, MASK)

    def __init__(self, joint: Float64Array) -> None:
        self.joint = joint
        self.conditionals = cache(self._conditionals)

    def masked_log_probs(
        self, sequences: Sequence[Ids], positions: Sequence[Ids], types: Any = None
    ) -> list[Floats]:
        asked = [(ids.tolist(), at.tolist()) for ids, at in zip(sequences, positions, strict=True)]
        return [np.log(self.conditionals(tuple(ids), tuple(at))) for ids, at in asked]

    def _conditionals(self, ids: tuple[int, ...], chosen: tuple[int, ...]) -> Float64Array:
        seen = tuple(slice(None) if id == MASK else slice(id, id + 1) for id in ids)
        part = self.joint[seen]
        rows = []
        for position in chosen:
            assert ids[position] == MASK
            others = tuple(axis for axis in range(part.ndim) if axis != position)
            rows.append(part.sum(others) / part.sum())
        return np.array(rows)


def test_gibbs_sampling_draws_from_the_joint_distribution() -> None:
    """Chi-square of 3,000 texts, each after two rounds, against the table that the conditionals are of."""
    count = 3000
    joint = np.random.default_rng(5).dirichlet(np.full(V**3, 0.4)).reshape(V, V, V)
    texts = [
        MaskedText(np.zeros(3, np.int64), np.arange(3), generator(number, "test")) for number in range(count)
    ]
    model: Any = Joint(joint)
    gibbs(model, texts, np.arange(V), Sampling(temperature=1.0, top_p=1.0), rounds=2)
    drawn = np.zeros_like(joint)
    for text in texts:
        drawn[tuple(text.ids)] += 1
    expected = count * joint
    often = expected > 5
    chi_square = ((drawn - expected)[often] ** 2 / expected[often]).sum()
    freedom = often.sum() - 1
    assert chi_square < freedom + 4 * np.sqrt(2 * freedom)
    assert abs(drawn[~often].sum() - expected[~often].sum()) < 5 * np.sqrt(expected[~often].sum()) + 1
    # What follows the tokens one by one, as if they did not depend on each other, is another distribution.
    apart = np.einsum("i,j,k->ijk", joint.sum((1, 2)), joint.sum((0, 2)), joint.sum((0, 1))) * count
    assert ((drawn - apart)[often] ** 2 / apart[often]).sum() > 10 * chi_square


def test_mask_predict_takes_the_likeliest_then_the_least_sure_again() -> None:
    """Against the paper's algorithm written out for one text."""
    for seed in range(20):
        joint = np.random.default_rng(seed).dirichlet(np.full(V**4, 0.3)).reshape((V,) * 4)
        model: Any = Joint(joint)
        text = MaskedText(np.full(4, MASK), np.arange(4), generator(0, "test"))
        mask_predict(model, [text], np.arange(V), Sampling(temperature=0.0), rounds=3)
        ids, sure = np.full(4, MASK), np.zeros(4)
        for again in (4, 4 * 2 // 3, 4 * 1 // 3):
            opened = np.sort(np.argsort(sure, kind="stable")[:again])
            ids[opened] = MASK
            rows = model.conditionals(tuple(ids.tolist()), tuple(opened.tolist()))
            ids[opened], sure[opened] = rows.argmax(1), np.log(rows.max(1))
        assert text.ids.tolist() == ids.tolist()


class Tempted:
    """A `Masked` model that would write special tokens and half characters, if it could."""

    window = 40
    sentence_pairs = "none"

    def __init__(self, tokenizer: Tokenizer) -> None:
        size = tokenizer.vocab_size
        self.vocabulary = Vocabulary(size, tokenizer.eos)
        self.specials = Specials(size, size + 1, size + 2)
        self.row = np.where(np.isin(np.arange(size + 3), tokenizer.complete), -9.0, -1.0)
        self.seen: list[list[int]] = []

    def masked_log_probs(
        self, sequences: Sequence[Ids], positions: Sequence[Ids], types: Any = None
    ) -> list[Floats]:
        self.seen += [ids.tolist() for ids in sequences]
        assert all(len(ids) <= self.window for ids in sequences)
        return [np.tile(self.row, (len(chosen), 1)).astype(np.float32) for chosen in positions]


@pytest.fixture(scope="module", params=["bpe", "chars"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return train_tokenizer(TokenizerConfig(kind=request.param, vocabulary=300), [ENGLISH, CHINESE] * 4)


@pytest.mark.parametrize("method", ["mask-predict", "gibbs"])
def test_what_is_written_is_whole_characters_and_the_prompt_stays(tokenizer: Tokenizer, method: Any) -> None:
    model: Any = Tempted(tokenizer)
    model.window = 60
    settings = Settings(tokens=6, suffix=CHINESE[:3], method=method, rounds=2, temperature=1.0)
    for prompt in (ENGLISH, CHINESE, ""):
        model.seen.clear()
        ((one,),) = generate_masked(model, tokenizer, [prompt], settings)
        assert one.tokens == 6 and len(one.text) >= 6 and "\ufffd" not in one.text
        before, after = tokenizer.encode(prompt), tokenizer.encode(CHINESE[:3])
        for ids in model.seen:
            assert ids[0] == model.specials.cls and ids[-1] == model.specials.sep
            assert ids[1 : 1 + len(before)] == before.tolist()
            assert ids[len(before) + 7 : -1] == after.tolist()
        assert any(model.specials.mask in ids for ids in model.seen)


def test_what_is_far_from_the_gap_is_left_out(tokenizer: Tokenizer) -> None:
    model: Any = Tempted(tokenizer)
    long = ENGLISH * 9
    ids = tokenizer.encode(long).tolist()
    next(generate_masked(model, tokenizer, [long], Settings(tokens=10, suffix=long, rounds=1)))
    (seen,) = model.seen
    assert seen[1:15] == ids[-14:] and seen[25:39] == ids[:14]
    model.seen.clear()
    next(generate_masked(model, tokenizer, ["", long], Settings(tokens=38, rounds=1)))
    assert seen[0] == model.seen[0][0] and len(model.seen[0]) == 40
    with pytest.raises(
        InvalidSetting, match="tokens = 39 is more than the 38 that this model can see at once"
    ):
        next(generate_masked(model, tokenizer, [""], Settings(tokens=39)))


MASKED = [name for name in names() if Masked in family(name).makes.__mro__]


@pytest.fixture(scope="module", params=MASKED)
def encoder(
    request: pytest.FixtureRequest, small_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    folder = tmp_path_factory.mktemp("encoder") / "model"
    tiny = {"layers": 1, "width": 32, "heads": 2, "context": 32, "steps": 5, "batch_tokens": 256}
    langue.train(request.param, small_store, folder, sentence_pairs="none", **tiny)
    return langue.MaskedModel.load(folder)


def test_the_registry_has_them() -> None:
    assert {"bert", "albert", "electra"} <= set(MASKED)


@pytest.mark.parametrize("method", ["mask-predict", "gibbs"])
def test_a_text_is_the_same_alone_and_in_a_batch(encoder: langue.MaskedModel, method: Any) -> None:
    prompts = ["The king", "", "却说那人", "The king is dead, long live the queen", "却说"]
    settings: dict[str, Any] = {"method": method, "tokens": 6, "rounds": 3, "temperature": 1.0, "seed": 3}
    alone = [encoder.generate(prompt, **settings) for prompt in prompts]
    together = list(encoder.generate_all(prompts, n=2, batch_size=7, **settings))
    assert [some[0] for some in together] == alone
    assert [len(some) for some in together] == [2] * len(prompts)
    assert any(some[0].text != some[1].text for some in together)
    assert encoder.generate(prompts[0], **{**settings, "seed": 4}).text != alone[0].text
    assert alone[0].to_json()["log_prob"] is None


def test_without_a_draw_it_writes_one_text(encoder: langue.MaskedModel) -> None:
    assert encoder.generate("却说", tokens=5) == encoder.generate("却说", tokens=5, seed=9)
    with pytest.raises(InvalidSetting, match="2 texts would be the same"):
        encoder.generate_all(["却说"], n=2)
    with pytest.raises(InvalidSetting, match="top_p"):
        encoder.generate("却说", top_p=1.5)
    with pytest.raises(InvalidSetting, match="a list of texts, not one text"):
        encoder.generate_all("却说")
