"""Near-duplicates, in English and in Chinese, from a headline to a long text, and what is none."""

import random
from collections.abc import Iterator

import pytest

from langue.corpus.duplicates import NearDuplicates, sketch_of

WORDS = [f"{a}{b}{c}" for a in "bcdfgklm" for b in "aeiou" for c in "nrstp"]
CHARACTERS = [chr(code) for code in range(0x4E00, 0x4E00 + 2000)]


@pytest.fixture
def near() -> Iterator[NearDuplicates]:
    pytest.importorskip("rensa")
    seen = NearDuplicates()
    yield seen
    seen.close()


def sentence(draw: random.Random, *, chinese: bool) -> str:
    if chinese:
        return "".join(draw.choices(CHARACTERS, k=18)) + "。"
    return " ".join(draw.choices(WORDS, k=14)) + "."


@pytest.mark.parametrize("chinese", [False, True])
@pytest.mark.parametrize("count", [3, 5, 10, 40])
def test_one_sentence_changed_is_found_and_another_text_is_not(
    near: NearDuplicates, chinese: bool, count: int
) -> None:
    draw = random.Random(count)
    found = changed = others = 0
    for _ in range(60):
        text = [sentence(draw, chinese=chinese) for _ in range(count)]
        others += near.add(sketch_of(" ".join(text)))
        place = draw.randrange(count)
        edited, other = text.copy(), text.copy()
        edited[place] = text[place][:-8] + "1859" + text[place][-4:]
        other[place] = sentence(draw, chinese=chinese)
        found += near.add(sketch_of(" ".join(edited)))
        changed += near.add(sketch_of(" ".join(other)))
    assert (found, others) == (60, 0)
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
def test_what_is_nearly_the_same_is_found(near: NearDuplicates, text: str, other: str) -> None:
    assert not near.add(sketch_of(text))
    assert near.add(sketch_of(other))
    assert not near.add(sketch_of("quite another text that has nothing in common with it"))
    assert not near.add(sketch_of("…!?"))


def test_a_long_text_is_like_itself_wherever_it_is_cut(near: NearDuplicates) -> None:
    draw = random.Random(0)
    text = " ".join(sentence(draw, chinese=False) for _ in range(4000))
    assert not near.add(sketch_of(text))
    assert near.add(sketch_of("   " + text.replace(". ", ".\n\n") + sentence(draw, chinese=False)))
