"""What the rest of a document says of a word: names are told in full once, and then in short.

A name that is ambiguous where it stands is often plain elsewhere ("Tim Henman" is named once, then it is
"Henman", and "HENMAN" in a headline), so a model of sentences gains by looking there (Chieu and Ng 2003,
"global features"; Ratinov and Roth 2009, "context aggregation"). Nothing here is of more than one
document, and a sentence that stands alone has none of it.
"""

from collections.abc import Sequence
from itertools import chain

from langue.corpus.tagged import Sentence

# In the order of `_Document.of`; what each says is in `templates`.
ELSEWHERE = ("spelled", "name_before", "name_after", "left", "right")
NOTHING = ("",) * len(ELSEWHERE)
OPENING = {'"', "``", "''", "“", "‘", "("}  # after these a word is capitalised as at the start of a sentence


def elsewhere(sentences: Sequence[Sentence]) -> list[list[str]]:
    """The columns `ELSEWHERE` of all tokens, one sentence after another; empty where there is nothing."""
    documents: dict[int, _Document] = {}
    rows: list[list[tuple[str, ...]]] = []
    for sentence in sentences:
        if not sentence.document:
            rows.append([NOTHING] * len(sentence.words))
            continue
        document = documents.get(id(sentence.document))
        if document is None:
            document = documents[id(sentence.document)] = _Document(sentence.document)
        rows.append(document.of(sentence.words))
    flat = list(chain.from_iterable(rows))
    return [list(column) for column in zip(*flat, strict=True)] if flat else [[] for _ in ELSEWHERE]


class _Word:
    """What a document says of a word, however it is written."""

    def __init__(self) -> None:
        self.kinds: set[str] = set()  # how it is written: l, C, A
        self.run: Sequence[str] = ()  # the longest sequence of capitalised words it is in
        self.place = 0  # where in that
        # Its neighbours where it occurs first and second: (sentence, place, word).
        self.left: list[tuple[int, int, str]] = []
        self.right: list[tuple[int, int, str]] = []


class _Document:
    """Evidence from all sentences but headlines, in which everything is a capital."""

    def __init__(self, sentences: Sequence[Sequence[str]]) -> None:
        self.numbers = {id(words): number for number, words in enumerate(sentences)}
        self.words: dict[str, _Word] = {}
        for number, words in enumerate(sentences):
            if not _is_headline(words):
                self._read(number, words)

    def _read(self, number: int, words: Sequence[str]) -> None:
        begin = 0  # of the run of capitalised words
        for place, word in enumerate(words):
            if not word[:1].isupper():
                begin = place + 1
            elif place + 1 == len(words) or not words[place + 1][:1].isupper():
                self._name(words[begin : place + 1])
            if not word[:1].isalpha():
                continue
            found = self._found(word)
            if word.islower():
                found.kinds.add("l")
            elif word != word.lower() and place and words[place - 1] not in OPENING:
                found.kinds.add("A" if word.isupper() and len(word) > 1 else "C")
            if place and len(found.left) < 2:
                found.left.append((number, place, words[place - 1].lower()))
            if len(found.right) < 2:
                after = words[place + 1].lower() if place + 1 < len(words) else "</s>"
                found.right.append((number, place, after))

    def _name(self, run: Sequence[str]) -> None:
        for place, word in enumerate(run):
            found = self._found(word)
            if len(run) > len(found.run):
                found.run, found.place = run, place

    def _found(self, word: str) -> _Word:
        return self.words.setdefault(word.lower(), _Word())

    def of(self, words: Sequence[str]) -> list[tuple[str, ...]]:
        """`ELSEWHERE` of each token of one of the sentences."""
        number = self.numbers.get(id(words), -1)
        headline = "H" if _is_headline(words) else ""
        rows = []
        for place, word in enumerate(words):
            if not word[:1].isalpha():
                rows.append(NOTHING)
                continue
            found = self.words.get(word.lower(), _UNMET)
            start = "S" if place == 0 else ""
            spelled = "".join(kind for kind in "lCA" if kind in found.kinds) + headline + start
            before = found.run[found.place - 1] if found.place else ""
            after = found.run[found.place + 1] if found.place + 1 < len(found.run) else ""
            left = right = ""
            if not word.islower():
                left, right = _other(found.left, number, place), _other(found.right, number, place)
            rows.append((spelled, before, after, left, right))
        return rows


_UNMET = _Word()


def _other(neighbours: list[tuple[int, int, str]], number: int, place: int) -> str:
    """The first neighbour that is not that of this place itself."""
    return next((word for at, where, word in neighbours if (at, where) != (number, place)), "")


def _is_headline(words: Sequence[str]) -> bool:
    return " ".join(words).isupper()
