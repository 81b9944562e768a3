"""The verbs of the command line as functions. Each imports what it needs when it runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from langue.api.models import CausalModel, Model, PathLike, load
from langue.base.config import Config, decode, override
from langue.base.errors import InvalidSetting, LangueError, Unsupported
from langue.base.files import read_bytes, read_json
from langue.models.folder import DESCRIPTION, ModelFolder, describe
from langue.models.folder import load as load_folder
from langue.protocols import Classifier, Masked, Tagger
from langue.tokens.store import MANIFEST, TokenStore

if TYPE_CHECKING:
    from langue.evaluation.compare import Comparison
    from langue.evaluation.evaluate import Evaluation
    from langue.evaluation.gradients import Gradients
    from langue.evaluation.masked import MaskedEvaluation
    from langue.interop.kenlm import Query
    from langue.tasks.classification import ClassifierEvaluation
    from langue.tasks.finetune import Finetuned
    from langue.tasks.tagging import TaggerEvaluation
    from langue.tokens.prepare import Report
    from langue.training.doctor import Finding
    from langue.training.estimate import Estimate


def finetune(
    model: PathLike,
    data: PathLike,
    output: PathLike,
    *,
    task: Literal["classify", "pair", "tag"] = "classify",
    valid: PathLike | None = None,
    test: PathLike | None = None,
    assignments: Sequence[str] = (),
    overwrite: bool = False,
    **settings: Any,
) -> Finetuned:
    """Fine-tune an encoder on labeled texts, and write the folder of the best classifier or tagger.

    Args:
        model: folder of a model that reads in both directions.
        data: `text<TAB>label`, or JSON lines with `text` and `label`; of pairs, two texts; for `tag` a
            labeled file as `train` takes.
        valid: chooses the epoch and the seed; without it, a tenth of `data` does.
        test: measured at the end; nothing is chosen by it.
        settings: of `langue.tasks.finetune.FinetuneConfig`, `epochs=3`, for `tag` also those of
            `langue.tasks.finetune_tagger.TagConfig` and `format`, `columns`.

    Raises:
        LangueError: a file is not of its format, or has a label that `data` has not.
        Interrupted: Ctrl-C after an epoch; the best model so far was written.
    """
    from langue.corpus.tagged import TaggedConfig
    from langue.tasks.finetune import FinetuneConfig
    from langue.tasks.finetune import finetune as run
    from langue.tasks.finetune_tagger import TagConfig, finetune_tagger

    form = TagConfig if task == "tag" else FinetuneConfig
    sections: dict[str, type[Config]] = {"finetune": form} | ({"data": TaggedConfig} if task == "tag" else {})
    chosen = override({}, assignments, sections, settings)
    config = decode(form, chosen.get("finetune", {}), "finetune")
    files: dict[str, Any] = {
        "valid": Path(valid) if valid is not None else None,
        "test": Path(test) if test is not None else None,
    }
    given = (load_folder(model).require(Masked), Path(data), Path(output))
    if isinstance(config, TagConfig):
        layout = decode(TaggedConfig, chosen.get("data", {}), "data")
        return finetune_tagger(*given, config=config, layout=layout, **files, overwrite=overwrite)
    assert task != "tag"
    return run(*given, task=task, config=config, **files, overwrite=overwrite)


def train(
    recipe: PathLike,
    data: PathLike,
    output: PathLike,
    *,
    valid: PathLike | None = None,
    assignments: Sequence[str] = (),
    overwrite: bool = False,
    resume: bool = False,
    **settings: Any,
) -> Model[Any]:
    """Train a model and write its folder.

    Args:
        recipe: the name of a family (`"ngram"`, `"gpt2"`, `"crf"`) or of a recipe, or a TOML file.
        data: the token store a language model learns from, or the labeled file a tagger does; for
            `ngram` also a text file: a sentence a line, words between blanks.
        valid: labeled file that a finished tagger is measured on; of a neural one it chooses the epoch.
        assignments: settings as the command line writes them, `["training.minutes=3"]`.
        resume: go on from the last checkpoint of the run that was to make `output`, if there is one.
        settings: settings by name, `order=5`; a dotted name is passed as `**{"training.minutes": 3}`.

    Raises:
        LangueError: an unknown setting, data that does not open, an output folder in the way.
        Interrupted: Ctrl-C or SIGTERM; the message says what was saved.
    """
    from langue.training.recipe import read_recipe

    resolved = read_recipe(str(recipe), assignments, settings)
    if resolved.family.makes is Tagger:
        from langue.tasks.tagging import train_tagger

        if resume:
            raise LangueError(f"{resolved.family.name} keeps no checkpoints; train it again without --resume")
        held_out = Path(valid) if valid is not None else None
        train_tagger(resolved, Path(data), Path(output), valid=held_out, overwrite=overwrite)
        return load(output)
    if valid is not None:
        raise LangueError(
            f"{resolved.family.name} is measured on the valid split of its store; leave --valid out"
        )
    if resolved.family.name == "ngram" and Path(data).is_file():
        from langue.interop.convert import train_text

        train_text(resolved.model, Path(data), Path(output), overwrite=overwrite)
    else:
        from langue.training.train import train as run

        run(resolved, TokenStore(data), Path(output), overwrite=overwrite, resume=resume)
    return load(output)


def estimate(
    recipe: PathLike, store: PathLike, *, assignments: Sequence[str] = (), **settings: Any
) -> Estimate:
    """What `train` with these settings would take: parameters, memory, tokens, time. Writes nothing.

    Raises:
        LangueError: as `train`; the family is not trained by gradient.
    """
    from langue.training.estimate import estimate as run
    from langue.training.recipe import read_recipe

    resolved = read_recipe(str(recipe), assignments, settings)
    if resolved.training is None:
        raise LangueError(
            f"{resolved.family.name} is estimated by {resolved.family.estimated_by}, in one pass over the "
            "text: there is nothing to foretell"
        )
    return run(resolved, TokenStore(store))


def prepare(
    inputs: PathLike | Sequence[PathLike],
    output: PathLike,
    *,
    recipe: PathLike | None = None,
    assignments: Sequence[str] = (),
    valid: Sequence[PathLike] = (),
    test: Sequence[PathLike] = (),
    dropped: PathLike | None = None,
    overwrite: bool = False,
    **settings: Any,
) -> Report:
    """Read, clean, split and tokenize text into a store.

    Args:
        inputs: files, folders, or `-` for standard input.
        recipe: a TOML file whose `[data]` and `[tokenizer]` sections are the settings to start from.
        valid, test: files of those splits, where the split is given.
        dropped: JSON-lines file that receives every dropped document with its reason.
        settings: settings by name, `documents="line"`, `kind="words"`.

    Raises:
        LangueError: a file is missing, empty, binary or not UTF-8; too little text for a split.
    """
    from langue.tokens.prepare import prepare as run
    from langue.training.recipe import read_data

    data, tokenizer = read_data(recipe, assignments, settings)
    several = [inputs] if isinstance(inputs, str | Path) else inputs
    return run(
        [str(path) for path in several],
        Path(output),
        data=data,
        tokenizer=tokenizer,
        valid=[str(path) for path in valid],
        test=[str(path) for path in test],
        dropped=Path(dropped) if dropped is not None else None,
        overwrite=overwrite,
    )


def evaluate(
    model: PathLike | Model[Any],
    data: PathLike | Sequence[PathLike],
    *,
    split: str = "test",
    documents: str | None = None,
    check: bool = False,
) -> Evaluation | TaggerEvaluation | MaskedEvaluation | ClassifierEvaluation:
    """Measure a model: bits per byte with a 95 % interval, perplexities, and with `check` the self-tests.

    A tagger is measured in precision, recall and F1 instead; a model that reads in both directions on
    hidden tokens.

    Args:
        data: a token store, of which `split` is measured, or text files, of which all is; for a tagger or
            classifier, a labeled file. A store of another tokenizer is decoded and read anew.
        documents: how text files are cut into documents: "line", "blank-line", "form-feed", "file", "auto".
            None: as the text that the model was trained on.

    Raises:
        LangueError: there is nothing to measure on.
        Unsupported: the model's scores are no probabilities; self-tests of what has no scores of texts.
    """
    folder = load_folder(model) if isinstance(model, str | Path) else model.folder
    if isinstance(folder.model, Tagger | Classifier):
        if check:
            what = "tagger" if isinstance(folder.model, Tagger) else "classifier"
            raise Unsupported(f"{folder.path} is a {what}; the self-tests are of language models' scores")
        return _evaluate_labeled(folder, data)
    from langue.evaluation.documents import open_documents, usual_rule

    measured_on = open_documents(
        data, split=split, rule=documents, usual=usual_rule([folder.description.documents])
    )
    if isinstance(folder.model, Masked):
        from langue.evaluation.masked import evaluate_masked

        return evaluate_masked(folder, measured_on, check=check)
    from langue.evaluation.evaluate import evaluate as measure
    from langue.evaluation.scorer import ModelScorer

    evaluation = measure(ModelScorer(folder), measured_on, check=check)
    if not evaluation.scored:
        raise Unsupported(f"{folder.path}: {evaluation.reason}")
    return evaluation


def _evaluate_labeled(
    folder: ModelFolder[Any], data: PathLike | Sequence[PathLike]
) -> TaggerEvaluation | ClassifierEvaluation:
    """Measure a tagger or a classifier on a labeled file."""
    if not isinstance(data, str | Path):
        raise InvalidSetting(f"{folder.path} is measured on one labeled file, not on several")
    if isinstance(folder.model, Tagger):
        from langue.tasks.tagging import evaluate_tagger

        return evaluate_tagger(folder, Path(data))
    from langue.tasks.classification import evaluate_classifier

    return evaluate_classifier(folder, Path(data))


def query(model: PathLike, text: PathLike) -> Query:
    """Perplexity of a text as KenLM's `query` reports it: a sentence a line, words between blanks.

    Args:
        model: an n-gram model folder, or an ARPA file.

    Raises:
        LangueError: the text is missing or empty, or there is no n-gram model.
    """
    from langue.interop.kenlm import Model

    found = Model(model).query(read_bytes(Path(text)))
    if not found.tokens:
        raise LangueError(f"{text} is empty: there is nothing to measure on")
    return found


def gradients(
    model: PathLike | CausalModel, data: PathLike, *, split: str = "test", distance: int = 100
) -> Gradients:
    """`CausalModel.gradients` of a model or its folder."""
    causal = model if isinstance(model, CausalModel) else CausalModel.load(model)
    return causal.gradients(data, split=split, distance=distance)


def compare(
    models: Sequence[PathLike | Model[Any]],
    on: PathLike | Sequence[PathLike],
    *,
    split: str = "test",
    documents: str | None = None,
) -> Comparison:
    """Rank models of any tokenizers in bits per byte on the same documents; say which differences are real.

    Args:
        on: a token store, of which `split` is measured, or text files, of which all is.
        documents: how text files are cut into documents, for all models; None: as the texts they were trained
            on if those were cut alike, else as `langue prepare` cuts a file of its own.

    Raises:
        LangueError: there is nothing to compare, or nothing to measure on.
        Unsupported: a model gives no text a probability from left to right.
    """
    from langue.evaluation.compare import compare as run
    from langue.evaluation.documents import open_documents, usual_rule
    from langue.evaluation.scorer import ModelScorer

    if isinstance(models, str | Path | Model):
        raise InvalidSetting(f"models is to be a list of models, not one; write [{str(models)!r}]")
    scorers = [
        ModelScorer(model.folder if isinstance(model, Model) else load_folder(model)) for model in models
    ]
    usual = usual_rule([scorer.folder.description.documents for scorer in scorers])
    return run(scorers, open_documents(on, split=split, rule=documents, usual=usual))


def demo(
    output: PathLike = "demo", *, minutes: float = 1.5, overwrite: bool = False, show: bool = True
) -> dict[str, Any]:
    """Train and compare every family on the embedded English and Chinese text.

    Args:
        minutes: training time of each GPT-2.
        show: print tables and samples as they come.
    """
    from langue.api.demonstration import demo as run

    return run(Path(output), minutes=minutes, overwrite=overwrite, show=print if show else lambda text: None)


def import_model(path: PathLike, output: PathLike, *, overwrite: bool = False) -> Model[Any]:
    """Write the model of an ARPA file, gzipped or not, or of a folder of Hugging Face, as a model folder.

    Of Hugging Face, GPT-2, BERT and ALBERT are read.

    Raises:
        LangueError: the file is missing or damaged (the line is named); the output is in the way.
    """
    if Path(path).is_dir():
        from langue.interop.checkpoints import import_hf

        import_hf(Path(path), Path(output), overwrite=overwrite)
    else:
        from langue.interop.convert import import_arpa

        import_arpa(Path(path), Path(output), overwrite=overwrite)
    return load(output)


def export_model(model: PathLike, output: PathLike, *, overwrite: bool = False) -> int:
    """Write an n-gram model as an ARPA file, gzipped if its name ends in `.gz`, or a GPT-2 as a folder
    of Hugging Face; returns its n-grams or parameters.

    Raises:
        LangueError: no model of these families is there; the output is in the way.
    """
    if describe(Path(model)).family == "gpt2":
        from langue.interop.huggingface import export_gpt2

        return export_gpt2(Path(model), Path(output), overwrite=overwrite)
    from langue.interop.convert import export_arpa

    return export_arpa(Path(model), Path(output), overwrite=overwrite)


def export_encoder(model: PathLike, output: PathLike, *, overwrite: bool = False) -> None:
    """Write a BERT, ALBERT or the discriminator of a pair as a folder that `transformers` loads.

    Raises:
        LangueError: no such model is there, it has a part that they have not; the folder is in the way.
    """
    from langue.interop.checkpoints import export_hf

    export_hf(Path(model), Path(output), overwrite=overwrite)


def doctor(folder: PathLike = ".") -> Iterator[Finding]:
    """Look at the machine, a finding at a time; `folder` is where models would be written.

    Raises:
        LangueError: there is no such folder.
    """
    from langue.training.doctor import diagnose

    if not Path(folder).is_dir():
        raise LangueError(f"{folder} is no folder; name one that exists")
    return diagnose(Path(folder))


def info(path: PathLike) -> dict[str, Any]:
    """What a model folder or a token store says of itself."""
    path = Path(path)
    if (path / DESCRIPTION).is_file():
        import msgspec

        return dict(msgspec.to_builtins(describe(path)))
    if (path / MANIFEST).is_file():
        return dict(read_json(path / MANIFEST))
    raise LangueError(f"{path} is neither a model folder ({DESCRIPTION}) nor a token store ({MANIFEST})")
