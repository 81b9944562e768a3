"""A document as summaries see it: a title, and sentences of which some open a paragraph."""

import re
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from langue.base.scripts import HAN
from langue.corpus.sentences import SentenceSpan, split_sentences, stripped

Unit = Literal["sentence", "clause", "line"]
LONGEST_HEADING = 120  # characters
_CLAUSE = re.compile(rf"[，；：;]|,(?=\s|[{HAN}])|(?<=[{HAN}])[,:]")
_TOKEN = re.compile(rf"[{HAN}]|[^\W_{HAN}]+")
_LINE = re.compile(r"[^\n]+")
# A line that ends with none of these is a heading, not a sentence.
_ENDS = tuple("。！？｡….!?」』”’）】》\"')];；:：,，")


class DocumentUnits(NamedTuple):
    """What a summary is chosen from."""

    text: str
    title: str
    spans: Sequence[SentenceSpan]  # of sentences, clauses or lines, in the text, without headings
    opens: Sequence[bool]  # whether each begins a paragraph

    @property
    def sentences(self) -> list[str]:
        return [self.text[begin:end] for begin, end in self.spans]


def tokens_of(text: str) -> list[str]:
    """What summaries are compared by: characters of Chinese, words of other scripts, without marks."""
    return _TOKEN.findall(text.lower())


def split_document(text: str, title: str = "", unit: Unit = "sentence") -> DocumentUnits:
    """The units of a text. Headings are none of them, and the first stands for a title that is not given.

    Args:
        unit: `sentence`; `clause`, which ends at a comma too; `line`, such as the turn of a dialogue.
    """
    units = list(_units(text, unit))
    headings = [span for span, _ in units if unit == "sentence" and _is_heading(text, span)]
    if 2 * len(headings) > len(units):  # a list of titles, or lines without marks
        headings = []
    dropped = set(headings)
    kept = [(span, begins) for span, begins in units if span not in dropped]
    if not title and headings and headings[0].begin < kept[0][0].begin:
        title = text[headings[0].begin : headings[0].end].strip("= ")
    return DocumentUnits(text, title, [span for span, _ in kept], [begins for _, begins in kept])


def _units(text: str, unit: Unit) -> Iterator[tuple[SentenceSpan, bool]]:
    """Spans without the white space around them, and whether a line ends before each."""
    pieces: Iterator[SentenceSpan]
    if unit == "line":
        pieces = (SentenceSpan(*match.span()) for match in _LINE.finditer(text))
    else:
        pieces = split_sentences(text)
    before = 0
    for piece in pieces:
        for part in _clauses(text, piece) if unit == "clause" else (piece,):
            span = stripped(text, part)
            if span.begin < span.end:
                yield span, not before or "\n" in text[before : span.begin]
                before = span.end


def _clauses(text: str, span: SentenceSpan) -> Iterator[SentenceSpan]:
    begin = span.begin
    for match in _CLAUSE.finditer(text, span.begin, span.end):
        yield SentenceSpan(begin, match.start())
        begin = match.end()
    yield SentenceSpan(begin, span.end)


def _is_heading(text: str, span: SentenceSpan) -> bool:
    """Whether a short line stands there without a mark at its end."""
    begin, end = span
    if end - begin > LONGEST_HEADING or text[begin:end].endswith(_ENDS):
        return False
    behind = text[end : end + 64].lstrip(" \t\r\u3000")
    before = text[max(begin - 64, 0) : begin].rstrip(" \t\u3000")
    return behind[:1] in ("\n", "\f") and before[-1:] in ("\n", "\f", "")
