"""Words and their ids, against Python's own splitting and dictionaries."""

import random
import re

import numpy as np

from langue.interop.words import Words, learn

BLANKS = rb"[\x00\t\n\v\f\r ]+"
START, STOP, UNKNOWN = 100_000, 100_001, 100_002


def random_text(seed: int, size: int) -> bytes:
    """Any bytes, among them letters below the space that are no blanks; words of every length."""
    letters = [bytes([value]) for value in range(1, 256)] + [b" "] * 40 + [b"\n"] * 8 + [b"a", b"b"] * 60
    return b"".join(random.Random(seed).choices(letters, k=size))


def lines_of(text: bytes) -> list[list[bytes]]:
    lines = text.split(b"\n")
    return [
        [word for word in re.split(BLANKS, line) if word] for line in lines[: -1 if not lines[-1] else None]
    ]


def test_ids_of_a_text() -> None:
    """Of texts that end anywhere, a line feed last or not, with words that the vocabulary has or lacks."""
    for seed in range(200):
        text = random_text(seed, seed * 3)
        lines = lines_of(text)
        kept = sorted(
            {word for line in lines for word in line if len(word) % 3} | {b"abcdefgh", b"abcdefghi"}
        )
        numbers = {word: id for id, word in enumerate(kept)}
        words = Words.of(kept)
        stream, begins = words.encode(
            np.frombuffer(text, np.uint8),
            unknown=UNKNOWN,
            start=START,
            stop=STOP,
            room=np.empty(900, np.uint32),
        )
        wanted = [[START, *(numbers.get(word, UNKNOWN) for word in line), STOP] for line in lines]
        assert stream.tolist() == [id for line in wanted for id in line]
        assert np.diff(begins).tolist() == [len(line) for line in wanted]
        assert all(words.id(word) == id for word, id in numbers.items())
        assert words.id(b"not there") == -1


def test_a_vocabulary_that_outgrows_its_table() -> None:
    """Words are numbered by first appearance, however often the table had to grow."""
    generator = np.random.default_rng(0)
    lines = [[b"%x" % word for word in line] for line in generator.integers(0, 60_000, (4_000, 20)) ** 2]
    text = b"".join(b" ".join(line) + b"\n" for line in lines)
    words, stream = learn(np.frombuffer(text, np.uint8), 0, [b"</s>"])
    numbers = {b"</s>": 0}
    for line in lines:
        for word in line:
            numbers.setdefault(word, len(numbers))
    assert len(words) == len(numbers) > 1 << 15
    assert [words[id] for id in range(len(words))] == list(numbers)
    wanted = [[len(words), *(numbers[word] for word in line), 0] for line in lines]
    assert stream.tolist() == [*(id for line in wanted for id in line), len(words)]
