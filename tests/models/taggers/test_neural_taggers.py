"""What every neural tagger must do, each against itself, against enumeration, or against its parts alone."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from langue.base.config import decode, encode
from langue.base.errors import LangueError
from langue.corpus.normalize import Normalization
from langue.corpus.schemes import obeys
from langue.corpus.tagged import Sentence
from langue.inference.batched import pack
from langue.models.family import TaggerInputs
from langue.models.registry import family
from langue.models.taggers import encoder_tagger, rnn_tagger
from langue.models.taggers.base import NeuralTagger
from langue.models.taggers.encoder_tagger import (
    EncoderTagger,
    EncoderTaggerConfig,
    Reader,
    overlapping,
    spaced,
)
from langue.models.taggers.heads import CRFHead
from langue.models.taggers.labels import spell_labels
from langue.models.taggers.rnn_tagger import BiLSTM, Characters, Numbering, RNNTagger, RNNTaggerConfig, normal
from langue.tokens.store import TOKENIZER, TokenStore
from langue.tokens.tokenizer import Tokenizer

TAGGED = [
    ("Anna lives in Rome .", "B-PER O O B-LOC O"),
    ("Bruno Costa left New York City in 1999 .", "B-PER I-PER O B-LOC I-LOC I-LOC O O O"),
    ("She sleeps .", "O O O"),
    ("Rome", "B-LOC"),
]
CHINESE = [
    ("王小明在北京。", "B-PER M-PER E-PER O B-LOC E-LOC O"),
    ("李四去上海。", "B-PER E-PER O B-LOC E-LOC O"),
]

# name → settings of an rnn-tagger, or the family of an encoder and its head
MODELS: dict[str, Any] = {
    "cnn crf": {"characters": "cnn"},
    "lstm softmax": {"characters": "lstm", "head": "softmax", "layers": 2},
    "words alone": {"characters": "none", "constraints": False},
    "Chinese": {},
    "columns": {},
    "bert crf": ("bert", "crf"),
    "albert softmax": ("albert", "softmax"),
}
TINY = {"word_width": 8, "character_width": 6, "width": 8}
Make = Callable[[str], NeuralTagger]


def sentences(name: str) -> list[Sentence]:
    if name == "Chinese":
        return [Sentence((tuple(text),), tuple(tags.split())) for text, tags in CHINESE]
    found = []
    for text, tags in TAGGED:
        words = tuple(text.split())
        extra = (tuple("CAP" if word[0].isupper() else "low" for word in words),) if name == "columns" else ()
        found.append(Sentence((words, *extra), tuple(tags.split())))
    return found


def unlike(name: str) -> list[Sentence]:
    """Sentences with words, characters and columns that training has not, and an empty one."""
    width = len(sentences(name)[0].columns)
    texts = ["Ωmega lives , no", "", "x" * 300, "Anna", "天 下 Rome in"]
    return [Sentence(tuple(tuple(text.split()) for _ in range(width))) for text in texts]


@pytest.fixture
def make(text_store: TokenStore) -> Make:
    def build(name: str, seed: int = 1) -> NeuralTagger:
        data = sentences(name)
        if isinstance(MODELS[name], dict):
            config = decode(RNNTaggerConfig, TINY | MODELS[name], "model")
            labels, _ = spell_labels(data, config.encoding)
            columns = ("word", "form")[: len(data[0].columns)]
            return rnn_tagger.build(config, TaggerInputs(columns, labels, data), seed).eval()
        kind, head = MODELS[name]
        shape = {"layers": 1, "width": 16, "heads": 2, "context": 24, "sentence_pairs": "none"}
        labels, _ = spell_labels(data, "BIOES")
        tokenizer = Tokenizer.load(text_store.path / TOKENIZER)
        made = EncoderTaggerConfig(
            head=head,
            encoder=kind,
            encoder_config=encode(decode(family(kind).config, shape, "encoder")),
            vocabulary={"size": tokenizer.vocab_size, "eos": tokenizer.eos},
            normalization=encode(Normalization()),
            labels=labels.names,
            scheme=labels.scheme,
            encoding=labels.encoding,
        )
        return encoder_tagger.build(made, tokenizer, seed).eval()

    return build


def randomized(model: NeuralTagger) -> NeuralTagger:
    """With weights that make all labels likely in some place."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.head.parameters():
            parameter.copy_(torch.randn(parameter.shape))
    return model


@pytest.mark.parametrize("name", MODELS)
def test_alone_or_beside_others_it_is_the_same(make: Make, name: str) -> None:
    model = randomized(make(name))
    some = [*sentences(name), *unlike(name), *sentences(name)]
    tags, shares = model.tag(some), model.marginals(some)
    for sentence, chosen, found in zip(some, tags, shares, strict=True):
        assert model.tag([sentence]) == [chosen]
        assert found == pytest.approx(model.marginals([sentence])[0], abs=1e-5)
        assert found.sum(1) == pytest.approx(np.ones(len(sentence.words)))
        assert len(chosen) == len(sentence.words)
    assert model.tag([]) == model.marginals([]) == []
    assert model.tag([Sentence(((),) * len(some[0].columns))] * 2) == [(), ()]


