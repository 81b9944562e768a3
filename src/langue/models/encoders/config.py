"""The settings that every encoder has: its shape, and what is hidden from it."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, NamedTuple

import msgspec

from langue.base.bounds import Fraction, Layers, NonNegativeInt, Tokens
from langue.base.config import Config
from langue.protocols import Vocabulary
from langue.tokens.masked_batch import SentencePairs, Specials
from langue.tokens.masking import Masking

# size → layers, width, heads, context; "base" is the BERT of 110 million parameters
SIZES = {"tiny": (4, 256, 4, 128), "small": (6, 384, 6, 256), "base": (12, 768, 12, 512)}


class Shape(NamedTuple):
    layers: int
    width: int
    heads: int
    context: int


class MaskedConfig(Config, frozen=True):
    """What every encoder has: one dial, the numbers behind it (0 takes what the size says), and the task."""

    RENAMED: ClassVar[Mapping[str, str]] = {
        "start": "init_from",
        "inner": "d_ff",
        "unit": "masking",
        "masked": "mlm_probability",
        "pairs": "sentence_pairs",
        "headless": "no_mlm_head",
        "vocabulary_rows": "padded_vocab_size",
    }
    RENAMED_VALUES: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "sentence_pairs": {"next": "next_sentence", "order": "sentence_order"}
    }

    init_from: str = ""  # what it was initialized from: a model folder, or what langue imports
    size: Literal["tiny", "small", "base"] = "tiny"  # learns a megabyte in minutes on two cores
    layers: Layers = 0
    width: NonNegativeInt = 0
    heads: NonNegativeInt = 0
    context: Tokens = 0
    d_ff: NonNegativeInt = 0  # width within a feed-forward layer; 0: four times the width
    dropout: Fraction = 0.0  # 0.1 helps after many epochs
    masking: Masking = "whole-word"  # what is hidden at a time: a part of a word gives the rest away
    mlm_probability: Annotated[float, msgspec.Meta(gt=0.0, lt=1.0)] = 0.15  # share of the tokens
    sentence_pairs: SentencePairs = "none"  # a second task (pieces of text, how they relate)
    packed: bool = True  # false: rectangular batches with padding, the same figures more slowly
    special_ids: tuple[int, ...] = ()  # [CLS], [SEP], [MASK]; none: after the text
    pooler: bool = False  # it keeps an imported pooler of [CLS], without a task on pairs
    no_mlm_head: bool = False  # imported without a head: it predicts no hidden tokens before it is trained
    padded_vocab_size: NonNegativeInt = 0  # of the embedding; 0: text and special ids

    def check(self) -> None:
        shape = self.shape
        if shape.width % shape.heads:
            raise ValueError(f"width {shape.width} is not a multiple of heads {shape.heads}")
        if shape.context < 8:
            raise ValueError(f"context {shape.context} is too short: 8 at least")
        if len(self.special_ids) not in (0, 3):
            raise ValueError("special_ids are three: [CLS], [SEP], [MASK]")

    @property
    def pooled(self) -> bool:
        """Whether there is a layer over the state of `[CLS]`."""
        return self.pooler or self.sentence_pairs != "none"

    @property
    def shape(self) -> Shape:
        given = (self.layers, self.width, self.heads, self.context)
        return Shape(*(own or default for own, default in zip(given, SIZES[self.size], strict=True)))

    def specials(self, vocabulary: Vocabulary) -> Specials:
        return Specials(*(self.special_ids or range(vocabulary.size, vocabulary.size + 3)))

    def rows(self, vocabulary: Vocabulary) -> int:
        """Ids the model knows."""
        return self.padded_vocab_size or max(vocabulary.size, *(id + 1 for id in self.specials(vocabulary)))
