"""Two passes over a document: what a first CRF found in it helps a second (Krishnan and Manning 2006).

A linear chain sees a sentence, but the same name mostly is the same thing all through a document. So
a second CRF has the templates of the first, and others that look at the first's tags: of the token
itself, and by majority of the same words elsewhere in the document. To learn how far those are to
be trusted, the second must see them on training data as wrong as they are on new text: there they
come from CRFs that were trained without the document in question (jackknifing, `FOLDS`).
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from langue.base.arrays import Floats
from langue.base.errors import Interrupted, LangueError
from langue.base.progress import log
from langue.base.stop import Stop
from langue.corpus.schemes import OUTSIDE, Span, convert, spans
from langue.corpus.tagged import Columns, Sentence, unit_of
from langue.models.taggers.crf.document import documents_of, hide_documents
from langue.models.taggers.crf.model import CRF
from langue.models.taggers.crf.templates import default_templates
from langue.models.taggers.crf.train import train
from langue.protocols import Tagger, Weight

if TYPE_CHECKING:
    from langue.models.taggers.crf import CRFConfig

FIRST = "first"  # the folder of the first CRF in that of the second
FOLDS = 5
LONGEST = 10  # words of an entity of which the parts are noted
# Columns that the first pass adds to a token.
ADDED = ("found", "token_elsewhere", "entity_elsewhere", "superset_elsewhere")
# What the second CRF looks at beside the templates of the first.
TEMPLATES = (
    "found[-1..1]",
    "found[-1]|found|found[1]",
    "token_elsewhere",
    "token_elsewhere|found",
    "entity_elsewhere",
    "entity_elsewhere|found",
    "superset_elsewhere",
    "superset_elsewhere|found",
)


class TwoPasses(Tagger):
    """A `Tagger`: the first CRF tags the documents whole, the second what is asked for."""

    def __init__(self, first: CRF, second: CRF) -> None:
        self.first = first
        self.second = second
        self.columns = first.columns
        self.labels = second.labels
        self.outer = second.outer
        self.scheme = second.scheme

    def tag(self, sentences: Sequence[Sentence]) -> list[tuple[str, ...]]:
        return self.second.tag(with_predictions(self.first, sentences))

    def marginals(self, sentences: Sequence[Sentence]) -> list[Floats]:
        return self.second.marginals(with_predictions(self.first, sentences))

    def best(self, sentence: Sentence, n: int) -> list[tuple[float, tuple[str, ...]]]:
        (told,) = with_predictions(self.first, [sentence])
        return self.second.best(told, n)

    def strongest(self, top: int) -> list[Weight]:
        return self.second.strongest(top)

    def size(self) -> dict[str, int]:
        first, second = self.first.size(), self.second.size()
        return {what: first[what] + second[what] for what in second}

    def save(self, folder: Path) -> None:
        (folder / FIRST).mkdir()
        self.first.save(folder / FIRST)
        self.second.save(folder)

    @staticmethod
    def is_in(folder: Path) -> bool:
        return (folder / FIRST).is_dir()

    @classmethod
    def load(cls, folder: Path) -> "TwoPasses":
        return cls(CRF.load(folder / FIRST), CRF.load(folder))


def train_twice(
    config: "CRFConfig", columns: Sequence[str], sentences: Sequence[Sentence]
) -> CRF | TwoPasses:
    """Estimate both CRFs; the first alone where a stop was asked for before the second was begun.

    Raises:
        LangueError: a column has the name of an added one, or there is a single document.
    """
    clash = sorted(set(columns) & set(ADDED))
    if clash:
        raise LangueError(f"passes = 2 makes a column {clash[0]} of its own; name that of the data otherwise")
    fold_of = _folds(sentences)  # before documents are hidden: none is in two folds
    sentences = hide_documents(sentences, config.seed)
    templates = config.templates or default_templates(unit_of(sentences), columns)
    config = msgspec.structs.replace(config, templates=templates)
    with Stop() as stop:
        first = train(config, columns, sentences)
        if stop.asked:
            return first
        try:
            told = _jackknife(config, columns, sentences, fold_of, stop)
            log.info("second pass")
            config = msgspec.structs.replace(config, templates=(*templates, *TEMPLATES))
            return TwoPasses(first, train(config, (*columns, *ADDED), told))
        except Interrupted:
            return first


def _jackknife(
    config: "CRFConfig",
    columns: Sequence[str],
    sentences: Sequence[Sentence],
    fold_of: Sequence[int],
    stop: Stop,
) -> list[Sentence]:
    """The sentences as a first pass leaves them that has not seen their documents.

    Raises:
        Interrupted: a stop was asked for.
    """
    told = list(sentences)
    count = max(fold_of) + 1
    for fold in range(count):
        log.info("first pass, fold %d of %d", fold + 1, count)
        seen = [one for one, own in zip(sentences, fold_of, strict=True) if own != fold]
        held_out = [index for index, own in enumerate(fold_of) if own == fold]
        model = train(config, columns, seen)
        if stop.asked:
            raise Interrupted("interrupted before the second pass")
        annotated = with_predictions(model, [sentences[index] for index in held_out])
        for index, sentence in zip(held_out, annotated, strict=True):
            told[index] = sentence
    return told


def _folds(sentences: Sequence[Sentence]) -> list[int]:
    """The fold of each sentence: documents in turn, whole; one that stands alone is a document."""
    numbers: dict[int, int] = {}
    numbered = [numbers.setdefault(id(one.document or one.columns), len(numbers)) for one in sentences]
    if len(numbers) < 2:
        raise LangueError("passes = 2 learns from tags of documents held out, and this is a single one")
    return [number % min(FOLDS, len(numbers)) for number in numbered]


def with_predictions(first: CRF, sentences: Sequence[Sentence]) -> list[Sentence]:
    """The sentences with the columns `ADDED`, from the first pass over their documents."""
    documents, indices = documents_of(sentences)
    whole = [[Sentence(columns, document=document) for columns in document] for document in documents]
    alone = [[Sentence(one.columns)] for one, index in zip(sentences, indices, strict=True) if index is None]
    tags = iter(first.tag(list(chain.from_iterable(whole + alone))))
    told = [
        _tell(document, list(islice(tags, len(document))), spelled=first.names.scheme is not None)
        for document in whole + alone
    ]
    rest = iter(told[len(whole) :])
    added = [next(rest)[0] if index is None else told[index[0]][index[1]] for index in indices]
    return [
        one._replace(columns=(*one.columns, *columns)) for one, columns in zip(sentences, added, strict=True)
    ]


def _tell(document: Sequence[Sentence], tags: Sequence[Sequence[str]], *, spelled: bool) -> list[Columns]:
    """The columns `ADDED` of the sentences of a document, from the tags that the first pass gave them.

    Args:
        spelled: whether tags spell spans. Where not, there are no entities.
    """
    lines = [tuple(word.lower() for word in sentence.words) for sentence in document]
    entities = [spans(own) if spelled else [] for own in tags]
    types = [_types(own, named) if spelled else tuple(own) for own, named in zip(tags, entities, strict=True)]
    of_token: dict[str, Counter[str]] = defaultdict(Counter)
    of_entity: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    of_superset: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for line, own, named in zip(lines, types, entities, strict=True):
        for word, type in zip(line, own, strict=True):
            of_token[word][type] += 1
        for begin, end, type in named:
            of_entity[line[begin:end]][type] += 1
            for part in _parts(line[begin:end]):
                of_superset[part][type] += 1
    told: list[Columns] = []
    for line, own, named, given in zip(lines, types, entities, tags, strict=True):
        token = [_majority(of_token[word] - Counter([type])) for word, type in zip(line, own, strict=True)]
        entity, superset = [""] * len(line), [""] * len(line)
        for begin, end, type in named:
            words = line[begin:end]
            entity[begin:end] = [_majority(of_entity[words] - Counter([type]))] * (end - begin)
            superset[begin:end] = [_majority(of_superset[words])] * (end - begin)
        first = convert(given, "BIOES") if spelled else given
        told.append((tuple(first), tuple(token), tuple(entity), tuple(superset)))
    return told


def _types(tags: Sequence[str], entities: Sequence[Span]) -> tuple[str, ...]:
    types = [OUTSIDE] * len(tags)
    for begin, end, type in entities:
        types[begin:end] = [type] * (end - begin)
    return tuple(types)


def _parts(words: tuple[str, ...]) -> set[tuple[str, ...]]:
    """The shorter sequences in one, where it is not longer than names are."""
    size = len(words) if len(words) <= LONGEST else 0
    return {words[i:j] for i in range(size) for j in range(i + 1, size + 1) if j - i < size}


def _majority(types: Counter[str]) -> str:
    """The most frequent, between equals the first by name; "" of none."""
    return min(types, key=lambda type: (-types[type], type), default="")
