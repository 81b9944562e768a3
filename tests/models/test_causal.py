"""What every `Causal` family must do, each against itself: one test a property, one line a family.

What a family computes is tested against an independent implementation in a file of its own.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from langue.base.arrays import Ids
from langue.base.config import decode
from langue.base.errors import LangueError
from langue.evaluation.checks import check
from langue.models.registry import Family, family
from langue.protocols import Causal, Vocabulary
from langue.tokens.batches import BatchSource
from langue.tokens.store import Split, TokenStore

V = 23  # 0 ends a document
VOCABULARY = Vocabulary(V, 0, [b"", *(bytes([96 + id]) for id in range(1, V))])
CLOSE = 1e-4  # nats: float32 arithmetic in another order

# name → family and settings, small enough for random documents to pass every edge there is
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "ngram": ("ngram", {"order": 3}),
    "class-ngram": ("class-ngram", {"order": 3, "classes": 5}),
    "quantized": ("ngram", {"order": 4, "quantize": True}),
    "infinigram": ("infinigram", {}),
    "markov": ("markov", {"order": 2, "alpha": 0.5}),
    "hmm": ("hmm", {"states": 5, "iterations": 3}),
    "loglinear": ("loglinear", {"order": 4, "skips": True, "epochs": 2}),
    "gpt2": ("gpt2", {"layers": 2, "width": 16, "heads": 2, "context": 32}),
    "nplm": ("nplm", {"order": 4, "width": 8, "hidden": 16}),
    "nplm direct": ("nplm", {"order": 3, "width": 8, "hidden": 16, "direct": True, "dropout": 0.5}),
    "transformer": ("transformer", {"layers": 2, "width": 16, "heads": 2, "context": 8}),
    "transformer pre": ("transformer", {"layers": 1, "width": 16, "heads": 2, "context": 16, "norm": "pre"}),
    "transformer of pairs": ("transformer", {"layers": 2, "width": 16, "heads": 2, "separator": "d"}),
    "bert2bert": ("bert2bert", {"layers": 2, "width": 16, "heads": 2, "context": 9}),
    "bert2bert of pairs": (
        "bert2bert",
        {"layers": 2, "width": 16, "heads": 2, "context": 12, "separator": "d", "dropout": 0.5},
    ),
    "elman": ("rnn", {"cell": "elman", "width": 32}),
    "gru": ("rnn", {"cell": "gru", "width": 12, "layers": 1}),
    "lstm": ("rnn", {"width": 32, "tied": True, "dropout": 0.5, "weight_drop": 0.5}),
    "charcnn": ("charcnn", {"width": 64, "layers": 1, "dropout": 0.5}),
}
BY_GRADIENT = [name for name, (kind, _) in MODELS.items() if family(kind).estimated_by == "gradient"]

Make = Callable[[str], tuple[Family, Any, Any]]


def texts(lengths: Sequence[int] = (1, 2, 5, 9, 9, 30, 64), seed: int = 0) -> list[Ids]:
    """Random documents that end with `<eos>`; lengths repeat, differ, and pass windows."""
    draw = np.random.default_rng(seed)
    return [np.append(draw.integers(1, V, length - 1), 0).astype(np.uint32) for length in lengths]


def split_and_store(make_store: Callable[..., TokenStore]) -> TokenStore:
    return make_store([ids[:-1] for ids in texts(seed=1)], vocabulary=V)


@pytest.fixture
def make(make_store: Callable[..., TokenStore]) -> Make:
    """The family, its configuration, and a model that has learned nothing much."""

    def build(name: str) -> tuple[Family, Any, Any]:
        kind, settings = MODELS[name]
        found = family(kind)
        config = decode(found.config, settings, "model")
        if found.estimate is not None:
            return found, config, found.estimate(config, split_and_store(make_store))
        assert found.build is not None
        return found, config, found.build(config, VOCABULARY, 1).eval()

    return build


def whole(kind: Family, config: Any, model: Any, split: Split) -> BatchSource:
    """A source whose every batch is all of the split: one row, or for a fixed order a row a token."""
    total = len(split.tokens)
    rows, context = (total, 1) if model.context == 1 else (1, total)
    return kind.batches(split, model.vocabulary, config, rows, context, 0)


@pytest.mark.parametrize("name", MODELS)
def test_scores_pass_the_self_tests(make: Make, name: str) -> None:
    """Sums to one; alone as in a batch; scoring, next and generating agree; no token sees its label."""
    for found in check(make(name)[2], texts()):
        assert found.deviation < CLOSE, found


@pytest.mark.parametrize("name", MODELS)
def test_order_and_emptiness_do_not_matter(make: Make, name: str) -> None:
    model: Causal = make(name)[2]
    forwards, backwards = model.log_probs(texts()), model.log_probs(texts()[::-1])[::-1]
    for ids, one, other in zip(texts(), forwards, backwards, strict=True):
        assert one.shape == ids.shape
        assert one == pytest.approx(other, abs=CLOSE)
    assert model.log_probs([]) == []
    assert [len(scores) for scores in model.log_probs([texts()[0][:0]])] == [0]
    assert model.next_log_probs([]).shape == (0, V)


@pytest.mark.parametrize("name", MODELS)
def test_prompts_grow_side_by_side_as_they_would_alone(make: Make, name: str) -> None:
    model: Causal = make(name)[2]
    sources = texts((40, 41, 42))
    read = [0, 3, 30]  # the last passes the edge of a window of 32
    decoder = model.decoder([ids[:place] for ids, place in zip(sources, read, strict=True)])
    for _ in range(6):
        prompts = [ids[:place] for ids, place in zip(sources, read, strict=True)]
        alone = np.concatenate([model.next_log_probs([prompt]) for prompt in prompts])
        assert decoder.log_probs() == pytest.approx(alone, abs=CLOSE)
        decoder.append(np.array([ids[place] for ids, place in zip(sources, read, strict=True)]))
        read = [place + 1 for place in read]


@pytest.mark.parametrize("name", MODELS)
def test_sequences_part_where_they_are_selected(make: Make, name: str) -> None:
    """One that is named twice goes two ways, and neither disturbs the other."""
    model: Causal = make(name)[2]
    first, second = texts((14, 15))
    decoder = model.decoder([first[:13], second[:14]])
    decoder.select([1, 0, 1])
    prompts = [second[:14], first[:13], second[:14]]
    for new in ([1, 2, 3], [4, 4, 5], [6, 7, 7]):
        alone = np.concatenate([model.next_log_probs([prompt]) for prompt in prompts])
        assert decoder.log_probs() == pytest.approx(alone, abs=CLOSE)
        decoder.append(np.array(new))
        prompts = [np.append(prompt, id) for prompt, id in zip(prompts, new, strict=True)]


@pytest.mark.parametrize("name", MODELS)
def test_save_and_load_are_exact(make: Make, name: str, tmp_path: Path) -> None:
    kind, config, model = make(name)
    model.save(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} <= {".safetensors", ".npy"}  # nothing to unpickle
    loaded = kind.load(tmp_path, config, Vocabulary(V, 0))
    assert loaded.size() == model.size()
    for one, other in zip(model.log_probs(texts()), loaded.log_probs(texts()), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("name", BY_GRADIENT)
def test_another_configuration_does_not_fit(make: Make, name: str, tmp_path: Path) -> None:
    kind, config, model = make(name)
    model.save(tmp_path)
    with pytest.raises(LangueError, match="does not fit"):
        kind.load(tmp_path, config, Vocabulary(V + 1, 0))


@pytest.mark.parametrize("name", BY_GRADIENT)
def test_loss_of_packed_documents_is_the_sum_of_their_scores(
    make: Make, make_store: Callable[..., TokenStore], name: str
) -> None:
    """Neither attention nor state crosses from one document into the next, and none is forgotten."""
    kind, config, model = make(name)
    split = make_store([ids[:-1] for ids in texts((3, 20, 1, 7, 2))], vocabulary=V).split("train")
    source = whole(kind, config, model, split)
    batch = source.batch(0)
    assert batch.targets_count == len(split.tokens)
    with torch.no_grad():
        loss = float(model.loss(batch))
    assert loss == pytest.approx(
        -sum(float(found.sum()) for found in model.log_probs(texts((3, 20, 1, 7, 2)))), rel=1e-5
    )


@pytest.mark.parametrize("name", BY_GRADIENT)
def test_same_seed_same_weights_and_another_seed_others(name: str) -> None:
    kind, settings = MODELS[name]
    found = family(kind)
    assert found.build is not None
    config = decode(found.config, settings, "model")
    first, again, other = (
        [weight.detach() for weight in found.build(config, VOCABULARY, seed).parameters()]
        for seed in (1, 1, 2)
    )
    assert all(torch.equal(one, two) for one, two in zip(first, again, strict=True))
    assert not all(torch.equal(one, two) for one, two in zip(first, other, strict=True))


@pytest.mark.parametrize("name", BY_GRADIENT)
def test_learns_a_tiny_corpus_by_heart(make: Make, make_store: Callable[..., TokenStore], name: str) -> None:
    """Below 0.1 nats a token, on documents that two tokens tell apart."""
    kind, config, model = make(name)
    documents = [[5, 1, 2, 3, 4], [6, 4, 3, 2, 1, 7], [8, 2, 9, 1, 9, 2, 10]]
    split = make_store(documents, vocabulary=V).split("train")
    source = whole(kind, config, model, split)
    model.eval()  # dropout is not what is tested
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005 if name == "charcnn" else 0.02)
    for step in range(250):
        batch = source.batch(step)
        loss = model.loss(batch) / batch.targets_count
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    scores = model.log_probs([np.array([*ids, 0]) for ids in documents])
    # What comes first can't be known: it costs log 3.
    assert np.mean([-found[1:].mean() for found in scores]) < 0.1
