"""Sentences of English and Chinese text: where each begins and ends, by rules, in linear time.

A sentence ends at a mark (`。！？…`; `.!?` before white space, or between Han characters) with the quotation
marks and brackets that close there; at a blank line; and at the end of a line, unless the text is wrapped. A
period ends none after a title (`Mr.`), within initials and acronyms, before a small letter, in `No. 5`, or
where it closes the number of a list (`3. `); behind `Inc.`, `U.S.` or `a.m.` one ends if the next word is one
that begins sentences (Kiss and Strunk 2006 weigh the same evidence, from counts of the text itself).
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from langue.base.scripts import HAN

LONGEST = 4000  # characters: what has no end for so long is no sentence, and is cut
MARGIN = 1024  # characters on either side that decide on an end: two lines of wrapped text
BLOCK = 1 << 16  # characters of a stream that are looked at together
WIDEST = 120  # columns of wrapped text
NARROWEST = 40  # of the same; fewer are a list or verse
NARROWEST_HAN = 30

_CLOSERS = "」』”’）】》〉〕\"'”’)\\]"
_CANDIDATE = re.compile(
    f"(?P<wide>[。！？｡…．]++[。！？｡….!?]*+)(?P<after>[{_CLOSERS}]*+)"
    # Runs are looked at once, from their beginning: the time stays linear.
    rf"|(?P<latin>(?<![.!?])[.!?]++)(?P<behind>[{_CLOSERS}]*+)(?:\[\d+\])*(?=[\s{HAN}“‘「『《（]|\Z)"
    r"|(?P<line>[\n\f\x1e\u2028\u2029])\s*+"
)
_BLANKS = re.compile(r"\s*+")
_HARD = re.compile(r"[\f\x1e\u2029]|\n[^\S\n]*\n")  # white space that ends a paragraph
_TOKEN = re.compile(r"[^\s()\[\]\"“”‘’«»,;:/—–]+$")
_HAN = re.compile(f"[{HAN}]")
_NEXT_WORD = re.compile(r"[\s\"'“‘(\[]*([^\W\d_]*)")
_FIRST_WORD = re.compile(rf"\S{{1,{WIDEST}}}")
_LABEL = re.compile(r"\(?(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,5})(?:\.\d{1,3})*\)?")
_ACRONYM = re.compile(r"(?:[A-Za-z]\.)+[A-Za-z]|[A-Z]")  # without its last period; or an initial
_BULLET = re.compile(r"[-*•·‣◦>#|+=]|\(?\d{1,3}[.)、]|[（(]?[一二三四五六七八九十]+[、）)]")
_GOES_ON = "，、；：。,;:)）"  # a sentence goes on behind a mark before these
_ATTACHED = "的地得之等和与及或"  # behind a quotation: “谁？”的
_QUOTED = tuple("」』”’\"'")  # that close one
# Who said it, behind a quotation: “来了。”他说。 A colon, or a comma in a novel, leads to what comes next.
_SAID = re.compile(rf"[{HAN}]{{1,6}}(?<![听见])(?:说|[说问答喊笑]道|表示|指出)(?:。|，[“「‘『\"])")


def _listed(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Before a name, a number or an example: a sentence never ends in one.
_NEVER_LAST = _listed(
    "mr mrs ms messrs mme mlle dr drs prof rev hon fr gen col maj capt cmdr lt sgt cpl adm gov sen rep "
    "pres supt st ste mt ft e.g i.e vs cf viz eg ie approx esp incl ext ps p.s pvt v"
)
_BEFORE_NUMBER = _listed(
    "no nos fig figs vol vols p pp ch chap sec sect art eq eqs para tab nr jan feb mar apr jun jul aug "
    "sep sept oct nov dec ca pop"
)
_SOMETIMES_LAST = _listed(
    "inc ltd corp co bros jr sr etc al ave blvd rd dept univ assn est bldg ph.d m.d b.a m.a u.s.a esq "
    "mass calif conn fla wash penn tex ariz colo minn tenn a.m p.m"
)
_STARTERS = _listed(
    "The A An I It He She They We You This That These Those There In On At For But And Or If When While "
    "As After Before However Its His Her Their My Our Your What Why How Who Where Which Is Are Was Do "
    "Does Did Can Could Since Although Though So Then Now Some Many Most All Both Such One Another No "
    "Not From By To With Under Because During Until According Meanwhile Also Yet Here Please Thanks Let "
    "Just Well Even Only Each Every Several Other Others Nobody Nothing Everyone Someone Once Later "
    "Instead Today Yesterday Nor Perhaps Despite Unlike Between"
)


class SentenceSpan(NamedTuple):
    """Characters `begin` to `end` - 1 of a text."""

    begin: int
    end: int


def split_sentences(text: str) -> Iterator[SentenceSpan]:
    """The sentences of a text: spans that joined are the text, each with the white space behind it.

    What is longer than `LONGEST` is cut, at white space where there is some; so a span may hold white space
    only.
    """
    return _split(text, 0)


def _split(text: str, begin: int) -> Iterator[SentenceSpan]:
    """The sentences from one of them on."""
    for match in _CANDIDATE.finditer(text, begin):
        while match.start() - begin > LONGEST:
            cut = _cut(text, begin)
            yield SentenceSpan(begin, cut)
            begin = cut
        if match.end() <= begin:  # white space that the sentence before has taken
            continue
        end = _end(text, match, begin)
        if end is not None and not text[begin : match.end()].isspace():
            yield SentenceSpan(begin, end)
            begin = end
    while len(text) - begin > LONGEST:
        cut = _cut(text, begin)
        yield SentenceSpan(begin, cut)
        begin = cut
    if begin < len(text):
        yield SentenceSpan(begin, len(text))


def stripped(text: str, span: SentenceSpan) -> SentenceSpan:
    """A span without the white space at its ends."""
    piece = text[span.begin : span.end]
    begin = span.begin + len(piece) - len(piece.lstrip())
    return SentenceSpan(begin, max(begin, span.begin + len(piece.rstrip())))


def sentences_of(text: str) -> list[str]:
    """The sentences of a text without the white space around them."""
    pieces = (text[begin:end].strip() for begin, end in split_sentences(text))
    return [piece for piece in pieces if piece]


def stream_sentences(pieces: Iterable[str]) -> Iterator[str]:
    """`split_sentences` of a text that comes in pieces, a sentence at a time; joined they are the text.

    Holds some ten thousand characters, however long the text is.
    """
    text, begin, size = "", 0, BLOCK
    for piece in pieces:
        text += piece
        if len(text) < size:
            continue
        # The text behind `begin` is split, with the lines before it in sight.
        for span in _split(text, begin):
            if max(span.end, span.begin + LONGEST) + MARGIN > len(text):
                break
            yield text[span.begin : span.end]
            begin = span.end
        kept = max(begin - MARGIN, 0)
        text, begin = text[kept:], begin - kept
        size = 2 * len(text) + BLOCK
    yield from (text[start:end] for start, end in _split(text, begin))


def _cut(text: str, begin: int) -> int:
    """Where to cut what is too long."""
    middle = begin + LONGEST // 2
    blank = max(text.rfind(" ", middle, begin + LONGEST), text.rfind("\u3000", middle, begin + LONGEST))
    return blank + 1 if blank >= 0 else begin + LONGEST


def _end(text: str, match: re.Match[str], begin: int) -> int | None:
    """Where the sentence ends that began at `begin`, with the white space behind it; None: it goes on."""
    if match["line"]:
        ends = _ends_line(text, match.start(), match.end())
        return match.end() if ends else None
    marks, after = ("wide", "after") if match["wide"] else ("latin", "behind")
    mark, closed = match.end(marks), match.end(after)
    end = match.end()
    if _opens(text, begin, closed, match[after]):
        closed = end = closed - 1
    behind = _BLANKS.match(text, end)
    assert behind is not None
    blanks, next = behind[0], text[behind.end() : behind.end() + 1]
    if not next or (blanks and _breaks(text, end, behind.end())):
        return behind.end()
    closers = text[mark:closed]
    if match["wide"] == "．" and _is_number(text, begin, mark, next):
        return None
    if match["wide"]:
        near = max(begin, mark - 64)
        titled = text.rfind("《", near, mark) > text.rfind("》", near, mark)
        ends = not titled and _ends_wide(text, match["wide"], closers, behind.end(), spaced=bool(blanks))
    else:
        ends = _ends_latin(text, match, begin, closers, next)
    return behind.end() if ends else None


def _is_number(text: str, begin: int, mark: int, next: str) -> bool:
    """Whether a full-width period, which ends at `mark`, is a decimal point or closes a list's number."""
    before = text[max(begin, mark - 16) : mark - 1].strip()
    return (next.isdigit() and before[-1:].isdigit()) or _LABEL.fullmatch(before) is not None


