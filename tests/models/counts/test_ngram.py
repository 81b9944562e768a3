"""The n-gram model against a dictionary implementation of the paper, against KenLM, and on PTB."""

import math
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from langue.base.arrays import Ids
from langue.base.errors import LangueError
from langue.corpus.config import DataConfig
from langue.models.counts.ngram import NGramConfig, estimate, load, out_of_core
from langue.models.counts.ngram import counts as counts_module
from langue.models.counts.ngram.estimate import SMOOTHINGS, Smoothing, discounts, estimate_tables
from langue.models.counts.ngram.model import NGram
from langue.models.counts.ngram.prune import prune
from langue.models.counts.ngram.score import CHUNK_POSITIONS
from langue.models.counts.ngram.tables import Tables
from langue.protocols import Vocabulary
from langue.tokens.prepare import prepare
from langue.tokens.store import TokenStore
from langue.tokens.train import TokenizerConfig

V = 7  # ids 0 (end) to 6; 6 never occurs
BOS = V
CORPUS = st.lists(st.lists(st.integers(1, 5), max_size=12), min_size=1, max_size=12)


def as_counts(counts: Iterable[int]) -> Ids:
    return np.array(list(counts), np.uint32)


class Reference:
    """Interpolated modified Kneser–Ney by dictionaries of tuples: slow, and plain to see."""

    def __init__(self, corpus: list[list[int]], order: int) -> None:
        self.order = order
        raw: list[Counter[tuple[int, ...]]] = [Counter() for _ in range(order + 1)]
        for document in corpus:
            words = [BOS, *document, 0]
            for n in range(1, order + 1):
                raw[n].update(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
        self.adjusted: list[dict[tuple[int, ...], int]] = [{}]
        for n in range(1, order + 1):
            left = defaultdict(set)
            for gram in raw[n + 1] if n < order else ():
                left[gram[1:]].add(gram[0])
            self.adjusted.append(
                {g: len(left[g]) if n < order and g[0] != BOS else c for g, c in raw[n].items()}
            )
        self.adjusted[1].pop((BOS,))
        self.discounts = [
            (0.0, 0.0, 0.0),
            *(discounts(as_counts(level.values()), n) for n, level in enumerate(self.adjusted[1:], 1)),
        ]

    def p(self, context: tuple[int, ...], word: int) -> float:
        context = context[max(0, len(context) - self.order + 1) :]
        n = len(context) + 1
        lower = self.p(context[1:], word) if context else 1 / V
        children = {g[-1]: a for g, a in self.adjusted[n].items() if g[:-1] == context}
        if not children:
            return lower
        d = self.discounts[n]
        gamma = sum(d[min(a, 3) - 1] for a in children.values()) / sum(children.values())
        a = children.get(word, 0)
        own = (a - d[min(a, 3) - 1]) / sum(children.values()) if a else 0.0
        return own + gamma * lower


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(corpus=CORPUS, text=st.lists(st.integers(1, 6), max_size=8), order=st.integers(1, 5))
def test_equals_the_dictionary_implementation(
    make_store: Callable[..., TokenStore], corpus: list[list[int]], text: list[int], order: int
) -> None:
    model = estimate(NGramConfig(order=order), make_store(corpus, vocabulary=V))
    reference = Reference(corpus, order)
    words = [*text, 0]
    expected = [math.log(reference.p((BOS, *words[:i]), word)) for i, word in enumerate(words)]
    assert model.log_probs([np.array(words)])[0] == pytest.approx(expected, abs=1e-5)
    rows = [[math.log(reference.p((BOS, *text), word)) for word in range(V)]]
    assert model.next_log_probs([np.array(text, np.uint32)]) == pytest.approx(np.array(rows), abs=1e-5)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(corpus=CORPUS, text=st.lists(st.integers(1, 6), max_size=8), order=st.integers(1, 6))
def test_sums_to_one_and_agrees_with_itself(
    make_store: Callable[..., TokenStore], corpus: list[list[int]], text: list[int], order: int
) -> None:
    model = estimate(NGramConfig(order=order), make_store(corpus, vocabulary=V))
    decoder = model.decoder([np.array([], np.uint32)])
    scores = model.log_probs([np.array(text, np.uint32)])[0]
    for word, score in zip(text, scores, strict=True):
        row = decoder.log_probs()[0]
        assert np.exp(row.astype(np.float64)).sum() == pytest.approx(1, abs=1e-5)
        assert row[word] == pytest.approx(score, abs=1e-5)
        decoder.extend(np.array([word])[:, None])


def many(make_store: Callable[..., TokenStore], *, vocabulary: int = 80, documents: int = 300) -> TokenStore:
    """A corpus with contexts of many children, large enough for every thread and stream to have work."""
    rng = np.random.default_rng(7)
    corpus = [rng.zipf(1.3, rng.integers(0, 60)).clip(max=vocabulary - 1).tolist() for _ in range(documents)]
    return make_store(corpus, vocabulary=vocabulary, held_out=corpus[:150])


@pytest.mark.parametrize("order", [1, 2, 5, 8])
def test_streams_and_steps_and_distributions_agree(
    make_store: Callable[..., TokenStore], order: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = many(make_store)
    model = estimate(NGramConfig(order=order), store)
    documents = list(store.split("test").documents())
    assert sum(map(len, documents)) < CHUNK_POSITIONS
    monkeypatch.setattr("langue.models.counts.ngram.score.CHUNK_POSITIONS", 1000)
    scores, lengths = model.log_probs_and_lengths(documents)
    for ids, found, matched in zip(documents[:20], scores, lengths, strict=False):
        state = np.array([model.begin])
        for place, id in enumerate(ids):
            row = model.next_log_probs([ids[:place]])[0]
            assert np.exp(row.astype(np.float64)).sum() == pytest.approx(1, abs=1e-5)
            state, log_prob, length = model.advance(state, np.array([id]))
            assert row[id] == pytest.approx(found[place], abs=1e-5)
            assert log_prob[0] == found[place]
            assert length[0] == matched[place]


def test_lengths_are_of_ngrams_that_occur(make_store: Callable[..., TokenStore]) -> None:
    model = estimate(NGramConfig(order=3), make_store([[1, 2, 3]], vocabulary=V))
    assert model.log_probs_and_lengths([np.array([1, 2, 3, 0]), np.array([2, 3, 3])])[1][0].tolist() == [
        2,
        3,
        3,
        3,
    ]
    assert model.log_probs_and_lengths([np.array([2, 3, 3])])[1][0].tolist() == [1, 2, 1]


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_every_smoothing_is_its_formula(make_store: Callable[..., TokenStore], smoothing: Smoothing) -> None:
    corpus = [[1, 2, 1, 2, 3], [1, 2, 4], [3, 1, 2]]
    model = estimate(NGramConfig(order=2, smoothing=smoothing, alpha=0.5), make_store(corpus, vocabulary=V))
    words = Counter(word for document in corpus for word in [*document, 0])
    pairs = Counter(pair for document in corpus for pair in pairwise([BOS, *document, 0]))
    total, after = sum(words.values()), {w: n for (v, w), n in pairs.items() if v == 2}
    context = sum(after.values())

    def absolute(counts: Counter[Any], order: int) -> float:
        t1, t2 = (sum(n == times for n in counts.values()) for times in (1, 2))
        return t1 / (t1 + 2 * t2) if t1 and t2 else 0.5

    for word in range(V):
        n, m = words[word], after.get(word, 0)
        if smoothing == "absolute":
            d, e = absolute(words, 1), absolute(pairs, 2)
            lower = (max(n - d, 0) + d * len(words) / V) / total
            expected = (max(m - e, 0) + e * len(after) * lower) / context
        elif smoothing == "witten-bell":
            lower = (n + len(words) / V) / (total + len(words))
            expected = (m + len(after) * lower) / (context + len(after))
        elif smoothing == "add-k":
            expected = (m + 0.5 * V * (n + 0.5) / (total + 0.5 * V)) / (context + 0.5 * V)
        elif smoothing == "stupid-backoff":
            expected = m / context if m else 0.4 * n / total
        else:
            expected = math.exp(model.log_probs([np.array([2, word])])[0][1])
        assert np.exp(model.next_log_probs([np.array([2])])[0][word]) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "settings", [{"prune": (0, 0, 1)}, {"prune": (0, 1, 2)}, {"prune_entropy": 1e-5}, {"prune_entropy": 1e-2}]
)
def test_a_pruned_model_is_smaller_and_still_sums_to_one(
    make_store: Callable[..., TokenStore], settings: dict[str, Any]
) -> None:
    store = many(make_store)
    whole, pruned = estimate(NGramConfig(order=4), store), estimate(NGramConfig(order=4, **settings), store)
    assert pruned.size()["ngrams"] < whole.size()["ngrams"]
    documents = list(store.split("test").documents())
    for ids in documents[:10]:
        for place in range(len(ids)):
            row = pruned.next_log_probs([ids[:place]])[0]
            assert np.exp(row.astype(np.float64)).sum() == pytest.approx(1, abs=1e-5)
    scores, lengths = pruned.log_probs_and_lengths(documents)
    state = np.array([pruned.begin])
    for id, log_prob, length in zip(documents[3], scores[3], lengths[3], strict=True):
        state, stepped, found = pruned.advance(state, np.array([id]))
        assert (stepped[0], found[0]) == (log_prob, length)


def test_counts_pruned_are_those_of_kenlm(make_store: Callable[..., TokenStore]) -> None:
    """What is dropped is given to the order below: equation of lmplz --prune, by hand for one context."""
    corpus = [[1, 2], [1, 2], [1, 2], [1, 3], [1, 4], [4, 2]]
    store = make_store(corpus, vocabulary=V)
    model = estimate(NGramConfig(order=2, prune=(0, 1)), store)
    pairs = Counter(pair for document in corpus for pair in pairwise([BOS, *document, 0]))
    kept = [pair for pair, n in pairs.items() if n > 1]
    assert model.size()["ngrams"] == V + 1 + len(kept)
    d = discounts(as_counts(pairs.values()), 2)
    unigram = estimate(NGramConfig(order=2), store).tables.log_prob[:V]
    gamma = (d[2] + 2) / 5  # of `1 2` its discount, of `1 3` and `1 4` all
    row = np.exp(model.next_log_probs([np.array([1])])[0])
    assert row[2] == pytest.approx((3 - d[2]) / 5 + gamma * math.exp(unigram[2]), abs=1e-6)
    assert row[3] == pytest.approx(gamma * math.exp(unigram[3]), abs=1e-6)


def test_what_entropy_prunes_costs_what_it_says(make_store: Callable[..., TokenStore]) -> None:
    """The change of a model by dropping one n-gram, against the divergence summed over the vocabulary."""
    model = estimate(NGramConfig(order=2), many(make_store, vocabulary=12, documents=40))
    size = model.vocabulary.size
    before = np.exp(model.next_log_probs([np.array([word]) for word in range(size)]).astype(np.float64))
    context = 3
    low, high = (int(edge) for edge in model.tables.exact().children[context : context + 2])
    costs = {}
    for node in range(low, high):
        word, below = int(model.tables.suffix[node]), np.exp(model.tables.log_prob[:size].astype(np.float64))
        seen = [int(model.tables.suffix[child]) for child in range(low, high) if child != node]
        unseen = [other for other in range(size) if other not in seen]
        after = before[context].copy()
        after[unseen] = below[unseen] * (1 - after[seen].sum()) / (1 - below[seen].sum())
        divergence = (before[context] * np.log(before[context] / after)).sum()
        costs[word] = math.expm1(np.exp(model.tables.log_prob[context]) * divergence)
    for threshold in sorted(costs.values())[1::3]:
        pruned = prune(model.tables.exact(), threshold * 1.001, model.vocabulary.eos)
        left = pruned.suffix[pruned.children[context] : pruned.children[context + 1]]
        assert sorted(left.tolist()) == sorted(
            word for word, cost in costs.items() if cost > threshold * 1.001
        )


@pytest.mark.parametrize("block", [1, 700, 1 << 30])
@pytest.mark.parametrize(
    "settings",
    [
        {"order": 1},
        {"order": 2},
        {"order": 5},
        {"order": 4, "prune": (0, 1, 2)},
        {"order": 4, "prune_entropy": 1e-5},
    ],
)
def test_counting_in_blocks_gives_the_same_tables(
    make_store: Callable[..., TokenStore],
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any],
    block: int,
) -> None:
    """Bit for bit, wherever the blocks are cut, within a document or not."""
    store = many(make_store)
    if block == 1:
        store = make_store([[1, 2, 3, 1, 2], [], [1, 2], [3, 3, 3, 3]], vocabulary=V)
    whole = estimate(NGramConfig(**settings), store)
    for name in ("MIN_BLOCK_POSITIONS", "OTHER_BYTES", "WORD_BYTES"):
        monkeypatch.setattr(out_of_core, name, 0)
    monkeypatch.setattr(out_of_core, "MEGABYTE", block * (16 + 12 * settings["order"]))
    blocks = estimate(NGramConfig(**settings, memory=1), store)
    for name, one, other in zip(Tables._fields, whole.tables, blocks.tables, strict=True):
        assert np.array_equal(one, other), name
        assert one.dtype == other.dtype


