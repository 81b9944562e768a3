"""Batches for masked language models: what is read, what is hidden, and which pieces belong together.

    MaskedBatches         documents packed into full rows, nothing padded (Liu et al. 2019, section 4.2)
    SentencePairBatches   `[CLS] A [SEP] B [SEP]`, packed: does B follow A (Devlin et al. 2019, appendix A.2),
                          or in which order do they stand (Lan et al. 2020, section 3.1)?

Like all batches, number k is a pure function of (store, shape, seed, k), its masks included.
"""

from collections.abc import Sequence

import numpy as np

from langue.base.arrays import Array, Ids, Int64Array
from langue.base.errors import LangueError
from langue.base.seeds import derive, generator
from langue.tokens.batches import permute
from langue.tokens.boundaries import Boundaries
from langue.tokens.masked_batch import EMPTY, MaskedBatch, SentencePairs, Specials
from langue.tokens.masking import MASKED, NONE, RANDOM, Masking, mask
from langue.tokens.store import TOKENIZER, Split
from langue.tokens.tokenizer import Tokenizer

SHORT = 0.1  # of the examples are shorter than there is room for (Devlin et al. 2019, appendix A.2)
SHORTEST_ROW = 64  # slots: attention takes little beside the products of so few
SHORTEST = 16  # slots of a row that a further example is worth
SHORTEST_PAIR = 5  # slots: two tokens, and [CLS] and [SEP] around them
ALIKE = 8  # passages of other documents looked at for one of several sentences, or of one, as the first is
TRIES = 100  # places looked at for text to pair, before giving up


def add_special_tokens(ids: Ids, specials: Specials) -> Int64Array:
    """A text as an encoder reads it: `[CLS] ids [SEP]`."""
    return np.concatenate([[specials.cls], ids, [specials.sep]]).astype(np.int64)


