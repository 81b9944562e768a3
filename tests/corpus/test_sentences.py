"""Sentences: fixed cases of both languages, treebanks, text in pieces, and time that grows with the text."""

import gzip
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langue.corpus.sentences import (
    LONGEST,
    SentenceSpan,
    sentences_of,
    split_sentences,
    stream_sentences,
    stripped,
)

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"

# `|` stands between sentences.
CASES = {
    "titles": "Mr. Holmes met Dr. Watson.| Prof. Moriarty did not. |Rev. Green left at St. James.",
    "initials": "J. R. R. Tolkien wrote it. |George W. Bush read it. |He has vitamin C. |The rest is lost.",
    "acronyms": "The U.S. Army came. |They live in the U.S. |The war ended at 5 p.m. |Nobody knew.",
    "companies": "Apple Inc. said so. |He works for Acme Corp. |The firm is old.",
    "examples": "Use a tool, e.g. Make or i.e. GNU make, cf. Smith et al. 2004 vs. Jones.",
    "numbers": "It grew by 3.5 per cent in 2004. |See No. 5 and Fig. 3. |Version 2.0.1 is out. |No. |Yes.",
    "months": "It was on Jan. 5 that he came. |In Dec. |He left",
    "lists": "1. First buy milk.\n|2. Then go home.\n|a. Not now",
    "quotations": '"Who are you?" he asked. |"I!" |She left. |He said "no." |Then he went.',
    "curly": "“Come in.” |He came in. |‘Well?’ she said.",
    "brackets": "He left (she stayed.) |Then (see p. 3) it ended.",
    "ellipses": "Well... maybe. |I do not know... |He left. |And … so on",
    "spaced": "He left . . . and came . |Then nothing .",
    "addresses": "See https://example.org/a.b?c=d. |Mail a.b@example.org now! |Open file.txt at once.",
    "footnotes": "It is so.[1] |He said it.[2][3] |No more.",
    "small": "i know him. |he is nice. |are you? |yes",
    "marks": "What?! |No!! |Yahoo! was first.",
    "headings": "A title\n\n|A text without an end\n|Another line",
    "wrapped": "The quick brown fox jumps over the lazy dog, and then\nit sleeps until the sun comes up "
    "over the hill. |It\nwakes.",
    "long lines": "x" * 130 + "\n|" + "y" * 130,
    "verse": "Tiger, tiger, burning bright\n|In the forests of the night\n|What immortal hand",
    "chinese": "天下大势，分久必合。|周末七国分争！|是吗？|是。",
    "spoken": "宝玉笑道：“你来了。”|黛玉不答……|走了。|他问：「谁？」|没人答。",
    "said behind": "“就业在首位。”总理说。|“好！”他笑着说，“我来。”|他说“好。”|老师也来了。",
    "said before": "宝玉笑道：“是。”|黛玉说：“不。”|凤姐听说，“嗳哟”一声。|走了。",
    "goes on": "“谁会来？”的问题，没人答。|他说“好！”，就走了。|《你好！旧时光》是书。|他（真的吗？）来了。",
    "remark": "他来了。|（见下。）|他走了。",
    "straight": '他说："你来了。"|她答："是。"|完。|"好。"',
    "half-width": "建立了数学模型.|仿真结果表明有效.|精度为3.5%,误差小于0.1.|结束",
    "full-width": "士隐听了．|因笑道：“玄机３．５不可预泄．”|1．第一条．|完",
    "decimals": "增长3.5%。|版本2.0发布。|公司Apple Inc.成立于1976年。",
    "numbered": "一、概述\n|二、方法\n|1.目标。\n|2.任务。",
    "long chinese": "这一段文字很长而且在每一行的末尾都没有标点符号因为它是"
    "按照固定的宽度换\n行的文本。|下一句。",
    "mixed": "One. |二。|Three.",
    "ends of lines": "One.\r\n|Two.\r\n\r\n|Three",
    "form feed": "The end of a page\f|The next page",
    "no end": "no end",
    "blanks": "  \n One. |\t Two.  ",
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_sentences_of(name: str) -> None:
    wanted = CASES[name].split("|")
    text = "".join(wanted)
    assert sentences_of(text) == [piece.strip() for piece in wanted]
    assert "".join(text[begin:end] for begin, end in split_sentences(text)) == text


def test_spans_leave_out_the_white_space() -> None:
    text = "  One.\n\n Two. "
    spans = [stripped(text, span) for span in split_sentences(text)]
    assert spans == [SentenceSpan(2, 6), SentenceSpan(9, 13)]
    assert list(split_sentences("")) == [] and sentences_of(" \n ") == []


def test_what_never_ends_is_cut() -> None:
    text = "word " * LONGEST + "x" * 3 * LONGEST + "好" * LONGEST
    spans = list(split_sentences(text))
    assert all(end - begin <= LONGEST for begin, end in spans)
    assert "".join(text[begin:end] for begin, end in spans) == text
    assert text[: spans[0].end].endswith("word ")


PIECES = st.lists(
    st.sampled_from(
        ["word", " ", "\n", "\n\n", ". ", "Mr. ", "。", "”", '"', "好", "3.", "! ", "x" * 90, " " * 300, "A "]
    )
)


@settings(max_examples=5, deadline=None)
@given(PIECES, st.integers(1, 4000))
def test_a_stream_has_the_sentences_of_the_whole(words: list[str], size: int) -> None:
    text = "".join(words) * (1 + 140_000 // (1 + sum(map(len, words))))
    pieces = (text[begin : begin + size] for begin in range(0, len(text), size))
    assert list(stream_sentences(pieces)) == [text[begin:end] for begin, end in split_sentences(text)]


HOSTILE = ["!" * 1000, "Mr. ", "a " * 10, " " * 1000, '"好。', "x\n", "《好。", "1. ", "。”" * 9, "a.\n"]


@pytest.mark.parametrize("unit", HOSTILE)
def test_time_grows_with_the_text(unit: str) -> None:
    """Eight times the text takes about eight times as long, whatever stands in it."""
    text = unit * (80_000 // len(unit))

    def seconds(piece: str) -> float:
        begun = time.process_time()
        sum(1 for _ in split_sentences(piece))
        return time.process_time() - begun

    small = min(seconds(text[:10_000]) for _ in range(3))
    assert seconds(text) < 40 * small + 0.02


def treebank(path: Path, blank: str) -> Iterator[tuple[str, list[str]]]:
    """The documents of a treebank: the text, paragraphs between blank lines, and the sentences."""
    sentences: list[str] = []
    text = ""
    with (
        gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8")
    ) as file:
        for line in file:
            if line.startswith("# newdoc") and sentences:
                yield text, sentences
                text, sentences = "", []
            elif line.startswith("# newpar") and text:
                text = text.rstrip(" ") + "\n\n"
            elif line.startswith("# text = "):
                sentences.append(line.removeprefix("# text = ").strip())
                text += sentences[-1] + blank
    yield text, sentences


@pytest.mark.parametrize(
    ("name", "blank", "precision", "recall"),
    [("ud-english-ewt/test.conllu", " ", 0.97, 0.96), ("ud-chinese-gsd/test.conllu", "", 0.98, 0.98)],
)
def test_ends_of_treebank_sentences(name: str, blank: str, precision: float, recall: float) -> None:
    """Recall is of ends that have a mark or end a paragraph: the lines of letters run together there."""
    path = DATA / name
    if not path.exists():
        pytest.skip(f"no {name} in ../shared/data")
    right = predicted = marks_right = marks = 0
    for text, sentences in treebank(path, blank):
        ends, marked, at = set(), set(), 0
        for sentence in sentences:
            at = text.index(sentence, at) + len(sentence)
            ends.add(at)
            if sentence[-1] in ".!?。！？…\"'”’」)" or text[at : at + 1] in ("", "\n"):
                marked.add(at)
        split = {stripped(text, span).end for span in split_sentences(text)}
        right, predicted = right + len(split & ends), predicted + len(split)
        marks_right, marks = marks_right + len(split & marked), marks + len(marked)
    assert right / predicted >= precision
    assert marks_right / marks >= recall
