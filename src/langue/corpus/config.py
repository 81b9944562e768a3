"""How a corpus is read: the `[data]` section of a recipe."""

from collections.abc import Container, Mapping
from typing import Annotated, ClassVar, Literal

import msgspec

from langue.base.bounds import Fraction, Probability
from langue.base.config import Config
from langue.corpus.normalize import Normalization

DOCUMENTS = ("auto", "file", "line", "blank-line", "form-feed", "pairs", "summaries")
PAIRS = ("pairs", "summaries")  # of these, a source and a target each
# As data sets call them; the first that is there.
DOCUMENT_FIELDS = ("text", "document", "article", "dialogue")
SUMMARY_FIELDS = ("summary", "highlights", "abstract")


class DataConfig(Config, frozen=True):
    """What a document is, what is dropped, and how documents are split."""

    RENAMED: ClassVar[Mapping[str, str]] = {
        "valid_share": "valid_fraction",
        "test_share": "test_fraction",
        "normalisation": "normalization",
    }

    # auto: records for JSON lines and Parquet; for text, see `langue.corpus.read.resolve`. pairs: a source
    # and a target each, of records or between tabs; summaries: a document and its summary, a pair too
    documents: Literal["auto", "file", "line", "blank-line", "form-feed", "pairs", "summaries"] = "auto"
    # Of records; None is "text", as data sets on model hubs call it. A name is an error in a file without.
    text_field: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    source_field: Annotated[str, msgspec.Meta(min_length=1)] | None = None  # of pairs; None is "source"
    target_field: Annotated[str, msgspec.Meta(min_length=1)] | None = None  # of pairs; None is "target"
    # Make pairs of texts: the share of the sentences of each that become its target, those that share most
    # words with the rest (Zhang et al. 2020). 0: none. Some of them stay in the source, too, to be copied.
    gap_sentences: Fraction = 0.0
    gap_sentences_kept: Probability = 0.2
    invalid: Literal["error", "skip", "replace"] = "error"  # a wrong encoding should not pass unseen
    # auto: kept where documents are lines or pairs or the split is given by files, so that published set-ups
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
        if self.documents in PAIRS:
            if self.text_field is not None:
                raise ValueError("text_field is of single texts; of pairs, set source_field and target_field")
            if len(self.fields) < 2:
                raise ValueError("source_field and target_field are one field; a pair needs two")
            if self.gap_sentences:
                raise ValueError("gap_sentences makes pairs of texts, and these are pairs; leave it out")
        elif self.source_field is not None or self.target_field is not None:
            raise ValueError("source_field and target_field are of pairs; set documents to pairs, too")
        if self.valid_fraction + self.test_fraction >= 1:
            raise ValueError(
                "valid_fraction and test_fraction leave nothing to train on; keep their sum below 1"
            )

    @property
    def are_pairs(self) -> bool:
        """Whether what comes of it are pairs."""
        return self.documents in PAIRS or self.gap_sentences > 0

    @property
    def fields(self) -> dict[str, str]:
        """The fields of a record that are read, each with the option that names it."""
        if self.documents not in PAIRS:
            return {self.text_field or "text": "--text-field"}
        usual = ("source", "target") if self.documents == "pairs" else (DOCUMENT_FIELDS[0], SUMMARY_FIELDS[0])
        return {
            self.source_field or usual[0]: "--source-field",
            self.target_field or usual[1]: "--target-field",
        }

    def for_fields(self, there: Container[str]) -> "DataConfig":
        """The same for a file with some fields: of summaries, those that are called as is usual are named."""
        if self.documents != "summaries":
            return self
        source, target = (
            given or next((name for name in usual if name in there), None)
            for given, usual in ((self.source_field, DOCUMENT_FIELDS), (self.target_field, SUMMARY_FIELDS))
        )
        return msgspec.structs.replace(self, source_field=source, target_field=target)

    @property
    def named_field(self) -> str | None:
        """A field that was asked for by name, so that no file may go without."""
        return self.text_field or self.source_field or self.target_field
