"""What every `Causal` family must do, each against itself: one test a property, one line a family.

What a family computes is tested against an independent implementation in a file of its own.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from langue.base.arrays import Ids
from langue.base.config import decode
from langue.base.errors import LangueError
from langue.evaluation.checks import check
from langue.models.networks.mixture import Mixture
from langue.models.networks.mixture_weights import Weights
from langue.models.registry import Family, family
from langue.protocols import Causal, Vocabulary
from langue.tokens.batches import BatchSource
from langue.tokens.store import Split, TokenStore

V = 23  # 0 ends a document
VOCABULARY = Vocabulary(V, 0, [b"", *(bytes([96 + id]) for id in range(1, V))])
CLOSE = 1e-4  # nats: float32 arithmetic in another order

ROTARY = {
    "layers": 2, "width": 16, "heads": 2, "key_value_heads": 1, "context": 32,
    "position": "rotary", "qk_norm": True,
}  # fmt: skip

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
DECODERS: dict[str, tuple[str, dict[str, Any]]] = {
    **MODELS,
    "hmm of pairs": ("hmm", {"states": 3, "order": 2, "iterations": 2}),
    "neural-hmm": ("neural-hmm", {"states": 6, "clusters": 3}),
    "gpt2 rotary": ("gpt2", ROTARY),
    "mixture": ("mixture", {}),
}
BY_GRADIENT = [name for name, (kind, _) in MODELS.items() if family(kind).estimated_by == "gradient"]

# Where pieces of four texts begin and end, after which ragged prompts end.
PIECES = (
    ((3, 0, 20, 5), (4, 9, 20, 6)),
    ((4, 9, 20, 6), (41, 12, 29, 7)),
    ((41, 12, 29, 7), (42, 13, 30, 8)),
    ((42, 13, 30, 8), (69, 50, 30, 12)),
)

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
        kind, settings = DECODERS[name]
        found = family(kind)
        config = decode(found.config, settings, "model")
        if name == "mixture":  # of two n-grams and a network, which count by their matches and its entropy
            models = [build(part)[2] for part in ("ngram", "quantized", "gpt2")]
            folders: Any = [
                SimpleNamespace(model=model, path=None, family=SimpleNamespace(name="ngram"))
                for model in models
            ]
            table = np.random.default_rng(0).dirichlet([1, 1, 1], (4, 2))
            return found, config, Mixture(VOCABULARY, folders, Weights(table, np.array([1.0, 3.0])))
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


@pytest.mark.parametrize("name", DECODERS)
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


@pytest.mark.parametrize("name", DECODERS)
def test_prompts_grow_side_by_side_as_they_would_alone(make: Make, name: str) -> None:
    model: Causal = make(name)[2]
    sources = texts((40, 41, 42))
    read = [0, 3, 30]  # the last passes the edge of a window of 32
    decoder = model.decoder([ids[:place] for ids, place in zip(sources, read, strict=True)])
    for _ in range(6):
        prompts = [ids[:place] for ids, place in zip(sources, read, strict=True)]
        alone = np.concatenate([model.next_log_probs([prompt]) for prompt in prompts])
        assert decoder.log_probs() == pytest.approx(alone, abs=CLOSE)
        decoder.extend(np.array([ids[place] for ids, place in zip(sources, read, strict=True)])[:, None])
        read = [place + 1 for place in read]


@pytest.mark.parametrize("name", DECODERS)
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
        decoder.extend(np.array(new)[:, None])
        prompts = [np.append(prompt, id) for prompt, id in zip(prompts, new, strict=True)]


@pytest.mark.parametrize("name", DECODERS)
def test_many_tokens_at_a_time_are_as_one_at_a_time(make: Make, name: str) -> None:
    """Rows of different length, across the edges of windows; every distribution on the way, or the last."""
    model: Causal = make(name)[2]
    sources = texts((70, 50, 30, 12))
    prompts = [ids[:begin] for ids, begin in zip(sources, PIECES[0][0], strict=True)]
    at_once, stepwise = model.decoder(prompts), model.decoder(prompts)
    pieces = [[ids[a:b] for ids, a, b in zip(sources, begins, ends, strict=True)] for begins, ends in PIECES]
    for piece in pieces:
        every = at_once.extend(piece, every=True)
        assert [len(rows) for rows in every] == [len(ids) for ids in piece]
        for t in range(max(map(len, piece))):
            stepwise.extend([ids[t : t + 1] for ids in piece])
            for row, scores in enumerate(stepwise.log_probs()):
                if t < len(piece[row]):
                    assert every[row][t] == pytest.approx(scores, abs=CLOSE)
        assert at_once.log_probs() == pytest.approx(stepwise.log_probs(), abs=CLOSE)
    alone = [model.next_log_probs([ids[:end]])[0] for ids, end in zip(sources, PIECES[-1][1], strict=True)]
    assert at_once.log_probs() == pytest.approx(np.array(alone), abs=CLOSE)


@pytest.mark.parametrize("name", DECODERS)
def test_what_is_taken_back_was_never_read(make: Make, name: str) -> None:
    model: Causal = make(name)[2]
    first, second, other = texts((60, 50, 49), seed=3)
    for read in (5, 33, 40):  # before, at and after the edge of a window of 32
        decoder = model.decoder([first[: read - 4], second[: read - 4]], depth=4)
        assert decoder.depth is None or decoder.depth >= 4
        decoder.extend([first[read - 4 : read], second[read - 4 : read]])
        decoder.truncate([1, 4])
        prompts = [first[: read - 1], second[: read - 4]]
        alone = np.concatenate([model.next_log_probs([prompt]) for prompt in prompts])
        assert decoder.log_probs() == pytest.approx(alone, abs=CLOSE)
        decoder.truncate([2, 0])
        decoder.extend([other[:9], other[9:10]])  # without a look in between
        decoder.select([1, 0, 1])
        decoder.truncate([0, 3, 1])
        decoder.extend([other[20:21], other[20:22], other[20:23]])
        prompts = [
            np.concatenate([second[: read - 4], other[9:10], other[20:21]]),
            np.concatenate([first[: read - 3], other[:6], other[20:22]]),
            np.concatenate([second[: read - 4], other[20:23]]),
        ]
        alone = np.concatenate([model.next_log_probs([prompt]) for prompt in prompts])
        assert decoder.log_probs() == pytest.approx(alone, abs=CLOSE)


@pytest.mark.parametrize("name", DECODERS)
def test_no_more_is_taken_back_than_was_read_or_kept(make: Make, name: str) -> None:
    decoder = make(name)[2].decoder([texts()[-1][:9], texts()[-1][:3]], depth=5)
    with pytest.raises(LangueError, match="more tokens are to be taken back than were read"):
        decoder.truncate([0, 4])
    decoder.truncate([5, 3])
    if decoder.depth is not None:
        deep = make(name)[2].decoder([texts()[-1][:40]], depth=5)
        deep.extend([texts()[-1][40:46]])
        with pytest.raises(LangueError, match="6 tokens are to be taken back, but 5 at most can be"):
            deep.truncate([6])


@pytest.mark.parametrize("name", DECODERS)
def test_rows_come_and_go(make: Make, name: str) -> None:
    """A row that ends makes room for another, down to none at all and up again."""
    model: Causal = make(name)[2]
    sources = texts((60, 61, 62, 63, 64), seed=5)
    decoder = model.decoder([])
    assert decoder.log_probs().shape == (0, V)
    decoder.add([sources[0][:7], sources[1][:30], sources[2][:0]])
    decoder.extend([sources[0][7:8], sources[1][30:34], sources[2][:1]])
    decoder.select([2, 1])
    decoder.add([sources[3][:40], sources[4][:2]])
    decoder.extend([sources[2][1:2], sources[1][34:35], sources[3][40:41], sources[4][2:3]])
    prompts = [sources[2][:2], sources[1][:35], sources[3][:41], sources[4][:3]]
    alone = np.concatenate([model.next_log_probs([prompt]) for prompt in prompts])
    assert decoder.log_probs() == pytest.approx(alone, abs=CLOSE)
    decoder.select([])
    assert decoder.log_probs().shape == (0, V)
    decoder.extend([])
    decoder.add([sources[0][:11]])
    assert decoder.log_probs() == pytest.approx(model.next_log_probs([sources[0][:11]]), abs=CLOSE)


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
    # charcnn looks at the table of spellings first, which says how many tokens there are.
    with pytest.raises(LangueError, match=r"does not fit|embedding\.symbols has the shape"):
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


@pytest.mark.parametrize("name", DECODERS)
def test_ids_of_no_token_are_refused(make: Make, name: str) -> None:
    """Compiled code reads wherever an id points, and a GPU does not come back from it."""
    model: Causal = make(name)[2]
    decoder = model.decoder([texts()[2]])
    for wrong in ([V + 1], [-1], [1, 2**31], [2**40], [1.5]):
        for use in (model.log_probs, model.next_log_probs, model.decoder):
            with pytest.raises(LangueError, match=f"a token id is not one of 0 to {V - 1}"):
                use([np.array(wrong)])
        with pytest.raises(LangueError, match="a token id is not one of"):
            decoder.extend(np.array(wrong[-1:])[:, None])
