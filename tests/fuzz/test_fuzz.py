"""A small campaign, seconds long; the whole one is `make fuzz`."""

from pathlib import Path

import pytest
from tests.fuzz.campaign import ARTEFACTS, DATA, campaign, changed, prepared
from tests.fuzz.edits import edit

FEW = 12  # edits of each kind
QUICK = ("ngram", "markov", "loglinear", "crf", "hmm-tagger", "store-words", "recipes")


def test_every_kind_of_artefact_is_edited() -> None:
    names = {artefact.folder for artefact in ARTEFACTS.values()}
    assert all(folder.is_dir() for folder in names)
    assert {path.name for path in (DATA / "stores").iterdir()} >= {
        artefact.name for artefact in ARTEFACTS.values() if artefact.kind == "store"
    }


@pytest.mark.parametrize("consistent", [False, True])
def test_an_edit_is_a_function_of_its_seed(tmp_path: Path, consistent: bool) -> None:
    said = []
    for name in ("one", "other"):
        folder = prepared(ARTEFACTS["markov"], tmp_path / name)
        said.append([edit(folder, seed, consistent=consistent) for seed in range(3)])
    assert said[0] == said[1]
    assert not changed(tmp_path / "one", tmp_path / "other")


def test_no_edit_crashes_hangs_or_goes_unseen() -> None:
    bad = [found for found in campaign(list(QUICK), FEW) if found.outcome not in ("fine", "refused")]
    assert not bad, "\n".join(map(str, bad))
