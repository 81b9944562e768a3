"""A task and families of another package: registered, trained, saved, loaded and measured, by a file of
their own, which is this one."""

import json
from collections.abc import Iterator, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

import langue
from langue.api.models import CausalModel
from langue.base import entry_points
from langue.base.config import Config
from langue.base.errors import InvalidSetting, LangueError
from langue.models import registry as families
from langue.models.encoders.base import MaskedModel
from langue.models.encoders.build import build_encoder
from langue.models.family import Family
from langue.models.folder import ModelFolder
from langue.nn.weights import load_weights, save_weights
from langue.protocols import Causal, Decoder, Ids, Masked, Saved, Vocabulary
from langue.tasks import registry
from langue.tasks.task import FinetuneConfig, Head, Labeled, Task, encoder_table, start_encoder
from langue.tokens.masked import add_special_tokens, pack_examples
from langue.tokens.store import TokenStore

# --- a task: how many vowels has a word? ---------------------------------------------------------------


class VowelsConfig(Config, frozen=True):
    encoder: str
    encoder_config: dict[str, Any]
    hidden: int


class VowelSettings(FinetuneConfig, frozen=True):
    hidden: int = 8


class Vowels(nn.Module, Saved):
    """A number for each word."""

    def __init__(self, config: VowelsConfig, encoder: MaskedModel) -> None:
        super().__init__()
        self.encoder = encoder
        hidden = nn.Linear(encoder.width, config.hidden)
        self.out = nn.Sequential(hidden, nn.Tanh(), nn.Linear(config.hidden, 1))

    def forward(self, words: Sequence["Word"]) -> torch.Tensor:
        batch = pack_examples(
            [(word.ids, np.zeros(len(word.ids), np.int64)) for word in words], self.encoder.window
        )
        owner, positions = self.encoder.marked(batch.segments)
        states = self.encoder.read(batch).flatten(0, 1)[positions].float()
        sums = states.new_zeros(len(words), self.encoder.width).index_add(0, owner, states)
        return self.out(sums).squeeze(1)

    def size(self) -> dict[str, int]:
        return {"parameters": sum(parameter.numel() for parameter in self.parameters())}

    def save(self, folder: Path) -> None:
        save_weights(self, folder)


class Word(NamedTuple):
    ids: Ids
    vowels: float


class Closeness(NamedTuple):
    within_one: float
    error: float


def build(config: VowelsConfig, vocabulary: Vocabulary, seed: int) -> Vowels:
    return Vowels(config, build_encoder(config.encoder, config.encoder_config, vocabulary, seed))


def read(path: Path, layout: object) -> Labeled[tuple[str, float]]:
    rows = [line.split("=") for line in path.read_text(encoding="utf-8").splitlines()]
    return Labeled([(word, float(count)) for word, count in rows])


def head(
    encoder: ModelFolder[Masked], every: Sequence[Any], training: Sequence[Any], settings: VowelSettings
) -> Head[tuple[str, float], Word, Vowels]:
    config = VowelsConfig(
        encoder=encoder.family.name, encoder_config=encoder_table(encoder), hidden=settings.hidden
    )

    def network(seed: int) -> Vowels:
        model = build(config, encoder.model.vocabulary, seed)
        start_encoder(model.encoder, encoder, settings)
        return model

    def as_words(rows: Sequence[tuple[str, float]]) -> list[Word]:
        return encode(encoder.tokenizer, encoder.model.specials, rows)

    return Head(config=config, build=network, encode=as_words, unit="word")


def encode(tokenizer: Any, specials: Any, rows: Sequence[tuple[str, float]]) -> list[Word]:
    ids = tokenizer.encode_batch([word for word, _ in rows]) if rows else []
    counts = [count for _, count in rows]
    return [Word(add_special_tokens(part, specials), count) for part, count in zip(ids, counts, strict=True)]


def loss(model: Vowels, words: Sequence[Word]) -> torch.Tensor:
    return (model(words) - torch.tensor([word.vowels for word in words])).square().sum()


@torch.no_grad()
def metric(model: Vowels, words: Sequence[Word]) -> Closeness:
    model.eval()
    errors = (model(words) - torch.tensor([word.vowels for word in words])).abs()
    return Closeness(float((errors < 1).float().mean()), float(errors.mean()))