def _breaks(text: str, begin: int, end: int) -> bool:
    """Whether white space ends a line, and no wrapped one."""
    line = text.find("\n", begin, end)
    return _HARD.search(text, begin, end) is not None or (line >= 0 and not _is_wrapped(text, line, end))


def _opens(text: str, begin: int, end: int, closers: str) -> bool:
    """Whether the last of these marks, a straight quotation mark, opens what follows at `end`."""
    if closers[-1:] not in ('"', "'") or end == len(text) or text[end].isspace():
        return False
    return text.count(text[end - 1], max(begin, end - MARGIN), end - 1) % 2 == 0


def _ends_wide(text: str, marks: str, closers: str, at: int, *, spaced: bool) -> bool:
    """Whether a sentence ends at Chinese marks, behind which the same line goes on at `at`."""
    next = text[at]
    if next in _GOES_ON or (closers and next in _ATTACHED):
        return False
    if closers[-1:] in _QUOTED and _SAID.match(text, at):
        return False
    if not _HAN.match(next) and next.islower():  # of Latin letters, "…" between two of them too
        return False
    # A remark in brackets is within a sentence, but where it is one of its own.
    return not (closers[:1] in ("）", ")") and marks[-1] != "。" and not spaced)


def _ends_latin(text: str, match: re.Match[str], begin: int, closers: str, next: str) -> bool:
    """Whether a sentence ends at Latin marks that `next` follows."""
    at, marks = match.start(), match["latin"]
    if next in _GOES_ON or next == "." or (next.islower() and (closers or not text[begin].islower())):
        return False  # who begins a sentence with a small letter may begin the next with one
    if marks != "." or closers.strip(")]"):
        return True
    token = _TOKEN.search(text, max(begin, at - 32), at)
    word = token[0] if token else ""
    if not word or _HAN.match(word[-1]):
        return True
    if _LABEL.fullmatch(word) and not text[max(begin, at - 64) : at - len(word)].strip():
        return False
    known = word.lower()
    if known in _NEVER_LAST or (known in _BEFORE_NUMBER and next.isdigit()):
        return False
    if known in _SOMETIMES_LAST or _ACRONYM.fullmatch(word):
        return _next_word(text, match.end()) in _STARTERS
    return True