@pytest.mark.parametrize("settings", [{"order": 1}, {"order": 4}, {"order": 3, "prune": (0, 1)}])
def test_any_number_of_workers_gives_the_same_tables(
    make_store: Callable[..., TokenStore], monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    """Bit for bit, into however many parts the work is cut."""
    store = many(make_store)
    monkeypatch.setenv("LANGUE_THREADS", "1")
    alone = estimate(NGramConfig(**settings), store)
    monkeypatch.setattr(counts_module, "PART_POSITIONS", 50)
    monkeypatch.setattr(counts_module, "CHUNK_TOKENS", 70)
    monkeypatch.setattr(sys.modules[estimate_tables.__module__], "CHUNK_NGRAMS", 30)
    for workers in (1, 2, 3, 7, 20):
        monkeypatch.setenv("LANGUE_THREADS", str(workers))
        shared = estimate(NGramConfig(**settings), store)
        for name, one, other in zip(Tables._fields, alone.tables, shared.tables, strict=True):
            assert np.array_equal(one, other), (workers, name)
            assert one.dtype == other.dtype


@pytest.mark.parametrize("settings", [{}, {"prune": (0, 1)}, {"prune_entropy": 1e-5}])
@pytest.mark.parametrize("order", [1, 2, 5])
def test_quantized_tables_lose_little_and_never_flatter(
    make_store: Callable[..., TokenStore], tmp_path: Path, order: int, settings: dict[str, Any]
) -> None:
    """After every context the words sum to one at most; scores, steps and distributions agree; and the
    tables are half as large, the same under a ceiling, and the same once saved."""
    store = many(make_store)
    exact = estimate(NGramConfig(order=order, **settings), store)
    config = NGramConfig(order=order, quantize=True, **settings)
    model = estimate(config, store)
    documents = list(store.split("test").documents())
    scores, lengths = model.log_probs_and_lengths(documents)
    sums = []
    for ids, found, matched in zip(documents[:20], scores, lengths, strict=False):
        state = np.array([model.begin])
        for place, id in enumerate(ids):
            row = model.next_log_probs([ids[:place]])[0]
            sums.append(np.exp(row.astype(np.float64)).sum())
            state, log_prob, length = model.advance(state, np.array([id]))
            assert row[id] == pytest.approx(found[place], abs=1e-5)
            assert (log_prob[0], length[0]) == (found[place], matched[place])
    assert max(sums) <= 1 + 1e-5
    assert min(sums) > 0.97
    nats, before = (np.concatenate(one).astype(np.float64) for one in (scores, exact.log_probs(documents)))
    assert nats.mean() == pytest.approx(before.mean(), abs=0.02)
    model.save(tmp_path)
    ceiling = estimate(msgspec.structs.replace(config, memory=16), store)
    for other in (load(tmp_path, config, model.vocabulary), ceiling):
        for name, one, two in zip(Tables._fields, model.tables, other.tables, strict=True):
            assert np.array_equal(one, two), name
    plain = model.tables.exact()
    assert np.array_equal(plain.children, exact.tables.exact().children)
    assert np.array_equal(NGram(model.vocabulary, plain).log_probs(documents)[3], scores[3])
    assert model.size()["ngrams"] == exact.size()["ngrams"]
    if order == 5:
        assert model.size()["bytes"] - model.tables.bins.nbytes < 0.65 * exact.size()["bytes"]


def test_children_too_many_for_16_bits_are_found() -> None:
    """With bigrams of more children than two bytes count, blocks shrink until each context has its own."""
    children = np.r_[0, 3, 5, np.cumsum([70_000, 2, 1, 40_000, 40_000, 0])].astype(np.uint32)
    none = np.empty(0, np.float32)
    wide = Tables(np.array([0, 2, 8]), none, none, none, children, none)
    narrow = wide.narrow()
    assert narrow.children.dtype == np.uint16
    assert narrow.bases[0] == 0
    assert np.array_equal(narrow.exact().children, children)


def test_discounts_of_the_paper_and_their_fallback() -> None:
    counts = np.repeat([1, 2, 3, 4], [100, 40, 20, 10])
    y = 100 / 180
    expected = (1 - 2 * y * 40 / 100, 2 - 3 * y * 20 / 40, 3 - 4 * y * 10 / 20)
    assert discounts(counts, 1) == pytest.approx(expected)
    assert discounts(np.array([1, 1, 2]), 1) == (0.5, 1.0, 1.5)


def test_one_word_is_enough(make_store: Callable[..., TokenStore]) -> None:
    model = estimate(NGramConfig(order=5), make_store([[1]], vocabulary=V))
    assert np.exp(model.next_log_probs([np.array([1])])).sum() == pytest.approx(1, abs=1e-5)


def test_an_id_of_no_token_is_refused(make_store: Callable[..., TokenStore]) -> None:
    """Compiled code would read whatever memory it points to."""
    model = estimate(NGramConfig(order=3), make_store([[1, 2, 3], [1, 2, 4]], vocabulary=V))
    for wrong in (-1, V + 1, 1 << 31):
        with pytest.raises(LangueError, match=f"0 to {V - 1}"):
            model.log_probs([np.array([0, wrong])])
        with pytest.raises(LangueError, match=f"0 to {V - 1}"):
            model.decoder([np.array([wrong])])
    with pytest.raises(LangueError, match=f"0 to {V - 1}"):
        model.decoder([np.array([(1 << 32) + 1])])  # whose lower half is an id


def test_save_and_load_are_exact(make_store: Callable[..., TokenStore], tmp_path: Path) -> None:
    config = NGramConfig(order=3)
    model = estimate(config, make_store([[1, 2, 3], [1, 2, 4]], vocabulary=V))
    model.save(tmp_path)
    loaded = load(tmp_path, config, Vocabulary(V, 0))
    text = [np.array([1, 2, 3, 0]), np.array([4, 4, 0])]
    for one, other in zip(model.log_probs(text), loaded.log_probs(text), strict=True):
        assert np.array_equal(one, other)
    assert loaded.size() == model.size()


def write_arpa(model: NGram, order: int, path: Path) -> None:
    """The model in ARPA format; 0 is `</s>`, a word w is `w{w}`."""
    tables = model.tables.exact()
    contexts, last = len(tables.log_backoff), tables.words()
    grams: list[tuple[int, ...]] = [(int(word),) for word in last[: V + 1]]
    for context in range(contexts):
        for child in range(tables.children[context], tables.children[context + 1]):
            assert len(grams) == child
            grams.append((*grams[context], int(last[child])))
    names = {0: "</s>", BOS: "<s>", 6: "<unk>"} | {word: f"w{word}" for word in range(1, 6)}
    sizes = Counter(map(len, grams))
    lines = ["\\data\\", *(f"ngram {n}={sizes[n]}" for n in range(1, order + 1) if sizes[n]), ""]
    for n in range(1, order + 1):
        lines.append(f"\\{n}-grams:")
        for node, gram in enumerate(grams):
            if len(gram) == n:
                probability = 0.0 if gram == (BOS,) else tables.log_prob[node] / math.log(10)
                words = " ".join(names[word] for word in gram)
                backoff = tables.log_backoff[node] / math.log(10) if node < contexts else 0.0
                lines.append(f"{probability:.7f}\t{words}" + (f"\t{backoff:.7f}" if n < order else ""))
        lines.append("")
    path.write_text("\n".join([*lines, "\\end\\", ""]))


def test_kenlm_scores_the_same_tables_the_same(make_store: Callable[..., TokenStore], tmp_path: Path) -> None:
    import kenlm

    rng = np.random.default_rng(0)
    corpus = [list(rng.integers(1, 6, rng.integers(3, 15))) for _ in range(60)]
    model = estimate(NGramConfig(order=4), make_store(corpus, vocabulary=V))
    write_arpa(model, 4, tmp_path / "model.arpa")
    peer = kenlm.Model(str(tmp_path / "model.arpa"))
    for text in [list(rng.integers(1, 7, 12)) for _ in range(20)]:
        sentence = " ".join("oov" if word == 6 else f"w{word}" for word in text)
        expected = [score * math.log(10) for score, *_ in peer.full_scores(sentence)]
        assert model.log_probs([np.array([*text, 0])])[0] == pytest.approx(expected, abs=1e-4)


@pytest.fixture(scope="module")
def ptb(shared_data: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> TokenStore:
    files = shared_data("ptb")
    path = tmp_path_factory.mktemp("ptb") / "store"
    prepare(
        [str(files / "train.txt")],
        path,
        data=DataConfig(documents="line"),
        tokenizer=TokenizerConfig(kind="whitespace"),
        valid=[str(files / "valid.txt")],
        test=[str(files / "test.txt")],
    )
    return TokenStore(path)


@pytest.mark.parametrize(
    ("order", "perplexity"),  # KenLM's, with <unk> an ordinary word
    [(2, 185.7048931), (3, 148.2814995), (4, 142.7156059), (5, 141.1862071), (6, 140.8368765)],
)
def test_penn_treebank_perplexities_are_kenlms(ptb: TokenStore, order: int, perplexity: float) -> None:
    model = estimate(NGramConfig(order=order), ptb)
    scores = model.log_probs(list(ptb.split("test").documents()))
    total = sum(score.sum(dtype=np.float64) for score in scores)
    assert math.exp(-total / sum(map(len, scores))) == pytest.approx(perplexity, rel=1e-7)


def test_folders_of_old_with_children_in_full_load(
    make_store: Callable[..., TokenStore], tmp_path: Path
) -> None:
    store = many(make_store)
    config = NGramConfig(order=3)
    model = estimate(config, store)
    model.tables.exact().save(tmp_path)
    assert np.load(tmp_path / "children.npy").dtype == np.uint32
    assert not (tmp_path / "bases.npy").exists()
    other = load(tmp_path, config, model.vocabulary)
    for name, one, two in zip(Tables._fields, model.tables, other.tables, strict=True):
        assert np.array_equal(one, two), name
