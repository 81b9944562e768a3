"""How a text becomes the ids that a model reads: what a store and every model made from it have in common."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Keys of an earlier version, in the description of a store and of a model.
RENAMED_KEYS = {"normalisation": "normalization"}


@dataclass(frozen=True)
class Preprocessing:
    """A tokenizer, and what is done to a text before it."""

    tokenizer: Path  # a `tokenizer.json`
    fingerprint: str  # of the tokenizer
    normalization: dict[str, Any]  # `corpus.normalize.Normalization` as a table
    documents: str | None = None  # how a text was cut into documents: `corpus.config.DataConfig.documents`
