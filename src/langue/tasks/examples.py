"""Labeled examples as the trainer reads them: batch k is a pure function of (examples, seed, k)."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from langue.base.arrays import Int64Array
from langue.base.errors import LangueError
from langue.base.progress import log
from langue.base.seeds import derive, generator

POOL = 16  # batches whose examples are sorted by length
HELD_OUT = 0.1  # of the training file, where no validation file is given

E = TypeVar("E")


class ExampleBatch(NamedTuple):
    """A `TrainingBatch`: its rows are examples."""

    examples: Sequence[Any]
    targets: Sequence[int]  # of each

    @property
    def rows(self) -> int:
        return len(self.examples)

    @property
    def targets_count(self) -> int:
        return max(sum(self.targets), 1)

    def cut(self, begin: int, end: int) -> "ExampleBatch":
        return ExampleBatch(self.examples[begin:end], self.targets[begin:end])


class ExampleBatches(Generic[E]):
    """A `BatchSource`: every example once an epoch, in an order of its own.

    Args:
        targets, tokens: of an example.
        by_length: batches hold examples of like length: a recurrent network takes as many steps as the
            longest of a batch has.
        rows: examples of a batch, at most.
    """

    def __init__(
        self,
        examples: Sequence[E],
        targets: Callable[[E], int],
        tokens: Callable[[E], int],
        *,
        by_length: bool,
        rows: int,
        seed: int,
    ) -> None:
        self.examples = examples
        self.targets = [targets(example) for example in examples]
        self.lengths = [tokens(example) for example in examples]
        self.rows = min(rows, len(examples))
        self.context = max(round(sum(self.lengths) / len(examples)), 1)  # on average
        self.seed = seed
        self.by_length = by_length
        self._ordered = (0, order(self.lengths, self.rows, seed, 0, by_length=by_length))  # one epoch
        self.per_epoch = len(self._ordered[1])

    def batch(self, number: int) -> ExampleBatch:
        epoch, index = divmod(number, self.per_epoch)
        if epoch != self._ordered[0]:
            self._ordered = (
                epoch,
                order(self.lengths, self.rows, self.seed, epoch, by_length=self.by_length),
            )
        return self._batch(self._ordered[1][index].tolist())

    def first(self, rows: int) -> ExampleBatch:
        return self._batch(range(min(rows, len(self.examples))))

    def _batch(self, indices: Sequence[int]) -> ExampleBatch:
        return ExampleBatch(
            [self.examples[index] for index in indices], [self.targets[index] for index in indices]
        )


def order(lengths: Sequence[int], rows: int, seed: int, epoch: int, *, by_length: bool) -> list[Int64Array]:
    """The numbers of all examples in the order of an epoch, in batches of nearly equal size.

    Args:
        by_length: the examples of `POOL` batches are sorted by length, and the batches shuffled.
    """
    draw = generator(seed, "finetune", epoch)
    shuffled = draw.permutation(len(lengths))
    count = -(-len(lengths) // rows)
    if not by_length:
        return np.array_split(shuffled, count)
    batches: list[Int64Array] = []
    for pool in np.array_split(shuffled, -(-count // POOL)):
        sorted_pool = pool[np.argsort([lengths[index] for index in pool], kind="stable")]
        batches += np.array_split(sorted_pool, -(-len(pool) // rows))
    return [batches[index] for index in draw.permutation(len(batches))]


def held_out(
    examples: Sequence[E],
    text: Callable[[E], Sequence[Hashable]],
    where: str,
    labels: Callable[[E], Iterable[Hashable]] = lambda example: (),
) -> tuple[list[E], list[E]]:
    """The examples without a tenth of them, and that tenth: chosen by their text alone, so that copies
    stand on one side; but what alone has a label stays to be learned from.

    Raises:
        LangueError: there are too few to do so.
    """
    keys = [tuple(map(str, text(example))) for example in examples]
    held = {key for key in keys if derive(0, "held out", *key) % 1000 < 1000 * HELD_OUT}
    learned = {
        label
        for key, example in zip(keys, examples, strict=True)
        if key not in held
        for label in labels(example)
    }
    for key, example in zip(keys, examples, strict=True):
        if key in held and not learned.issuperset(labels(example)):
            held.remove(key)
            learned.update(labels(example))
    kept = [example for key, example in zip(keys, examples, strict=True) if key not in held]
    measured = [example for key, example in zip(keys, examples, strict=True) if key in held]
    if not kept or not measured:
        raise LangueError(f"{where} has too few examples to hold some out; give a validation file: --valid")
    return kept, measured


def warn_of_leaks(
    training: Sequence[E], measured: Mapping[str, Sequence[E]], text: Callable[[E], Sequence[Hashable]]
) -> None:
    """Say once, plainly, how many of the examples of other files also stand in the training file.

    Args:
        measured: by what they are measured for, `valid` or `test`.
        text: by which an example is told from its copies.
    """
    seen = {tuple(text(example)) for example in training}
    leaks = {
        split: sum(tuple(text(example)) in seen for example in examples)
        for split, examples in measured.items()
    }
    if any(leaks.values()):
        told = ", ".join(
            f"{count:,} of the {len(measured[split]):,} of {split}" for split, count in leaks.items() if count
        )
        log.warning("leak: examples that also stand in train: %s; figures on them flatter", told)
