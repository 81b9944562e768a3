"""Ranking models, and saying which differences are real."""

import json
from pathlib import Path

import pytest

import langue
from langue.base.errors import LangueError
from langue.tokens.store import TokenStore


def test_ranks_by_bits_and_tells_what_is_real(small_models: dict[str, Path], small_store: Path) -> None:
    found = langue.compare(list(small_models.values()), on=small_store)
    names = [row.evaluation.name for row in found.rows]
    assert names.index("trigram") < names.index("unigram")
    each = [langue.evaluate(small_models[name], small_store).bits_per_byte for name in names]
    assert [row.evaluation.bits_per_byte for row in found.rows] == pytest.approx(each)
    assert each == sorted(each)  # type: ignore[type-var]
    facts = json.loads(json.dumps(found.to_json(), allow_nan=False))
    for row in facts["models"]:
        assert {"bits_per_byte_interval", "perplexity", "disk_bytes", "training_seconds"} <= set(row)
        assert "ngrams" in row["size"] or "parameters" in row["size"]
        assert row["scoring_tokens_per_second"] > 0
    table = str(found)
    assert all(name in table for name in names)
    assert "is better than" in table


def test_a_model_against_itself_cannot_be_told(small_models: dict[str, Path], small_store: Path) -> None:
    found = langue.compare([small_models["trigram"], small_models["trigram"]], on=small_store)
    assert not found.differences[0].real
    assert "can't tell" in str(found)


@pytest.fixture(scope="module")
def tokenizers(small_text: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """A store of the same documents by each of three tokenizers, and a bigram trained on it."""
    folder = tmp_path_factory.mktemp("tokenizers")
    for kind in ("bytes", "chars", "bpe"):
        settings = {"documents": "blank-line", "valid_fraction": 0.1, "test_fraction": 0.1, "vocabulary": 900}
        langue.prepare(small_text, folder / f"s-{kind}", kind=kind, **settings)
        langue.train("ngram", folder / f"s-{kind}", folder / kind, order=2)
    return {kind: (folder / f"s-{kind}", folder / kind) for kind in ("bytes", "chars", "bpe")}


def test_models_of_any_tokenizers_compare_on_a_text(
    tokenizers: dict[str, tuple[Path, Path]], tmp_path: Path
) -> None:
    """Each row is what `evaluate` says of that file, and each difference has its interval."""
    text = tmp_path / "text.txt"
    text.write_text("The king is dead.\n\n第一回 天下大势\n\nLong live the queen!\n", encoding="utf-8")
    models = [model for _, model in tokenizers.values()]
    comparison = langue.compare(models, on=text)
    for row in comparison.rows:
        alone = langue.evaluate(tokenizers[row.evaluation.name][1], text).to_json()
        ignored = ("seconds",)
        assert {k: v for k, v in row.evaluation.to_json().items() if k not in ignored} == {
            k: v for k, v in alone.items() if k not in ignored
        }
    assert {row.evaluation.to_json()["bytes"] for row in comparison.rows} == {17 + 22 + 20}
    assert all(difference.interval for difference in comparison.differences)
    assert "documents = blank-line" in str(comparison)  # as all three were trained
    assert "ppl/token compares models of one tokenizer alone" in str(comparison)


def test_models_of_any_tokenizers_compare_alike_on_each_store(
    tokenizers: dict[str, tuple[Path, Path]],
) -> None:
    models = [model for _, model in tokenizers.values()]
    figures = [
        {row.evaluation.name: row.evaluation.total_bits for row in langue.compare(models, on=store).rows}
        for store, _ in tokenizers.values()
    ]
    for other in figures[1:]:
        assert other == pytest.approx(figures[0], rel=1e-6)


def test_a_text_gives_the_figures_of_the_store_of_its_documents(
    tokenizers: dict[str, tuple[Path, Path]], tmp_path: Path
) -> None:
    store, model = tokenizers["chars"]
    text = tmp_path / "test.txt"
    held = TokenStore(store)
    tokenizer = langue.load(model).tokenizer
    documents = [tokenizer.decode(ids[:-1]) for ids in held.split("test").documents()]
    text.write_text("\n\n".join(documents), encoding="utf-8")
    stored, read = langue.evaluate(model, store), langue.evaluate(model, text)
    assert read.scores.bytes.tolist() == stored.scores.bytes.tolist()
    assert read.scores.bits == pytest.approx(stored.scores.bits, rel=1e-6)


def test_a_model_without_probabilities_stands_below_the_others(
    small_models: dict[str, Path], small_store: Path, tmp_path: Path
) -> None:
    langue.train("ngram", small_store, tmp_path / "stupid", smoothing="stupid-backoff")
    comparison = langue.compare([tmp_path / "stupid", small_models["trigram"]], on=small_store)
    assert [row.evaluation.name for row in comparison.rows] == ["trigram", "stupid"]
    assert comparison.differences == []
    assert "stupid has no bits/byte" in str(comparison)
    json.dumps(comparison.to_json(), allow_nan=False)


def test_a_closed_vocabulary_compares_with_its_own_kind_alone(
    small_text: Path, small_models: dict[str, Path], tmp_path: Path
) -> None:
    store = tmp_path / "store"
    langue.prepare(small_text, store, kind="whitespace", documents="blank-line")
    for order in (1, 2):
        langue.train("ngram", store, tmp_path / str(order), order=order)
    models = [tmp_path / "1", small_models["trigram"], tmp_path / "2"]
    with pytest.raises(LangueError, match="closed vocabulary"):
        langue.compare(models, on=store)
    comparison = langue.compare(models, on=small_text)
    assert [row.evaluation.name for row in comparison.rows] == ["trigram", "2", "1"]
    assert len(comparison.differences) == 1


def test_the_json_keeps_bytes_and_sizes_apart(small_models: dict[str, Path], small_store: Path) -> None:
    (row,) = langue.compare([small_models["trigram"]], on=small_store).to_json()["models"]
    alone = langue.evaluate(small_models["trigram"], small_store).to_json()
    assert (row["bytes"], row["tokens"]) == (alone["bytes"], alone["tokens"])
    assert row["size"]["bytes"] != alone["bytes"]


def test_what_cannot_be_compared_is_refused(
    small_models: dict[str, Path], small_store: Path, small_text: Path
) -> None:
    with pytest.raises(LangueError, match="nothing to compare"):
        langue.compare([], on=small_store)
    with pytest.raises(LangueError, match="a list of models, not one"):
        langue.compare(str(small_models["trigram"]), on=small_store)
    with pytest.raises(LangueError, match="measured on alone"):
        langue.compare([small_models["trigram"]], on=[small_store, small_text])
    with pytest.raises(LangueError, match="leave documents out"):
        langue.compare([small_models["trigram"]], on=small_store, documents="line")
    with pytest.raises(LangueError, match="did you mean blank-line"):
        langue.compare([small_models["trigram"]], on=small_text, documents="blank-lines")
