"""A corpus read by the stages of `langue.corpus.pipeline`, in memory's terms."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from langue.base.executors import InProcess
from langue.corpus.config import DataConfig
from langue.corpus.document import Document
from langue.corpus.ledger import Ledger
from langue.corpus.parts import RULE, RepeatRule, Row, read_part
from langue.corpus.pipeline import make_job, read_corpus, select
from langue.corpus.sources import Source

Kept = list[tuple[str, Document]]
AssignSplits = Callable[[Mapping[str, Sequence[Source]], DataConfig, Ledger], Kept]


@pytest.fixture
def assign_splits(tmp_path_factory: pytest.TempPathFactory) -> AssignSplits:
    """Every document that is kept, with its split."""

    def run(sources: Mapping[str, Sequence[Source]], config: DataConfig, ledger: Ledger) -> Kept:
        folder: Path = tmp_path_factory.mktemp("stages")
        read_corpus(folder, make_job(sources, config), InProcess())
        kept: Kept = []
        for name, facts, is_kept in select(folder, read_part(folder / RULE, RepeatRule), ledger):
            rows = read_part(folder / "texts" / name, list[Row])
            kept += [
                (fact.split, row.document)
                for fact, row, keep in zip(facts, rows, is_kept, strict=True)
                if keep
            ]
        return kept

    return run