FAMILY = Family(
    name="vowels",
    summary="counts the vowels of a word",
    makes=Saved,
    config=VowelsConfig,
    estimated_by="gradient",
    load=lambda folder, config, vocabulary: load_weights(lambda: build(config, vocabulary, 0), folder),
)
TASK = Task(
    name="vowels",
    summary="how many vowels has a word?",
    family=FAMILY,
    settings=VowelSettings,
    read=read,
    text=lambda row: [row[0]],
    head=head,
    loss=loss,
    metric=metric,
    figure="within_one",
    encode=lambda folder, rows: encode(folder.tokenizer, folder.model.encoder.specials, rows),
)


# --- two families: one that counts, one that learns by gradient ----------------------------------------


class UnigramConfig(Config, frozen=True):
    alpha: float = 1.0


class Shares(Causal):
    """Every token by its share of the text, whatever stands before it."""

    window = stride = None
    reach = 0

    def __init__(self, vocabulary: Vocabulary, log_probs: Any) -> None:
        self.vocabulary = vocabulary
        self.table = np.asarray(log_probs, np.float64)

    def log_probs(self, sequences: Sequence[Ids]) -> list[Any]:
        return [self.table[ids] for ids in sequences]

    def next_log_probs(self, contexts: Sequence[Ids]) -> Any:
        return np.tile(self.table, (len(contexts), 1))

    def decoder(self, prompts: Sequence[Ids], *, depth: int = 0) -> Decoder:
        return SharesDecoder(self.table, len(prompts))

    def size(self) -> dict[str, int]:
        return {"shares": len(self.table)}

    def save(self, folder: Path) -> None:
        (folder / "shares.json").write_text(json.dumps(self.table.tolist()))


class SharesDecoder(Decoder):
    def __init__(self, table: Any, rows: int) -> None:
        self.table, self.rows = table, rows

    @property
    def depth(self) -> None:
        return None

    def log_probs(self) -> Any:
        return np.tile(self.table, (self.rows, 1))

    def extend(self, ids: Sequence[Ids] | Ids, *, every: bool = False) -> list[Any]:
        return [np.tile(self.table, (len(some), 1)) for some in ids] if every else []

    def truncate(self, counts: Sequence[int]) -> None: ...

    def select(self, rows: Sequence[int]) -> None:
        self.rows = len(rows)

    def add(self, prompts: Sequence[Ids]) -> None:
        self.rows += len(prompts)


def by_counts(config: UnigramConfig, store: TokenStore) -> Shares:
    counts = np.bincount(store.split("train").tokens, minlength=store.vocabulary_size) + config.alpha
    return Shares(Vocabulary(store.vocabulary_size, store.eos), np.log(counts / counts.sum()))


def load_shares(folder: Path, config: UnigramConfig, vocabulary: Vocabulary) -> Shares:
    return Shares(vocabulary, json.loads((folder / "shares.json").read_text()))


