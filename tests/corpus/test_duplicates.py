"""Near-duplicates, in English and in Chinese, from a headline to a long text, and what is none."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from langue.base.executors import InProcess
from langue.corpus import repeats
from langue.corpus.duplicates import key_of, sketch_of
from langue.corpus.parts import PARTS, RepeatRule, write_part
from langue.corpus.repeats import Repeats, RowHashes

WORDS = [f"{a}{b}{c}" for a in "bcdfgklm" for b in "aeiou" for c in "nrstp"]
CHARACTERS = [chr(code) for code in range(0x4E00, 0x4E00 + 2000)]


Near = Callable[[list[str]], list[bool]]


@pytest.fixture
def near(tmp_path: Path) -> Near:
    """Of each text, whether it is much like an earlier one; they are of two parts, and of some ranges."""
    pytest.importorskip("rensa")

    def near(texts: list[str]) -> list[bool]:
        rule, middle = RepeatRule("ignore", "count"), len(texts) // 2
        parts = {"one": texts[:middle], "two": texts[middle:]}
        repeats.make_folders(tmp_path)
        write_part(tmp_path / PARTS, list(parts))
        for name, own in parts.items():
            rows = [RowHashes(row, "train", b"", sketch_of(text)) for row, text in enumerate(own)]
            repeats.write_hashes(tmp_path, name, rows, rule)
        repeats.find_repeats(tmp_path, rule, InProcess())
        known = Repeats(tmp_path)
        return [row in known.near(part) for part, own in enumerate(parts.values()) for row in range(len(own))]

    return near


def sentence(draw: random.Random, *, chinese: bool) -> str:
    if chinese:
        return "".join(draw.choices(CHARACTERS, k=18)) + "。"
    return " ".join(draw.choices(WORDS, k=14)) + "."


@pytest.mark.parametrize("chinese", [False, True])
@pytest.mark.parametrize("count", [3, 5, 10, 40])
def test_one_sentence_changed_is_found_and_another_text_is_not(
    near: Near, monkeypatch: pytest.MonkeyPatch, chinese: bool, count: int
) -> None:
    monkeypatch.setattr(repeats, "HASHES", 500)
    monkeypatch.setattr(repeats, "PAIRS", 50)
    draw = random.Random(count)
    texts = []
    for _ in range(60):
        text = [sentence(draw, chinese=chinese) for _ in range(count)]
        place = draw.randrange(count)
        edited, other = text.copy(), text.copy()
        edited[place] = text[place][:-8] + "1859" + text[place][-4:]
        other[place] = sentence(draw, chinese=chinese)
        texts += [" ".join(sentences) for sentences in (text, edited, other)]
    are_near = near(texts)
    first, edited_too, changed = (sum(are_near[which::3]) for which in range(3))
    assert (first, edited_too) == (0, 60)
    assert changed >= (60 if count >= 5 else 40)


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("The council voted 31 to 4 for the new bridge", "The council voted 31 to 5 for the new bridge"),
        ("一男子醉酒后翻越护栏被困河中央三小时", "一男子醉酒后翻越护栏被困河中央五小时"),
        ("One. Two words. Three more words here.", "    One.  Two words.\n    Three more words here.\n"),
        ("One two three four, five six.", "ONE TWO three four; five six!"),
        ("，".join(f"第{n}句话说的是{chr(0x4E00 + n)}事" for n in range(60)),
         "，".join(f"第{n}句话说的是{chr(0x4E00 + n + (n == 30))}事" for n in range(60))),
        ("two words", "Two, words"),
    ],
)  # fmt: skip
def test_what_is_nearly_the_same_is_found(near: Near, text: str, other: str) -> None:
    texts = [text, other, "quite another text that has nothing in common with it", "…!?"]
    assert near(texts) == [False, True, False, False]


def test_a_long_text_is_like_itself_wherever_it_is_cut(near: Near) -> None:
    draw = random.Random(0)
    text = " ".join(sentence(draw, chinese=False) for _ in range(4000))
    other = "   " + text.replace(". ", ".\n\n") + sentence(draw, chinese=False)
    assert near([text, other]) == [False, True]


def test_a_repeat_is_told_with_the_split_of_the_first_across_parts_and_ranges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repeats, "HASHES", 7)
    draw = random.Random(1)
    splits = draw.choices(["train", "valid"], k=75)
    parts = [[(split, str(draw.randrange(40))) for split in splits[part::3]] for part in range(3)]
    rule = RepeatRule("count", "ignore")
    repeats.make_folders(tmp_path)
    write_part(tmp_path / PARTS, list("abc"))
    first: dict[str, str] = {}  # of each text the split of its first
    expected: list[dict[int, str]] = [{}, {}, {}]
    for name, part, repeated in zip("abc", parts, expected, strict=True):
        rows = [RowHashes(row, split, key_of(text), None) for row, (split, text) in enumerate(part)]
        repeats.write_hashes(tmp_path, name, rows, rule)
        for row, (split, text) in enumerate(part):
            if text in first:
                repeated[row] = first[text]
            first.setdefault(text, split)
    repeats.find_repeats(tmp_path, rule, InProcess())
    known = Repeats(tmp_path)
    assert len(list((tmp_path / repeats.DUPLICATES).iterdir())) > 10
    assert [known.duplicates(number) for number in range(3)] == expected
