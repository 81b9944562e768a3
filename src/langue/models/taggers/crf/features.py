"""From sentences to numbered attributes, and back to their names.

Work is done once a distinct word, not once a token. A part of a template maps the number of a word to
the number of its value (its suffix, its shape); a template combines the numbers of its parts into one
integer, exactly, by mixed radix; a hash table numbers the integers that training saw. And all
attributes that depend on the same word in the same place form one bundle: a token has a bundle or two
for each place, where it would have dozens of attributes.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from langue.base.arrays import Array
from langue.base.compiled import njit
from langue.base.errors import LangueError
from langue.corpus.tagged import Sentence
from langue.inference.chain import offsets_of
from langue.models.taggers.crf.document import ELSEWHERE, elsewhere
from langue.models.taggers.crf.segments import SEGMENTED, segment_sentences
from langue.models.taggers.crf.templates import FARTHEST, FUNCTIONS, Part, Template, parse

NONE = -1  # in place of a number: a value that is unknown, or not there
EDGES = 2 * FARTHEST  # numbers of the places before and behind a sentence
FREE = -1  # an empty slot of the hash table
MOST_MET = 1 << 20  # words whose values are remembered: a server that runs for months must not keep all
# Columns that are made of the sentences, and by what; each only where a template looks at one.
MADE = ((ELSEWHERE, elsewhere), (SEGMENTED, segment_sentences))
REUSE = 8  # tokens an attribute must have on average for a bundle of its own to pay


class Values:
    """The values of one part (a function of a column) that training saw, by number.

    Args:
        known: values in the order of their numbers.
        growing: whether a new value gets a number (training), or is `NONE`.
    """

    def __init__(self, name: str, column: int, known: Iterable[str] = (), *, growing: bool = False) -> None:
        self.name = name
        self.column = column
        self.numbers = {value: number for number, value in enumerate(known)}
        self.growing = growing
        self._function = FUNCTIONS.get(name) if column == 0 and name != "word" else None

    def of(self, word: str | None) -> int:
        """Number of the value of a word; None: there is none."""
        value = self._function(word) if self._function and word is not None else word
        if value is None:
            return NONE
        if self.growing:
            return self.numbers.setdefault(value, len(self.numbers))
        return self.numbers.get(value, NONE)

    def names(self) -> list[str]:
        return list(self.numbers)


class Batch(NamedTuple):
    """The attributes of the tokens of some sentences, one after another.

    What a token has is the members of its bundles, and what it has by itself.
    """

    offsets: Array  # (S + 1,)
    bundles: Array  # (G, N) int32: numbers of bundles
    pointers: Array  # (bundles + 1,) where the members of each bundle begin
    members: Array  # int32 attributes
    single: Array  # (M, N) int32 attributes of templates that are not bundled; `NONE` where there is none


class Extractor:
    """Templates, their values and the numbered attributes.

    Args:
        templates: as text, see `templates`.
        columns: names of the columns of the data.
        values: known values by part, of a trained model.
        keys: `(attributes,)` integers of a trained model's attributes, template after template.
        starts: `(templates + 1,)` where those of each template begin.
    """

    def __init__(
        self,
        templates: Sequence[str],
        columns: Sequence[str],
        values: Mapping[str, Sequence[str]] | None = None,
        keys: Array | None = None,
        starts: Array | None = None,
    ) -> None:
        self.texts = tuple(templates)
        self.columns = tuple(columns)
        self.templates = parse(templates, columns)
        named = {part.name for template in self.templates for part in template.parts}
        looked_at = named.difference(columns)
        self._made = [(names, make) for names, make in MADE if looked_at.intersection(names)]
        fields = (*self.columns, *chain.from_iterable(names for names, _ in self._made))
        growing = values is None
        self.values = {
            part.name: Values(
                part.name,
                fields.index(part.name) if part.name in fields else 0,
                (values or {}).get(part.name, ()),
                growing=growing,
            )
            for template in self.templates
            for part in template.parts
        }
        self._met: list[dict[str | None, tuple[int, ...]]] = [{} for _ in fields]
        self.keys = np.empty(0, np.int64) if keys is None else keys
        self.starts = np.zeros(len(self.templates) + 1, np.int64) if starts is None else starts
        self._tables = (
            [self._table(index) for index in range(len(self.templates))] if keys is not None else []
        )

    def learn(self, sentences: Sequence[Sentence], minimum: int) -> Batch:
        """Number every attribute that occurs at least `minimum` times, and extract."""
        text = self._number(sentences)
        keys_of: list[Array] = []
        for template in self.templates:
            distinct, numbers = _distinct(self._keys(template, text.parts(template)))
            if minimum > 1:
                frequent = np.bincount(numbers[numbers >= 0], minlength=len(distinct)) >= minimum
                renumbered = np.where(frequent, np.cumsum(frequent) - 1, NONE).astype(np.int32)
                numbers = np.where(numbers >= 0, renumbered[numbers], NONE).astype(np.int32)
                distinct = distinct[frequent]
            numbers[numbers >= 0] += sum(map(len, keys_of))
            keys_of.append(distinct)
        for values in self.values.values():
            values.growing = False
        self.keys = np.concatenate(keys_of)
        self.starts = offsets_of([len(keys) for keys in keys_of])
        self._tables = [self._table(index) for index in range(len(self.templates))]
        return self._batch(text)

    def extract(self, sentences: Sequence[Sentence]) -> Batch:
        """Attributes of new sentences; what training did not see has none."""
        return self._batch(self._number(sentences))

    def _batch(self, text: "_Numbered") -> Batch:
        """Templates that look at one place are bundled by it; of the others, those with few attributes."""
        N = int(text.offsets[-1])
        by_position: dict[tuple[int, int], list[int]] = {}
        bundles, members, single = [], [], []
        sizes: list[int] = []  # members of each bundle
        for index, template in enumerate(self.templates):
            seen = {(self.values[part.name].column, part.offset) for part in template.parts}
            if len(seen) == 1:
                by_position.setdefault(seen.pop(), []).append(index)
                continue
            attributes = self._look_up(index, text.parts(template))
            count = int(self.starts[index + 1] - self.starts[index])
            if count > N // REUSE:
                single.append(attributes)
                continue
            bundles.append(np.where(attributes >= 0, attributes - self.starts[index], count) + len(sizes))
            members.append(np.arange(self.starts[index], self.starts[index + 1]))
            sizes += [1] * count + [0]
        for (column, offset), chosen in by_position.items():
            rows = text.shift(text.words[column], offset, text.sizes[column])
            alone = [self._look_up(index, text.alone(self.templates[index])) for index in chosen]
            by_row = np.stack(alone, axis=1)  # (distinct words and places outside, templates)
            bundles.append(rows + len(sizes))
            members.append(by_row[by_row >= 0])
            sizes += (by_row >= 0).sum(1).tolist()
        return Batch(
            text.offsets,
            np.stack(bundles).astype(np.int32) if bundles else np.empty((0, N), np.int32),
            offsets_of(sizes),
            np.concatenate(members).astype(np.int32) if members else np.empty(0, np.int32),
            np.stack(single) if single else np.empty((0, N), np.int32),
        )

    def _look_up(self, index: int, parts: list[Array]) -> Array:
        keys = self._keys(self.templates[index], parts)
        numbers = np.empty(len(keys), np.int32)
        _look_up(*self._tables[index], self.starts[index], keys, numbers)
        return numbers

    def keep(self, used: Array) -> "Extractor":
        """The same with only some attributes, `used` `(attributes,)`, numbered anew."""
        numbers = np.r_[0, np.cumsum(used)]
        values = {name: values.names() for name, values in self.values.items()}
        return Extractor(self.texts, self.columns, values, self.keys[used], numbers[self.starts])

    def name(self, attribute: int) -> str:
        """An attribute in words: `suffix3[0]=ing`."""
        index = int(np.searchsorted(self.starts, attribute, side="right")) - 1
        template = self.templates[index]
        key = int(self.keys[attribute])
        shown = []
        for part in reversed(template.parts):
            key, value = divmod(key, self._size(part))
            shown.append(self._show(part, value))
        return "|".join(map(str, template.parts)) + "=" + "|".join(reversed(shown))

    def _show(self, part: Part, value: int) -> str:
        names = self.values[part.name].names()
        if value < len(names):
            return names[value]
        position = value - len(names)
        return f"<start-{position + 1}>" if position < FARTHEST else f"<end+{position - FARTHEST + 1}>"

    def combinations(self, template: Template) -> int:
        """How many integers stand for the values of a template's parts: they run from 0."""
        return math.prod(map(self._size, template.parts))

    def _size(self, part: Part) -> int:
        return len(self.values[part.name].numbers) + EDGES

    def _number(self, sentences: Sequence[Sentence]) -> "_Numbered":
        """The distinct words of each column, and the number of each token's value of every part."""
        words: list[Array] = []
        distinct: list[Sequence[str | None]] = []
        for column in range(len(self.columns)):
            known: dict[str, int] = {}
            tokens = chain.from_iterable(sentence.columns[column] for sentence in sentences)
            words.append(np.array([known.setdefault(word, len(known)) for word in tokens], np.int32))
            distinct.append(list(known))
        for numbers, names in chain.from_iterable(make(sentences) for _, make in self._made):
            words.append(numbers)
            distinct.append(names)
        tables: dict[str, Array] = {}
        for column, known_words in enumerate(distinct):
            tables |= self._values_of(column, known_words)
        return _Numbered(
            offsets=offsets_of([len(sentence.words) for sentence in sentences]),
            words=words,
            sizes=[len(known) for known in distinct],
            columns={name: values.column for name, values in self.values.items()},
            tables=tables,
            # Sizes are final only now that all values are numbered.
            counts={name: len(values.numbers) for name, values in self.values.items()},
        )

    def _values_of(self, column: int, words: Sequence[str | None]) -> dict[str, Array]:
        """For every part that looks at a column, the numbers of the values of some words."""
        parts = {name: values for name, values in self.values.items() if values.column == column}
        met = self._met[column]
        rows = []
        for word in words:
            row = met.get(word)
            if row is None:
                row = tuple(values.of(word) for values in parts.values())
                if len(met) < MOST_MET:
                    met[word] = row
            rows.append(row)
        table = np.array(rows, np.int32).reshape(len(words), len(parts))
        return {name: np.ascontiguousarray(table[:, index]) for index, name in enumerate(parts)}

    def _keys(self, template: Template, parts: list[Array]) -> Array:
        """The integers that stand for the values of a template's parts, or `NONE`."""
        size = 1
        keys = np.zeros(len(parts[0]), np.int64)
        for part, values in zip(template.parts, parts, strict=True):
            size *= self._size(part)
            if size >= 1 << 63:
                raise LangueError(f"template {template} has more combinations than 64 bits; join fewer parts")
            _combine(keys, values, self._size(part))
        return keys

    def _table(self, index: int) -> tuple[Array, Array]:
        table: tuple[Array, Array] = _hash_keys(self.keys[self.starts[index] : self.starts[index + 1]])
        return table


