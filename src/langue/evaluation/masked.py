"""How well an encoder predicts what is hidden from it, on held-out documents.

A share of the words of every document is hidden, always the same ones, each behind `[MASK]`. The
figures are told per hidden token and per byte of the hidden tokens, with intervals by the bootstrap
over documents. They are conditional on both sides of the gap, so they compare encoders on the same
text and nothing else; a model that reads from left to right is measured in bits per byte.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from langue.base.arrays import Array, Float64Array, Ids
from langue.base.errors import LangueError
from langue.base.progress import bar
from langue.base.seeds import generator
from langue.base.wording import counted
from langue.evaluation.bootstrap import Ratio, ratio
from langue.evaluation.checks import Check, check_masked
from langue.evaluation.documents import Documents, split_of
from langue.evaluation.pseudo import pseudo_log_probs
from langue.evaluation.replaced import Judged, ReplacedFigures, figures, judge
from langue.models.folder import ModelFolder
from langue.protocols import Discriminating, Masked
from langue.tokens.boundaries import Boundaries
from langue.tokens.masked import SentencePairBatches, add_special_tokens, can_pair, chunks
from langue.tokens.masking import NONE, mask
from langue.tokens.store import Split
from langue.tokens.tokenizer import Tokenizer

SHARE = 0.15  # of the tokens of a document are hidden, as in training
CHUNK_SEQUENCES = 64  # sequences read at a time
PSEUDO_TOKENS = 2_000  # each is a sequence to read: seconds for a small model, where the split has more
PAIRS = 500  # enough for an interval of ± 4 %
WHY_NOT = (
    "none: an encoder sees what comes after a token, so what it says of the tokens of a text does not "
    "multiply to a probability of the text; do not set these figures beside bits per byte"
)


class PairFigures(NamedTuple):
    """How often a model tells how two passages relate."""

    accuracy: Ratio
    f1: float  # of finding those that do not follow one another, or are swapped


@dataclass(frozen=True)
class MaskedEvaluation:
    """An encoder measured on documents."""

    name: str
    accuracy: Ratio  # share of the hidden tokens whose likeliest guess is right
    bits_per_token: Ratio  # of the hidden tokens
    bits_per_byte: Ratio  # the same bits by the bytes of the hidden tokens
    pseudo_bits_per_byte: Ratio  # of the first documents, each token hidden in turn
    pseudo_tokens: int
    pairs: PairFigures | None  # None: the model was not trained on pairs, or the text has none
    replaced: ReplacedFigures | None  # None: it has no discriminator
    documents: int
    hidden: int  # tokens
    tokens: int
    window: int
    seconds: float
    checks: list[Check] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        return {
            "model": self.name,
            "bits_per_byte": None,
            "masked_accuracy": self.accuracy.to_json(),
            "masked_bits_per_token": self.bits_per_token.to_json(),
            "masked_bits_per_byte": self.bits_per_byte.to_json(),
            "pseudo_bits_per_byte": self.pseudo_bits_per_byte.to_json(),
            "pseudo_tokens": self.pseudo_tokens,
            "pair_accuracy": self.pairs.accuracy.to_json() if self.pairs else None,
            "pair_f1": self.pairs.f1 if self.pairs else None,
            "replaced": self.replaced.to_json() if self.replaced else None,
            "documents": self.documents,
            "tokens": self.tokens,
            "hidden_tokens": self.hidden,
            "window": self.window,
            "seconds": round(self.seconds, 3),
            "checks": [check._asdict() for check in self.checks],
        }

    def __str__(self) -> str:
        lines = [
            f"masked accuracy  {self.accuracy}",
            f"masked bits      {self.bits_per_token}  a hidden token",
            f"                 {self.bits_per_byte}  a byte of the hidden tokens",
            f"pseudo-bits      {self.pseudo_bits_per_byte}  a byte, each token of the first "
            f"{self.pseudo_tokens:,} hidden in turn",
        ]
        if self.pairs:
            lines.append(f"pair accuracy    {self.pairs.accuracy}, F1 {self.pairs.f1:.4f}")
        if self.replaced:
            lines.append(f"told replaced    {self.replaced}")
        lines += [
            f"measured on      {counted(self.documents, 'document')}, {self.tokens:,} tokens, "
            f"{self.hidden:,} of them hidden in whole words, the same for every model of this tokenizer",
            f"window           {self.window} tokens",
            f"bits per byte    {WHY_NOT}",
        ]
        lines += [check.line() for check in self.checks]
        return "\n".join(lines)


class _Document(NamedTuple):
    right: int
    bits: float
    hidden: int
    bytes: int


def evaluate_masked(
    folder: ModelFolder[Masked], documents: Documents, *, check: bool = False
) -> MaskedEvaluation:
    """Measure an encoder on documents.

    Raises:
        LangueError: there are none.
    """
    split = split_of(documents, folder)
    split = replace(split, folder=split.folder or folder.path)  # whose tokenizer is that of its ids
    return _evaluation(folder, split, folder.tokenizer, check=check)


def _evaluation(
    loaded: ModelFolder[Any], split: Split, tokenizer: Tokenizer, *, check: bool
) -> MaskedEvaluation:
    model = loaded.model
    boundaries = Boundaries(tokenizer)
    started = time.perf_counter()
    with bar("scoring", total=len(split)) as progress:
        documents = list(_documents(model, split, tokenizer, boundaries, progress.advance))
    if not documents:
        raise LangueError(f"the {split.name} split holds no text: there is nothing to measure on")
    right, bits, hidden, sizes = (np.array(column) for column in zip(*documents, strict=True))
    pseudo, pseudo_tokens = _pseudo(model, split, tokenizer, boundaries)
    texts = [split.document(index)[:-1] for index in range(min(len(split), 8))]
    return MaskedEvaluation(
        name=loaded.path.name,
        accuracy=ratio(right, hidden),
        bits_per_token=ratio(bits, hidden),
        bits_per_byte=ratio(bits, sizes),
        pseudo_bits_per_byte=pseudo,
        pseudo_tokens=pseudo_tokens,
        pairs=_pairs(loaded, split),
        replaced=_replaced(model, split, boundaries),
        documents=len(documents),
        hidden=int(hidden.sum()),
        tokens=len(split.tokens) - len(split),
        window=model.window,
        seconds=time.perf_counter() - started,
        checks=check_masked(model, texts) if check else [],
    )


def _documents(
    model: Masked,
    split: Split,
    tokenizer: Tokenizer,
    boundaries: Boundaries,
    advance: Callable[[float], None],
) -> Iterator[_Document]:
    """What becomes of each document that has a token to hide."""
    lengths = np.array([len(tokenizer.token_bytes(id)) for id in range(tokenizer.vocab_size)])
    for first in range(0, len(split), CHUNK_SEQUENCES):
        some = range(first, min(first + CHUNK_SEQUENCES, len(split)))
        hidden = [_hide(model, split.document(index)[:-1], boundaries, index) for index in some]
        read = [(inputs, targets) for document in hidden for inputs, targets in document]
        positions = [np.flatnonzero(targets != NONE) for _, targets in read]
        rows = iter(model.masked_log_probs([inputs for inputs, _ in read], positions))
        for document in hidden:
            scored = [(next(rows), targets[targets != NONE]) for _, targets in document]
            labels = np.concatenate([targets for _, targets in scored]) if scored else np.empty(0, np.int64)
            if len(labels):
                yield _Document(
                    right=sum(int((row.argmax(-1) == targets).sum()) for row, targets in scored),
                    bits=-sum(float(_at(row, targets).sum()) for row, targets in scored) / math.log(2),
                    hidden=len(labels),
                    bytes=int(lengths[labels].sum()),
                )
        advance(len(some))


def _replaced(model: Masked, split: Split, boundaries: Boundaries) -> ReplacedFigures | None:
    """Figures of the discriminator, where the model has one."""
    if not isinstance(model, Discriminating):
        return None
    judged: list[Judged] = []
    for first in range(0, len(split), CHUNK_SEQUENCES):
        some = range(first, min(first + CHUNK_SEQUENCES, len(split)))
        hidden = [_hide(model, split.document(index)[:-1], boundaries, index) for index in some]
        judged += judge(model, hidden, first)
    return figures(judged)


def _at(rows: Array, targets: Ids) -> Float64Array:
    log_probs: Float64Array = rows[np.arange(len(targets)), targets].astype(np.float64)
    return log_probs


def _hide(model: Masked, ids: Ids, boundaries: Boundaries, index: int) -> list[tuple[Ids, Ids]]:
    """A document in pieces that fit the window, each with its words hidden, and their labels."""
    draw = generator(0, "evaluation", index)
    hidden = []
    begins = boundaries.words(ids)
    for piece, words in zip(chunks(ids, model.window), chunks(begins, model.window), strict=True):
        row = add_special_tokens(piece, model.specials)[None]
        ordinary = np.ones_like(row, np.bool_)
        ordinary[0, [0, -1]] = False
        inputs, targets = mask(
            row,
            ordinary,
            np.pad(words, 1)[None],
            masking="whole-word",
            mlm_probability=SHARE,
            mask_id=model.specials.mask,
            alphabet=row[0],  # nothing is read as a random token
            draw=draw,
            replace_probs=(1.0, 0.0),
        )
        hidden.append((inputs[0], targets[0]))
    return hidden


def _pseudo(model: Masked, split: Split, tokenizer: Tokenizer, boundaries: Boundaries) -> tuple[Ratio, int]:
    """Pseudo-bits per byte of the first documents, and their tokens."""
    bits: list[float] = []
    sizes: list[int] = []
    tokens = 0
    for ids in split.documents():
        text = ids[: min(len(ids) - 1, PSEUDO_TOKENS - tokens)]
        if len(text):
            bits.append(-float(pseudo_log_probs(model, boundaries, [text])[0].sum()) / math.log(2))
            sizes.append(len(tokenizer.decode_bytes(text)))
            tokens += len(text)
        if tokens == PSEUDO_TOKENS:
            break
    return ratio(np.array(bits), np.array(sizes)), tokens


def _pairs(loaded: ModelFolder[Masked], split: Split) -> PairFigures | None:
    """Figures on pairs made of the split, nothing of them hidden."""
    model = loaded.model
    if model.sentence_pairs == "none" or not can_pair(split, model.sentence_pairs):
        return None
    batches = SentencePairBatches(
        split,
        sentence_pairs=model.sentence_pairs,
        rows=1,
        context=model.window,
        eos=model.vocabulary.eos,
        specials=model.specials,
        masking="token",
        mlm_probability=SHARE,
        seed=0,
    )
    sequences, types, answers = batches.examples(PAIRS)
    guesses = np.concatenate(
        [
            model.pair_log_probs(
                sequences[first : first + CHUNK_SEQUENCES], types[first : first + CHUNK_SEQUENCES]
            ).argmax(-1)
            for first in range(0, len(sequences), CHUNK_SEQUENCES)
        ]
    )
    right = (guesses == answers).astype(np.int64)
    both = int((guesses & answers).sum())
    f1 = 2 * both / max(int(guesses.sum() + answers.sum()), 1)
    return PairFigures(ratio(right, np.ones_like(right)), f1)
