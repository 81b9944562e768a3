"""Every family by name. A family's module is imported only when it is asked for: no torch before."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from langue.base.config import Config, nearest
from langue.base.errors import LangueError
from langue.models.protocol import Causal, Vocabulary
from langue.tokens.batches import Batches, BatchSource
from langue.tokens.store import Split, TokenStore

# A module here defines `FAMILY`.
MODULES = {
    "ngram": "langue.models.ngram",
    "markov": "langue.models.markov",
    "infinigram": "langue.models.infinigram",
    "gpt2": "langue.models.gpt2",
}


def packed(
    split: Split, vocabulary: Vocabulary, config: Config, rows: int, context: int, seed: int
) -> BatchSource:
    """Batches of documents packed into rows that stand alone: what most families train on."""
    return Batches(split, rows=rows, context=context, eos=vocabulary.eos, seed=seed)


@dataclass(frozen=True, kw_only=True)
class Family:
    """One kind of model: its settings, how it comes to be, and how it is read back.

    A family estimated by `counts` (or `em`) has `fit`, which reads a store and returns a model. One
    estimated by `gradient` has `create`, which returns a `torch.nn.Module` with random weights; see
    `models/protocol.py: Trainable` for what the trainer asks of it.
    """

    name: str
    summary: str  # one line for help and model cards
    config: type[Config]
    estimated_by: Literal["counts", "em", "gradient"]
    load: Callable[[Path, Any, Vocabulary], Causal]  # (folder, config, vocabulary)
    fit: Callable[[Any, TokenStore], Causal] | None = None
    create: Callable[[Any, Vocabulary, int], Any] | None = None  # (config, vocabulary, seed) -> Trainable
    batches: Callable[[Split, Vocabulary, Any, int, int, int], BatchSource] = packed


def family(name: str) -> Family:
    """The family of that name.

    Raises:
        LangueError: there is none; the nearest is named.
    """
    if name not in MODULES:
        raise LangueError(f"unknown family {name}{nearest(name, list(MODULES))}")
    found = importlib.import_module(MODULES[name]).FAMILY
    assert isinstance(found, Family)
    return found