class _Numbered:
    """Sentences as numbers of distinct words, and what parts of templates make of them."""

    def __init__(
        self,
        *,
        offsets: Array,
        words: list[Array],
        sizes: list[int],
        columns: dict[str, int],
        tables: dict[str, Array],
        counts: dict[str, int],
    ) -> None:
        self.offsets = offsets
        self.words = words  # (N,) of each column
        self.sizes = sizes  # distinct words of each column
        self._columns = columns
        self._tables = tables
        self._counts = counts
        self._parts: dict[Part, Array] = {}

    def shift(self, values: Array, offset: int, size: int) -> Array:
        """Each token's value `offset` positions away, `(N,)`; outside the sentence `size` and beyond."""
        shifted = np.empty_like(values)
        _shift(values, self.offsets, offset, size, shifted)
        return shifted

    def parts(self, template: Template) -> list[Array]:
        """Values of a template's parts by token."""
        for part in template.parts:
            if part not in self._parts:
                values = self._tables[part.name][self.words[self._columns[part.name]]]
                self._parts[part] = self.shift(values, part.offset, self._counts[part.name])
        return [self._parts[part] for part in template.parts]

    def alone(self, template: Template) -> list[Array]:
        """Values of a template's parts by distinct word, and then by place outside the sentence."""
        return [
            np.r_[self._tables[part.name], self._counts[part.name] + np.arange(EDGES, dtype=np.int32)]
            for part in template.parts
        ]


