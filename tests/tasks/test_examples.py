"""Batches of labeled examples: every one once an epoch, of like length, and what is held out."""

import numpy as np
import pytest

from langue.base.errors import LangueError
from langue.tasks.examples import POOL, ExampleBatches, held_out, order


@pytest.mark.parametrize("examples", [1, 7, 64, 1000])
@pytest.mark.parametrize("by_length", [False, True])
def test_every_example_once_an_epoch_in_another_order(examples: int, by_length: bool) -> None:
    lengths = np.random.default_rng(0).integers(1, 50, examples).tolist()
    first, again, second = (order(lengths, 8, 3, epoch, by_length=by_length) for epoch in (0, 0, 1))
    assert sorted(np.concatenate(first).tolist()) == list(range(examples))
    assert [part.tolist() for part in first] == [part.tolist() for part in again]
    assert len(first) == len(second)
    assert max(len(part) for part in first) <= 8
    if examples > 8:
        assert [part.tolist() for part in first] != [part.tolist() for part in second]


def test_batches_by_length_hold_examples_of_like_length() -> None:
    lengths = np.random.default_rng(0).integers(1, 100, 8 * POOL * 3).tolist()

    def longest(*, by_length: bool) -> list[int]:
        batches = order(lengths, 8, 0, 0, by_length=by_length)
        return [max(lengths[index] for index in batch) for batch in batches]

    assert sum(longest(by_length=True)) < 0.7 * sum(longest(by_length=False))
    assert len({length // 10 for length in longest(by_length=True)[:20]}) > 3  # not in order


def test_a_batch_is_a_function_of_its_number_alone() -> None:
    def source() -> ExampleBatches[str]:
        return ExampleBatches(
            [letter * (1 + n % 7) for n, letter in enumerate("abcdefghijklmnopqrstuvwx")],
            lambda example: 2,
            len,
            by_length=True,
            rows=4,
            seed=1,
        )

    batches, other = source(), source()
    ahead = [batches.batch(number) for number in range(2 * batches.per_epoch)]
    assert [other.batch(number) for number in reversed(range(2 * other.per_epoch))] == ahead[::-1]
    epochs = ahead[: batches.per_epoch], ahead[batches.per_epoch :]
    for epoch in epochs:
        assert sorted(example[0] for batch in epoch for example in batch.examples) == list(
            "abcdefghijklmnopqrstuvwx"
        )
    assert epochs[0] != epochs[1]
    batch = ahead[0]
    assert (batch.rows, batch.targets_count) == (4, 8)
    assert batch.cut(1, 3).examples == batch.examples[1:3] and batch.cut(1, 3).targets_count == 4


def test_what_is_held_out_depends_on_the_text_alone() -> None:
    examples = [(f"text {number % 300}", number) for number in range(600)]
    kept, out = held_out(examples, lambda example: [example[0]], "file")
    assert 10 < len(out) < 100
    assert sorted(kept + out) == sorted(examples)
    assert not {text for text, _ in kept} & {text for text, _ in out}
    # What alone has a label is learned from, with its copies.
    labeled = [(f"text {number % 50}", str(number % 50)) for number in range(100)]
    kept_labels, out_labels = held_out(
        [*labeled, *((f"more {number}", str(number % 50)) for number in range(40))],
        lambda example: [example[0]],
        "file",
        lambda example: [example[1]],
    )
    assert {label for _, label in kept_labels} == {str(number) for number in range(50)}
    assert out_labels
    assert not {text for text, _ in kept_labels} & {text for text, _ in out_labels}
    assert held_out(kept + out, lambda example: [example[0]], "file") == (
        [example for example in kept + out if example in kept],
        [example for example in kept + out if example in out],
    )
    with pytest.raises(LangueError, match="file has too few examples"):
        held_out(examples[:1], lambda example: [example[0]], "file")
