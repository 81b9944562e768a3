"""What the rest of a document says of a word: names are told in full once, and then in short.

A name that is ambiguous where it stands is often plain elsewhere ("Tim Henman" is named once, then it is
"Henman", and "HENMAN" in a headline), so a model of sentences gains by looking there (Chieu and Ng 2003,
"global features"; Ratinov and Roth 2009, "context aggregation"). Nothing here is of more than one
document, and a sentence that stands alone has none of it. Words are numbers, as in `features`.

A model that never met a sentence alone would lean on what its document says and miss it in use, so half
of the documents of a training file are hidden (`hide_documents`).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from langue.base.arrays import Array
from langue.base.compiled import njit
from langue.base.seeds import generator
from langue.corpus.tagged import Columns, Sentence
from langue.inference.chain import offsets_of

ELSEWHERE = ("spelled", "name_before", "name_after", "left", "right")  # what each is: see `templates`
NOTHING = -1
ALONE = -2  # no document: below `NOTHING`
END = "</s>"  # right of the last word
OPENING = {'"', "``", "''", "“", "‘"}  # after these a word is capitalized as at the start of a sentence
# What `spelled` is made of.
LOWER, CAPITALIZED, CAPITALS, HEADLINE, START = 1, 2, 4, 8, 16
SPELLED = ["".join(mark for bit, mark in enumerate("lCAHS") if code >> bit & 1) for code in range(32)]


class Column(NamedTuple):
    """A value of each token, `names[numbers[t]]`: "" where the document has nothing to say, which says
    something too, and None where there is no document."""

    numbers: Array  # (N,)
    names: list[str | None]


def documents_of(
    sentences: Sequence[Sentence],
) -> tuple[list[tuple[Columns, ...]], list[tuple[int, int] | None]]:
    """The documents of sentences, each once; and of every sentence the number of its document and its
    own number there, or None where it stands alone."""
    documents = list({id(one.document): one.document for one in sentences if one.document}.values())
    numbers = {id(document): number for number, document in enumerate(documents)}
    known = {
        (number, id(columns[0])): index
        for number, document in enumerate(documents)
        for index, columns in enumerate(document)
    }
    indices: list[tuple[int, int] | None] = []
    for sentence in sentences:
        number = numbers.get(id(sentence.document), NOTHING)
        if number == NOTHING:
            indices.append(None)
            continue
        index = known.get((number, id(sentence.words)))
        if index is None:  # an equal one, not the very one
            index = [columns[0] for columns in sentence.document].index(sentence.words)
        indices.append((number, index))
    return documents, indices


def hide_documents(sentences: Sequence[Sentence], seed: int) -> list[Sentence]:
    """The sentences for training, half of the documents hidden: one of each two neighbors in the file, by
    chance; of a single document, every other sentence. What was hidden stands alone."""
    numbers: dict[int, int] = {}
    for one in sentences:
        if one.document:
            numbers.setdefault(id(one.document), len(numbers))
    pairs = np.arange(len(numbers) // 2)
    hidden = set((2 * pairs + generator(seed, "hidden documents").integers(2, size=len(pairs))).tolist())
    return [
        one._replace(document=())
        if one.document and (index % 2 if len(numbers) == 1 else numbers[id(one.document)] in hidden)
        else one
        for index, one in enumerate(sentences)
    ]


def elsewhere(sentences: Sequence[Sentence]) -> list[Column]:
    """The columns `ELSEWHERE` of all tokens, one sentence after another."""
    documents, indices = documents_of(sentences)
    told = [columns[0] for document in documents for columns in document]
    offsets = offsets_of([len(words) for words in told])
    edges = offsets_of([len(document) for document in documents])
    known: dict[str, int] = {}
    tokens = np.array(
        [known.setdefault(word, len(known)) for words in told for word in words], dtype=np.int64
    )
    words, lowered = _Words.of(list(known))
    table = np.full((len(ELSEWHERE), len(tokens) + 1), NOTHING)
    table[:, -1] = ALONE
    _fill(tokens, offsets, edges, words, _Told.nothing(len(lowered) - 1), table)
    rows = [
        np.full(len(one.words), len(tokens))
        if index is None
        else offsets[edges[index[0]] + index[1]] + np.arange(len(one.words))
        for one, index in zip(sentences, indices, strict=True)
    ]
    chosen = np.concatenate(rows) if rows else np.empty(0, np.int64)
    vocabularies = (SPELLED, list(known), list(known), lowered, lowered)
    return [_column(values[chosen], names) for values, names in zip(table, vocabularies, strict=True)]


def _column(values: Array, names: Sequence[str]) -> Column:
    """Values with the names of those alone that occur."""
    distinct, numbers = np.unique(np.r_[ALONE, NOTHING, values], return_inverse=True)
    return Column(numbers[2:].astype(np.int32), [None, "", *(names[value] for value in distinct[2:])])


class _Words(NamedTuple):
    """The distinct words of some documents."""

    lower: Array  # (words,) number of what a word is in lower case
    alphabetic: Array  # (words,) whether it begins with a letter
    capital: Array  # (words,) and that is a capital
    small: Array  # (words,) str.islower
    cased: Array  # (words,) whether it has two cases
    capitals: Array  # (words,) str.isupper
    long: Array  # (words,) more than one character
    opening: Array  # (words,)

    @classmethod
    def of(cls, words: Sequence[str]) -> tuple["_Words", list[str]]:
        """And the words in lower case by number, `END` behind them."""
        known: dict[str, int] = {}
        lower = np.array([known.setdefault(word.lower(), len(known)) for word in words], np.int64)

        def which(test: Any) -> Array:
            return np.array([test(word) for word in words], np.bool_)

        kinds = cls(
            lower,
            which(lambda word: word[:1].isalpha()),
            which(lambda word: word[:1].isupper()),
            which(str.islower),
            which(lambda word: word != word.lower() or word != word.upper()),
            which(str.isupper),
            which(lambda word: len(word) > 1),
            which(lambda word: word in OPENING),
        )
        return kinds, [*known, END]


class _Told(NamedTuple):
    """Occurrences in a document of each word in lower case, all `(words,)`."""

    kinds: Array  # how it is written: LOWER, CAPITALIZED, CAPITALS
    begin: Array  # the longest run of capitalized words that it is in: first token,
    end: Array  # and the one behind the last; as large as `begin` where there is none
    position: Array  # and where in it
    left: Array  # (words, 2) the first two places where it has a neighbor; `NOTHING` where it has not
    right: Array  # (words, 2)

    @classmethod
    def nothing(cls, L: int) -> "_Told":
        pairs = (np.full((L, 2), NOTHING) for _ in range(2))
        return cls(*(np.zeros(L, np.int64) for _ in range(4)), *pairs)


@njit
def _fill(tokens, offsets, edges, words, told, table):
    """Fill `table` `(columns, N + 1)`, document by document."""
    for d in range(len(edges) - 1):
        sentences = range(edges[d], edges[d + 1])
        for word in tokens[offsets[edges[d]] : offsets[edges[d + 1]]]:
            _forget(told, words.lower[word])
        for s in sentences:
            first, last = offsets[s], offsets[s + 1]
            if not _is_headline(tokens, first, last, words):
                _names(tokens, first, last, words, told)
                for t in range(first, last):
                    if words.alphabetic[tokens[t]]:
                        _note(tokens, first, t, words, told)
        for s in sentences:
            first, last = offsets[s], offsets[s + 1]
            headline = HEADLINE if _is_headline(tokens, first, last, words) else 0
            for t in range(first, last):
                if words.alphabetic[tokens[t]]:
                    start = START if t == first else 0
                    _tell(tokens, offsets, t, words, told, table)
                    table[0, t] = told.kinds[words.lower[tokens[t]]] + headline + start


@njit
def _forget(told, k):
    told.kinds[k] = 0
    told.begin[k] = told.end[k] = told.position[k] = 0
    told.left[k] = NOTHING
    told.right[k] = NOTHING


@njit
def _is_headline(tokens, first, last, words):
    """Whether all that could be capitals is: nothing there says how a word is written."""
    any_capitals = False
    for word in tokens[first:last]:
        if words.cased[word] and not words.capitals[word]:
            return False
        any_capitals |= words.capitals[word]
    return any_capitals


@njit
def _names(tokens, first, last, words, told):
    """Note the runs of capitalized words."""
    begin = first
    for t in range(first, last):
        if not words.capital[tokens[t]]:
            begin = t + 1
        elif t + 1 == last or not words.capital[tokens[t + 1]]:
            for position in range(begin, t + 1):
                k = words.lower[tokens[position]]
                if t + 1 - begin > told.end[k] - told.begin[k]:
                    told.begin[k], told.end[k], told.position[k] = begin, t + 1, position


@njit
def _note(tokens, first, t, words, told):
    """Note how the word at t is written, and its neighbors."""
    word = tokens[t]
    k = words.lower[word]
    if words.small[word]:
        told.kinds[k] |= LOWER
    elif words.cased[word] and t > first and not words.opening[tokens[t - 1]]:
        told.kinds[k] |= CAPITALS if words.capitals[word] and words.long[word] else CAPITALIZED
    if t > first:
        _keep(told.left[k], t)
    _keep(told.right[k], t)


@njit
def _keep(positions, t):
    if positions[0] == NOTHING:
        positions[0] = t
    elif positions[1] == NOTHING:
        positions[1] = t


@njit
def _tell(tokens, offsets, t, words, told, table):
    """Fill the columns of the word at t beside the first."""
    k = words.lower[tokens[t]]
    if told.position[k] > told.begin[k]:
        table[1, t] = tokens[told.position[k] - 1]
    if told.position[k] + 1 < told.end[k]:
        table[2, t] = tokens[told.position[k] + 1]
    if words.small[tokens[t]]:
        return  # what is in lower case is no name
    left = told.left[k, 1] if told.left[k, 0] == t else told.left[k, 0]
    if left != NOTHING:
        table[3, t] = words.lower[tokens[left - 1]]
    right = told.right[k, 1] if told.right[k, 0] == t else told.right[k, 0]
    if right != NOTHING:
        ends = offsets[np.searchsorted(offsets, right, side="right")]  # of the sentence it is in
        table[4, t] = len(told.kinds) if right + 1 == ends else words.lower[tokens[right + 1]]
