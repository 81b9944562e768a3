"""How a corpus is read: the `[data]` section of a recipe."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import msgspec

from langue.base.bounds import Fraction
from langue.base.config import Config
from langue.corpus.normalize import Normalization

DOCUMENTS = ("auto", "file", "line", "blank-line", "form-feed")


class DataConfig(Config, frozen=True):
    """What a document is, what is dropped, and how documents are split."""

    RENAMED: ClassVar[Mapping[str, str]] = {
        "valid_share": "valid_fraction",
        "test_share": "test_fraction",
        "normalisation": "normalization",
    }

    # auto: records for JSON lines and Parquet; for text, see `langue.corpus.read.resolve`
    documents: Literal["auto", "file", "line", "blank-line", "form-feed"] = "auto"
    # Of records; None is "text", as data sets on model hubs call it. A name is an error in a file without.
    text_field: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    invalid: Literal["error", "skip", "replace"] = "error"  # a wrong encoding should not pass unseen
    # auto: kept where documents are lines or the split is given by files, so that published set-ups
    # come out exactly; dropped elsewhere, so that no model is praised for what it has seen
    duplicates: Literal["auto", "keep", "drop"] = "auto"
    near_duplicates: Literal["auto", "count", "drop", "ignore"] = (
        "auto"  # auto: counted where exact ones drop
    )
    valid_fraction: Fraction = 0.05  # of documents; enough for an interval on a megabyte of text
    test_fraction: Fraction = 0.05
    seed: int = 0  # of the split
    normalization: Normalization = Normalization()

    def check(self) -> None:
        if self.valid_fraction + self.test_fraction >= 1:
            raise ValueError(
                "valid_fraction and test_fraction leave nothing to train on; keep their sum below 1"
            )