class Softmax(nn.Module, Shares):
    """The same, learned: a logit for each token."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        nn.Module.__init__(self)
        self.vocabulary = vocabulary
        self.logits = nn.Parameter(torch.zeros(vocabulary.size))
        self.context = 16
        self.carry: dict[str, torch.Tensor] = {}

    @property
    def device(self) -> torch.device:
        return self.logits.device

    @property
    def table(self) -> Any:  # type: ignore[override]
        return self.logits.detach().double().log_softmax(0).numpy()

    def loss(self, batch: Any) -> torch.Tensor:
        targets = torch.from_numpy(batch.targets)
        return -self.logits.log_softmax(0)[targets].sum()

    def size(self) -> dict[str, int]:
        return {"parameters": self.logits.numel()}

    def save(self, folder: Path) -> None:
        save_weights(self, folder)


COUNTED = Family(
    name="shares",
    summary="tokens by their share",
    makes=Causal,
    config=UnigramConfig,
    estimated_by="counts",
    load=load_shares,
    estimate=by_counts,
)
LEARNED = Family(
    name="softmax-shares",
    summary="tokens by their share, learned",
    makes=Causal,
    config=UnigramConfig,
    estimated_by="gradient",
    load=lambda folder, config, vocabulary: load_weights(lambda: Softmax(vocabulary), folder),
    build=lambda config, vocabulary, seed: Softmax(vocabulary),
)


@pytest.fixture(autouse=True)
def nothing_registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "_registered", {})
    monkeypatch.setattr(families, "_registered", {})
    yield
    entry_points.points_of.cache_clear()


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    draw = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("words") / "words.txt"
    rows = []
    for _ in range(300):
        word = "".join(draw.choice(list("abcdeiou"), draw.integers(1, 9)))
        rows.append(f"{word}={sum(letter in 'aeiou' for letter in word)}\n")
    path.write_text("".join(rows), encoding="utf-8")
    return path


def test_a_task_of_another_package(encoder: Path, words: Path, tmp_path: Path) -> None:
    registry.register(TASK)
    registry.register(TASK)  # once more does no harm
    result = langue.finetune(
        encoder,
        words,
        tmp_path / "m",
        task="vowels",
        seeds=2,
        epochs=8,
        learning_rate=5e-3,
        hidden=16,
        test=words,
    )
    assert result.valid[result.best].within_one > 0.8
    assert result.to_json()["valid"][0].keys() == {"within_one", "error"}
    assert "within-one" in str(result) and "F1" not in str(result)
    model = langue.load(tmp_path / "m")
    assert model.family == "vowels" and "parameters" in model.size()
    assert langue.evaluate(tmp_path / "m", words).scores == result.test[result.best]
    assert "within-one" in str(langue.evaluate(model, words))
    told = json.loads(json.dumps(langue.evaluate(model, words).to_json()))
    low, high = told["intervals"]["within_one"]
    assert told["within_one"] > 0.8 and low <= told["within_one"] <= high < low + 0.2
    few = tmp_path / "few.txt"
    few.write_text(
        "".join(words.read_text(encoding="utf-8").splitlines(keepends=True)[:30]), encoding="utf-8"
    )
    assert langue.evaluate(model, few).intervals == {}
    with pytest.raises(LangueError, match="did you mean hidden"):
        langue.finetune(encoder, words, tmp_path / "n", task="vowels", hiden=16)


@pytest.mark.parametrize("family", [COUNTED, LEARNED], ids=lambda family: family.name)
def test_a_family_of_another_package(family: Family[Any], small_store: Path, tmp_path: Path) -> None:
    families.register(family)
    settings = {"steps": 300, "learning_rate": 0.1} if family is LEARNED else {}
    trained = langue.train(family.name, small_store, tmp_path / "m", **settings)
    loaded = CausalModel.load(tmp_path / "m")
    text = "The king saw a queen."
    assert loaded.score(text).to_json() == trained.score(text).to_json()
    figures = langue.evaluate(tmp_path / "m", small_store, check=True)
    unigram = langue.train("ngram", small_store, tmp_path / "unigram", order=1)
    assert figures.passed
    expected = langue.evaluate(unigram, small_store)
    assert figures.bits_per_byte == pytest.approx(expected.bits_per_byte, rel=0.1)
    assert loaded.generate("The", max_tokens=5)


def test_entry_points_name_tasks_and_families(monkeypatch: pytest.MonkeyPatch) -> None:
    points = {
        registry.ENTRY_POINTS: [EntryPoint("vowels", "a_package:TASK", registry.ENTRY_POINTS)],
        families.ENTRY_POINTS: [EntryPoint("shares", "a_package:COUNTED", families.ENTRY_POINTS)],
    }
    monkeypatch.setattr(entry_points, "entry_points", lambda group: points[group])
    entry_points.points_of.cache_clear()
    monkeypatch.setattr(EntryPoint, "load", lambda self: {"TASK": TASK, "COUNTED": COUNTED}[self.attr])
    assert registry.task("vowels") is TASK and "vowels" in registry.names()
    assert families.family("shares") is COUNTED and families.family("vowels") is FAMILY
    monkeypatch.setattr(EntryPoint, "load", lambda self: 7)
    monkeypatch.setattr(registry, "_registered", {})
    with pytest.raises(LangueError, match="a_package:TASK, which is to be the task vowels, is no Task"):
        registry.task("vowels")

    def broken(self: EntryPoint) -> Any:
        raise ImportError("no such module")

    monkeypatch.setattr(EntryPoint, "load", broken)
    with pytest.raises(LangueError, match="vowels of a_package:TASK cannot be loaded: no such module"):
        registry.task("vowels")


def test_names_are_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidSetting, match="there is a task tag already"):
        registry.register(Task(**{**vars(TASK), "name": "tag"}))
    registry.register(TASK)
    with pytest.raises(InvalidSetting, match="there is a task vowels already"):
        registry.register(Task(**vars(TASK)))
    assert set(registry.names()) >= {"classify", "pair", "tag", "vowels"}


def test_what_is_no_task_says_how_it_is_learned() -> None:
    with pytest.raises(InvalidSetting, match="what chooses sentences is trained by"):
        registry.task("summarize")
