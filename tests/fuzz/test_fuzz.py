"""A small campaign, seconds long; the whole one is `make fuzz`."""

import json
import shutil
from pathlib import Path

import pytest
from tests.fuzz.campaign import ARTEFACTS, DATA, campaign, changed, prepared
from tests.fuzz.edits import edit, make_right

import langue
from langue.base.errors import LangueError

FEW = 12  # edits of each kind
QUICK = ("ngram", "markov", "loglinear", "crf", "hmm-tagger", "store-words", "recipes")


def test_every_kind_of_artefact_is_edited() -> None:
    names = {artefact.folder for artefact in ARTEFACTS.values() if artefact.kind != "made"}
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


@pytest.mark.parametrize("kind", ["an id beyond all", "a token more"])
def test_a_tokenizer_that_is_not_the_models_is_refused(
    small_models: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    """Its hashes made right. The library would count up to such an id whenever it writes a tokenizer."""
    folder = shutil.copytree(small_models["trigram"], tmp_path / "model")
    path = folder / "tokenizer.json"
    table = json.loads(path.read_text())
    vocab = table["model"]["vocab"]
    vocab |= {"ab": 2**31} if kind == "an id beyond all" else {"no such token": len(vocab)}
    path.write_text(json.dumps(table))
    make_right(folder)
    with pytest.raises(LangueError, match=r"ids do not run|that of another model"):
        langue.CausalModel.load(folder).score("The king")


@pytest.mark.parametrize(("name", "value"), [("layers", 10**15), ("width", 10**12), ("d_ff", 10**15)])
def test_a_network_that_no_memory_holds_is_refused(
    small_models: dict[str, Path], tmp_path: Path, name: str, value: int
) -> None:
    """Layer by layer it would be built without end."""
    folder = shutil.copytree(small_models["gpt2"], tmp_path / "model")
    table = json.loads((folder / "model.json").read_text())
    table["config"][name] = value
    (folder / "model.json").write_text(json.dumps(table))
    make_right(folder)
    with pytest.raises(
        LangueError, match=r"layers: Expected `int` <= 1024|of more than any memory|has the shape"
    ):
        langue.CausalModel.load(folder)


def test_a_tokenizer_whose_unknown_word_is_none_of_its_words_is_refused(tmp_path: Path) -> None:
    folder = prepared(ARTEFACTS["store-whitespace"], tmp_path / "store")
    table = json.loads((folder / "tokenizer.json").read_text())
    table["model"]["unk_token"] = "x"
    (folder / "tokenizer.json").write_text(json.dumps(table))
    make_right(folder)
    with pytest.raises(LangueError, match=r"is not a tokenizer\.json: .*UNK"):
        langue.train("ngram", folder, tmp_path / "model", order=2).score("no such words")


@pytest.mark.parametrize(("part", "value"), [("report", -1), ("report", ["line"]), ("data", ["line"])])
def test_a_store_that_tells_no_rule_of_its_documents_is_refused(
    tmp_path: Path, part: str, value: object
) -> None:
    folder = prepared(ARTEFACTS["store-chars"], tmp_path / "store")
    table = json.loads((folder / "manifest.json").read_text())
    table[part]["documents"] = value
    (folder / "manifest.json").write_text(json.dumps(table))
    make_right(folder)
    with pytest.raises(LangueError, match="how its texts were cut"):
        langue.train("ngram", folder, tmp_path / "model", order=2)