@pytest.mark.parametrize("name", MODELS)
def test_tags_that_are_given_are_not_looked_at(make: Make, name: str) -> None:
    """No leak: neither by the sentence itself nor by another one's."""
    model = randomized(make(name))
    some = sentences(name)
    bare = [sentence._replace(tags=()) for sentence in some]
    for one, other in zip(model.marginals(some), model.marginals(bare), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("name", MODELS)
def test_the_loss_is_that_of_every_tagging_written_out(make: Make, name: str) -> None:
    """Σ p = 1 over all label sequences, marginals are sums of p, the n best are the largest p."""
    model = randomized(make(name))
    sentence = sentences(name)[2] if name != "Chinese" else Sentence((tuple("王小明"),))
    K, T = len(model.labels), len(sentence.words)
    paths = list(itertools.product(range(K), repeat=T))
    chain = model.names.chain(constraints=True)
    if name != "words alone":
        paths = [
            path
            for path in paths
            if all(chain.transition[pair] == 0 for pair in itertools.pairwise(path))
            and chain.start[path[0]] == chain.end[path[-1]] == 0
        ]
    with torch.no_grad():
        losses = np.array([float(model.loss([sentence], np.array(path))) for path in paths])
    if isinstance(model.head, CRFHead):
        probabilities = np.exp(-losses)
        assert probabilities.sum() == pytest.approx(1, abs=1e-4)
    else:  # which learns each token alone, and is made consistent by what is permitted
        probabilities = np.exp(-losses) / np.exp(-losses).sum()
    marginals = np.zeros((T, K))
    for path, probability in zip(paths, probabilities, strict=True):
        marginals[np.arange(T), path] += probability
    assert model.marginals([sentence])[0] == pytest.approx(marginals, abs=1e-4)
    taggings: dict[tuple[str, ...], float] = {}  # labelings that spell the same tags are one tagging
    for path, probability in zip(paths, probabilities, strict=True):
        tags = model.names.tags(np.array(path))
        taggings[tags] = taggings.get(tags, 0.0) + probability
    likeliest = sorted(taggings.values(), reverse=True)[:3]
    best = [float(np.exp(score)) for score, _ in model.best(sentence, 3)]
    assert best[0] == pytest.approx(likeliest[0], abs=1e-4)
    # Where there are many labelings, those of the later ones are not all summed.
    assert all(low <= high + 1e-4 for low, high in zip(best, likeliest, strict=True))
    if model.constraints:
        assert best == pytest.approx(likeliest, abs=1e-4)
        assert model.best(sentence, 1)[0][1] == model.tag([sentence])[0]


@pytest.mark.parametrize("name", [name for name in MODELS if name != "words alone"])
def test_only_what_spells_spans_is_said(make: Make, name: str) -> None:
    model = randomized(make(name))
    for tags in model.tag([*sentences(name), *unlike(name)] * 3):
        assert obeys(tags, "BMES" if name == "Chinese" else "BIO")


@pytest.mark.parametrize("name", MODELS)
def test_save_and_load_are_exact(make: Make, name: str, tmp_path: Path) -> None:
    model = randomized(make(name))
    model.save(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".safetensors", ".json"}
    kind = rnn_tagger.FAMILY if isinstance(model, RNNTagger) else encoder_tagger.FAMILY
    again: Any = kind.load(tmp_path, model.config)
    some = [*sentences(name), *unlike(name)]
    for one, other in zip(model.marginals(some), again.marginals(some), strict=True):
        assert np.array_equal(one, other)
    assert again.tag(some) == model.tag(some)
    assert again.size() == model.size()


@pytest.mark.parametrize("name", MODELS)
def test_same_seed_same_weights(make: Any, name: str) -> None:
    one, two, other = (make(name, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert not all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("name", MODELS)
def test_learns_its_sentences_by_heart(make: Make, name: str) -> None:
    model, data = make(name), sentences(name)
    _, tags = spell_labels(data, "BIOES")
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        model.loss(data, tags).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert model.tag(data) == [sentence.tags for sentence in data]


def test_bilstm_reads_each_sequence_as_if_it_were_alone() -> None:
    torch.manual_seed(0)
    lengths = [3, 7, 1, 7]
    lstm = BiLSTM(5, 4, layers=2)
    x = torch.randn(sum(lengths), 5)
    states, ends = lstm.read(x, pack(lengths))
    for part, found, end in zip(x.split(lengths), states.split(lengths), ends, strict=True):
        alone, (last, _) = torch.nn.LSTM.forward(lstm, part[:, None])
        torch.testing.assert_close(found, alone[:, 0])
        torch.testing.assert_close(end, last[-2:, 0].flatten())


def test_characters_are_convolved_word_by_word() -> None:
    torch.manual_seed(0)
    numbering = Numbering(tuple("abcdefgh"))
    cnn = Characters("cnn", numbering, 6).eval()
    words = ["a", "bad", "Ωh", "abcdefgh", "x" * 99]
    for word, found in zip(words, cnn(words, 0.5), strict=True):
        shown = word if len(word) <= 40 else word[:20] + word[-20:]
        letters = cnn.embedding(numbering.numbers(shown)).T[None]  # (1, C, L)
        assert cnn.convolution is not None
        torch.testing.assert_close(found, cnn.convolution(letters)[0].amax(1))


def test_a_word_seen_once_teaches_the_unknown_one(make: Make) -> None:
    model = make("words alone")
    assert isinstance(model, RNNTagger)
    numbering = model.inputs["word"]
    single, often = numbering.numbers(["bruno", "rome"]).tolist()
    assert numbering.rare[single]
    assert not numbering.rare[often]
    model.train()
    torch.manual_seed(0)
    read = torch.stack([model._numbers("word", [Sentence((("Bruno", "Rome"),))]) for _ in range(400)])
    assert (read[:, 1] == often).all()
    assert set(read[:, 0].tolist()) == {0, single}
    assert 0.4 < (read[:, 0] == 0).float().mean() < 0.6
    model.eval()
    assert model._numbers("word", [Sentence((("Bruno", "nobody"),))]).tolist() == [single, 0]
    assert normal("ABC-1984") == "abc-0000"


def test_a_token_is_known_by_its_first_piece(make: Make) -> None:
    """The states are those of the encoder alone, at the places found by spelling the sentence out."""
    model = make("bert crf")
    assert isinstance(model, EncoderTagger)
    words = ("Winston", "king", "天", "下", "!")
    tokenizer = model.reader.tokenizer
    pieces = [tokenizer.encode(text).tolist() for text in ("Winston", " king", "天", "下", "!")]
    ids = np.array([model.reader.cls, *itertools.chain(*pieces), model.reader.sep])
    firsts = 1 + np.cumsum([0, *map(len, pieces)])[:-1]
    hidden = model.encoder.hidden([ids])[0]
    with torch.no_grad():
        states = model([Sentence((("a", "b"),)), Sentence((words,))])[2:]
    assert states.numpy() == pytest.approx(hidden[firsts], abs=1e-5)


def test_tokens_stand_as_in_text() -> None:
    assert "".join(spaced(["He", "lives", "in", "北京", "市", "now"])) == "He lives in北京市now"
    assert list(spaced([])) == []


def test_windows_cover_every_token_and_each_is_read_where_it_has_most_around_it(
    text_store: TokenStore,
) -> None:
    draw = np.random.default_rng(0)
    for _ in range(200):
        room = int(draw.integers(6, 20))
        lengths = draw.integers(1, room // 2 + 1, draw.integers(1, 60))
        ends = np.cumsum(lengths)
        runs = list(overlapping(ends - lengths, ends, room))
        assert {token for run in runs for token in range(*run)} == set(range(len(lengths)))
        assert all(lengths[slice(*run)].sum() <= room for run in runs)
        assert len(runs) == 1 or lengths.sum() > room
    reader = Reader(Tokenizer.load(text_store.path / TOKENIZER), Normalization(), (900, 901, 902), 10)
    words = tuple("天下大势分久必合合久必分周末七国分争")
    found = reader.read([Sentence((words,)), Sentence((("a", "b"),))])
    assert len(found.windows) > 2
    for word, window, place in zip(words, found.window, found.position, strict=False):
        ids = found.windows[window][0]
        assert (ids[0], ids[-1]) == (900, 901)
        assert word.encode().startswith(reader.tokenizer.token_bytes(int(ids[place])))
    assert found.window[-2:] == [len(found.windows) - 1] * 2


def test_of_a_word_longer_than_the_window_only_the_beginning_is_read(text_store: TokenStore) -> None:
    reader = Reader(Tokenizer.load(text_store.path / TOKENIZER), Normalization(), (900, 901, 902), 10)
    found = reader.read([Sentence((("qz" * 100, "b", "\u200b"),))])
    assert max(len(ids) for ids, _ in found.windows) <= 12


def test_what_a_crf_head_learned_can_be_read(make: Make) -> None:
    model = randomized(make("bert crf"))
    found = model.strongest(1000)
    assert {"at the beginning", "at the end", "after O"} <= {weight.feature for weight in found}
    assert [abs(weight.weight) for weight in found] == sorted((abs(w.weight) for w in found), reverse=True)
    assert not any(weight == ("after O", "E-LOC") for weight in ((w.feature, w.label) for w in found))
    with pytest.raises(LangueError, match="softmax"):
        make("albert softmax").strongest(3)