@njit
def _shift(values, offsets, by, size, shifted):
    """Each token's value `by` positions away; outside the sentence, the number of that place."""
    for s in range(len(offsets) - 1):
        begin, end = offsets[s], offsets[s + 1]
        for t in range(begin, end):
            position = t + by
            if position < begin:
                shifted[t] = size + begin - position - 1
            elif position >= end:
                shifted[t] = size + FARTHEST + position - end
            else:
                shifted[t] = values[position]


@njit
def _combine(keys, values, size):
    """keys = keys × size + values, in place; `NONE` in either is `NONE`."""
    for t in range(len(keys)):
        keys[t] = keys[t] * size + values[t] if keys[t] >= 0 and values[t] >= 0 else NONE


@njit
def _slot(keys, mask, key):
    """The slot of a key, or the free one where it belongs (linear probing)."""
    mixed = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    slot = np.int64((mixed ^ (mixed >> np.uint64(29))) >> np.uint64(16)) & mask
    while keys[slot] != FREE and keys[slot] != key:
        slot = (slot + 1) & mask
    return slot


@njit
def _distinct(keys):
    """The distinct keys in the order they first occur, and for each token the number of its own."""
    capacity = 16
    while capacity < 2 * len(keys):
        capacity *= 2
    table, number = np.full(capacity, FREE, np.int64), np.empty(capacity, np.int32)
    distinct, numbers = np.empty(len(keys), np.int64), np.empty(len(keys), np.int32)
    count = 0
    for t in range(len(keys)):
        if keys[t] < 0:
            numbers[t] = NONE
            continue
        slot = _slot(table, capacity - 1, keys[t])
        if table[slot] == FREE:
            table[slot] = keys[t]
            number[slot] = count
            distinct[count] = keys[t]
            count += 1
        numbers[t] = number[slot]
    return distinct[:count].copy(), numbers


@njit
def _hash_keys(keys):
    """A table of distinct keys: what stands in each slot, and its number."""
    capacity = 16
    while capacity < 2 * len(keys):
        capacity *= 2
    table, number = np.full(capacity, FREE, np.int64), np.empty(capacity, np.int32)
    for index in range(len(keys)):
        slot = _slot(table, capacity - 1, keys[index])
        table[slot] = keys[index]
        number[slot] = index
    return table, number


@njit
def _look_up(table, number, start, keys, numbers):
    for t in range(len(keys)):
        numbers[t] = NONE
        if keys[t] >= 0:
            slot = _slot(table, len(table) - 1, keys[t])
            if table[slot] != FREE:
                numbers[t] = start + number[slot]