def _next_word(text: str, at: int) -> str:
    word = _NEXT_WORD.match(text, at)
    return word[1] if word else ""


def _ends_line(text: str, line: int, end: int) -> bool:
    """Whether a line without a mark at its end is a sentence, such as a heading."""
    return end == len(text) or _HARD.search(text, line, end) is not None or not _is_wrapped(text, line, end)


def _is_wrapped(text: str, line: int, end: int) -> bool:
    """Whether a line goes on in the next: that one's first word would not have fit into it.

    How wide the text is tell the two lines before and the two behind.

    Args:
        line: where its line feed stands.
        end: where the next line begins, behind its indentation.
    """
    first = _line_begin(text, line)
    if line - first > WIDEST or _BULLET.match(text, end):
        return False
    width = column = len(text[first:line].rstrip())
    before = first
    for _ in range(2):
        if before > 0:
            last, before = before - 1, _line_begin(text, before - 1)
            width = max(width, len(text[before:last].rstrip()))
    behind = line + 1
    for _ in range(2):
        stop = text.find("\n", behind, behind + WIDEST + 1)
        stop = min(len(text), behind + WIDEST + 1) if stop < 0 else stop
        width = max(width, len(text[behind:stop].rstrip()))
        behind = min(stop + 1, len(text))
    if width > WIDEST:
        return False
    if _HAN.match(text, end):
        return width >= NARROWEST_HAN and column + 1 > width
    word = _FIRST_WORD.match(text, end)
    return width >= NARROWEST and word is not None and column + 1 + len(word[0]) > width


def _line_begin(text: str, line: int) -> int:
    """Where the line begins that ends at `line`, or a position too far before it to be wrapped text's."""
    return max(text.rfind("\n", max(line - WIDEST - 2, 0), line) + 1, line - WIDEST - 2, 0)