def chunks(ids: Array, window: int) -> list[Array]:
    """A text in the fewest parts of nearly equal length that fit a window, with special tokens."""
    return np.array_split(ids, max(-(-len(ids) // (window - 2)), 1))


def pack_examples(examples: Sequence[tuple[Array, Array]], context: int) -> MaskedBatch:
    """Examples, ids with special tokens and types of each, in as few rows as first fit finds, longest first.

    Rows are as long as the longest example, though not below `SHORTEST_ROW`: attention takes the square of
    their length. At the beginning of each example stands its number, in `pairs`.
    """
    order = sorted(range(len(examples)), key=lambda number: -len(examples[number][0]))
    context = min(context, max([SHORTEST_ROW, *(len(ids) for ids, _ in examples)]))
    used: list[int] = []
    taken = []  # number, row, slot
    for number in order:
        length = len(examples[number][0])
        row = next((row for row, slots in enumerate(used) if slots + length <= context), len(used))
        if row == len(used):
            used.append(0)
        taken.append((number, row, used[row]))
        used[row] += length
    shape = (len(used), max(used, default=0))
    batch = MaskedBatch._make((*(np.full(shape, value, np.int64) for value in EMPTY), 0.0))
    for number, row, slot in taken:
        ids, types = examples[number]
        here = slice(slot, slot + len(ids))
        batch.inputs[row, here], batch.types[row, here] = ids, types
        batch.positions[row, here] = np.arange(len(ids))
        batch.segments[row, here] = number
        batch.pairs[row, slot] = number
    return batch


class MaskedBatches:
    """Rows of the stream of all documents, each one `[CLS] tokens [SEP]`.

    A row that begins within a document begins with `[CLS]` all the same. Rows are visited once an
    epoch, in another order and with other edges in each.

    Args:
        rows, context: shape of a batch.
        masking, mlm_probability: what is hidden, and how much of it.
        replace_probs: shares of what is hidden that are read as `[MASK]` and as a random token.
    """

    def __init__(
        self,
        split: Split,
        *,
        rows: int,
        context: int,
        eos: int,
        specials: Specials,
        masking: Masking,
        mlm_probability: float,
        seed: int,
        replace_probs: tuple[float, float] = (MASKED, RANDOM),
    ) -> None:
        assert split.folder is not None
        self.split = split
        self.eos = eos
        self.specials = specials
        self.masking = masking
        self.mlm_probability = mlm_probability
        self.replace_probs = replace_probs
        self.seed = seed
        tokenizer = Tokenizer.load(split.folder / TOKENIZER)
        self.boundaries = Boundaries(tokenizer)
        self.alphabet = tokenizer.ordinary
        self.offsets = split.offsets.astype(np.int64) + np.arange(len(split.offsets))  # with [CLS]
        slots = int(self.offsets[-1])
        self.context = min(context, slots)
        self.total = max(slots // self.context - 1, 1)  # rows of an epoch; one is room for the edges
        self.rows = min(rows, self.total)
        self.per_epoch = max(self.total // self.rows, 1)

    def batch(self, number: int) -> MaskedBatch:
        return self._hide(self._batch(number), generator(self.seed, "mask", number))

    def first(self, rows: int) -> MaskedBatch:
        return self._hide(self._first(rows), generator(self.seed, "mask", "first"))

    def _batch(self, number: int) -> MaskedBatch:
        epoch, index = divmod(number, self.per_epoch)
        positions = np.arange(index * self.rows, (index + 1) * self.rows)
        order = permute(positions, self.total, derive(self.seed, "order", epoch))
        room = int(self.offsets[-1]) - self.total * self.context
        shift = int(generator(self.seed, "edges", epoch).integers(room + 1))
        return self._read(order * self.context + shift)

    def _first(self, rows: int) -> MaskedBatch:
        chosen = np.linspace(0, self.total - 1, min(rows, self.total)).astype(np.int64)
        return self._read(np.unique(chosen) * self.context)

    def _read(self, starts: Int64Array) -> MaskedBatch:
        """Whole rows, with nothing hidden yet."""
        slots = np.arange(self.context)
        positions = starts[:, None] + slots  # (rows, time)
        segments = np.searchsorted(self.offsets, positions, side="right") - 1
        within = positions - self.offsets[segments]  # 0 is the [CLS]
        tokens = self.split.tokens[np.maximum(positions - segments - 1, 0)].astype(np.int64)
        ids = np.where(tokens == self.eos, self.specials.sep, tokens)
        ids[(within == 0) | (slots == 0)] = self.specials.cls
        nothing = np.full_like(ids, NONE)
        return MaskedBatch(
            ids, nothing, np.minimum(within, slots), segments, np.zeros_like(ids), nothing, 0.0
        )

    def _hide(self, batch: MaskedBatch, draw: np.random.Generator) -> MaskedBatch:
        """The batch with some of its tokens hidden."""
        ids = batch.inputs
        words = (
            self.boundaries.words(ids.ravel()) if self.masking != "token" else np.zeros(ids.size, np.bool_)
        )
        inputs, targets = mask(
            ids,
            (batch.segments != NONE) & ~np.isin(ids, self.specials),
            words.reshape(ids.shape),
            masking=self.masking,
            mlm_probability=self.mlm_probability,
            mask_id=self.specials.mask,
            alphabet=self.alphabet,
            draw=draw,
            replace_probs=self.replace_probs,
        )
        pairs = int((batch.pairs != NONE).sum())
        weight = (targets != NONE).sum() / pairs if pairs else 0.0
        return batch._replace(inputs=inputs, targets=targets, pair_weight=float(weight))


def _half(length: int, draw: np.random.Generator) -> int:
    """Half of a length, that of an odd one rounded either way: else the shorter part would be the first."""
    return (length + int(draw.integers(2))) // 2


def _cut(passage: Int64Array, cuts: Int64Array, wanted: int) -> int:
    """Where to cut a passage so that about `wanted` tokens follow: between sentences, if it has several."""
    if len(cuts):
        return int(cuts[np.abs(len(passage) - wanted - cuts).argmin()])
    return min(max(len(passage) - wanted, 1), len(passage) - 1)


def can_pair(split: Split, sentence_pairs: SentencePairs) -> bool:
    """Whether there are texts of two tokens and more: two documents, or one if their order is asked; and
    slots for the shortest pair."""
    if len(split.tokens) + len(split) < SHORTEST_PAIR:
        return False
    texts = int((np.diff(split.offsets.astype(np.int64)) > 2).sum())
    return texts >= (2 if sentence_pairs == "next_sentence" else 1)


class SentencePairBatches(MaskedBatches):
    """Two passages and the question how they relate; every other time the answer is 1.

    Passages are runs of whole sentences that begin at a random place of the split. What fills its row
    alone with a single sentence is cut in the middle. A row takes examples until it is full, or too
    little of it is left.

    Args:
        sentence_pairs: "next_sentence": B is from another document, or follows A; "sentence_order": the two,
            swapped or not.

    Raises:
        LangueError: there are too few documents to take passages from.
    """

    def __init__(self, split: Split, *, sentence_pairs: SentencePairs, **shape: object) -> None:
        super().__init__(split, **shape)  # type: ignore[arg-type]
        self.sentence_pairs = sentence_pairs
        if self.context < SHORTEST_PAIR or not can_pair(split, sentence_pairs):
            raise LangueError(
                f"the {split.name} split has too few documents to make pairs of: two, or one if their order "
                f'is asked; set sentence_pairs = "none", or cut documents: langue prepare --documents'
            )

    def _batch(self, number: int) -> MaskedBatch:
        return self._rows(generator(self.seed, "pairs", number), self.rows)

    def _first(self, rows: int) -> MaskedBatch:
        return self._rows(generator(self.seed, "pairs", "first"), min(rows, self.total))

    def examples(self, count: int) -> tuple[list[Int64Array], list[Int64Array], Int64Array]:
        """Fixed pairs to measure on, nothing hidden: ids and types of each, and the answers."""
        draw = generator(self.seed, "examples")
        made = [self._example(self.context, draw) for _ in range(count)]
        return [ids for ids, _, _ in made], [types for _, types, _ in made], np.array([a for _, _, a in made])

    def _rows(self, draw: np.random.Generator, rows: int) -> MaskedBatch:
        batch = MaskedBatch._make((*(np.full((rows, self.context), value, np.int64) for value in EMPTY), 0.0))
        for row in range(rows):
            used = segment = 0
            while self.context - used >= min(SHORTEST, self.context):
                used += self._write(batch, row, used, segment, draw)
                segment += 1
        return batch

    def _write(
        self, batch: MaskedBatch, row: int, begin: int, segment: int, draw: np.random.Generator
    ) -> int:
        """Put an example into a row; how many slots it takes."""
        ids, types, answer = self._example(self.context - begin, draw)
        taken = slice(begin, begin + len(ids))
        batch.inputs[row, taken] = ids
        batch.positions[row, taken] = np.arange(len(ids))
        batch.segments[row, taken] = segment
        batch.types[row, taken] = types
        batch.pairs[row, begin] = answer
        return len(ids)

    def _example(self, room: int, draw: np.random.Generator) -> tuple[Int64Array, Int64Array, int]:
        """`[CLS] A [SEP] B [SEP]` in at most `room` slots, the types, and the answer."""
        first, second, answer = self._pair(room - 3, draw)
        cls, sep, _ = self.specials
        ids = np.r_[cls, first, sep, second, sep]
        return ids, (np.arange(len(ids)) >= len(first) + 2).astype(np.int64), answer

    def _pair(self, room: int, draw: np.random.Generator) -> tuple[Int64Array, Int64Array, int]:
        """A, B and the answer, of at most `room` tokens together."""
        if draw.random() < SHORT:
            room = int(draw.integers(2, room + 1))
        document, passage, cuts = self._passage(room, draw)
        if self.sentence_pairs == "next_sentence":
            first, *seconds = self._alike(document, passage, cuts, room, draw)
            answer = int(draw.integers(2))
            return first, seconds[answer], answer
        cut = int(draw.choice(cuts)) if len(cuts) else _half(len(passage), draw)
        parts = passage[:cut], passage[cut:]
        answer = int(draw.integers(2))
        return parts[answer], parts[1 - answer], answer

    def _alike(
        self, document: int, passage: Int64Array, cuts: Int64Array, room: int, draw: np.random.Generator
    ) -> tuple[Int64Array, Int64Array, Int64Array]:
        """A, the B that follows it, and a B of another document.

        Both passages are cut by one rule, and both B are of one length: so neither length nor edges tell
        which of them follows.
        """
        for _ in range(ALIKE):
            _, other, other_cuts = self._passage(room, draw, other_than=document)
            if (len(cuts) > 0) == (len(other_cuts) > 0):
                break
        shorter = min(len(passage), len(other))
        wanted = int(draw.integers(1, shorter)) if len(cuts) else _half(shorter, draw)
        begin, other_begin = _cut(passage, cuts, wanted), _cut(other, other_cuts, wanted)
        length = min(len(passage) - begin, len(other) - other_begin)
        return (
            passage[:begin],
            passage[begin : begin + length],
            other[other_begin : other_begin + length],
        )

    def _passage(
        self, room: int, draw: np.random.Generator, *, other_than: int = -1
    ) -> tuple[int, Int64Array, Int64Array]:
        """Sentences from a random place: their document, their tokens, where all but the first begin."""
        offsets = self.split.offsets
        for _ in range(TRIES):
            position = int(draw.integers(len(self.split.tokens)))
            document = int(np.searchsorted(offsets, np.uint64(position), side="right")) - 1
            begin, end = int(offsets[document]), int(offsets[document + 1]) - 1  # without its <eos>
            if document == other_than or end - begin < 2:
                continue
            if end - begin > room:  # else all of it
                begin = max(begin, min(position, end - room) - room)
            text = self.split.tokens[begin : begin + 3 * room].astype(np.int64)[: end - begin]
            starts = self.boundaries.sentences(text)
            start = int(starts[min(int(np.searchsorted(starts, position - begin)), len(starts) - 1)])
            if len(text) <= room or len(text) - start < 2:
                start = 0
            edges = np.r_[starts[starts > start], len(text)]
            inside = edges[edges - start <= room]
            whole = len(inside) > 0 and inside[-1] - start > 1  # sentences; else what fits of the first ones
            stop = int(inside[-1]) if whole else start + room
            return document, text[start:stop], inside[inside < stop] - start
        raise LangueError(
            f"the {self.split.name} split is nearly all documents too short to make pairs of; "
            f'set sentence_pairs = "none"'
        )
