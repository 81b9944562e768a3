"""The verbs of the command line as functions. Each imports what it needs when it runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langue.api.models import CausalModel, Model, PathLike, load
from langue.base.config import Config, decode, override
from langue.base.deprecated import warn_renamed
from langue.base.errors import InvalidSetting, LangueError, Unsupported
from langue.base.files import read_bytes
from langue.models.folder import DESCRIPTION, ModelFolder, describe
from langue.models.folder import load as load_folder
from langue.protocols import Classifier, Masked, Tagger
from langue.tokens.store import MANIFEST, TokenStore, read_manifest

if TYPE_CHECKING:
    from langue.evaluation.compare import Comparison
    from langue.evaluation.evaluate import Evaluation
    from langue.evaluation.gradients import Gradients
    from langue.evaluation.masked import MaskedEvaluation
    from langue.interop.formats import Export
    from langue.interop.kenlm import Query
    from langue.tasks.classification import ClassifierEvaluation
    from langue.tasks.evaluate import TaskEvaluation
    from langue.tasks.results import FinetuneResult
    from langue.tasks.tagging import TaggerEvaluation
    from langue.tokens.prepare import Report
    from langue.training.doctor import Finding
    from langue.training.estimate import Estimate
    from langue.training.recipe import Recipe


def finetune(
    model: PathLike,
    data: PathLike,
    output: PathLike,
    *,
    task: str = "classify",
    valid: PathLike | None = None,
    test: PathLike | None = None,
    assignments: Sequence[str] = (),
    overwrite: bool = False,
    resume: bool = False,
    **settings: Any,
) -> FinetuneResult:
    """Fine-tune an encoder on labeled data, and write the folder of the best classifier or tagger.

    Args:
        model: folder of a model that reads in both directions.
        data: `text<TAB>label`, or JSON lines with `text` and `label`; of pairs, two texts; for `tag` a
            labeled file as `train` takes.
        task: what has a label: `classify` a text, `pair` two texts together, `tag` each token of a sentence;
            or one that was registered (`langue.tasks.registry`).
        valid: chooses the epoch and the seed; without it, a tenth of `data` does.
        test: measured at the end; nothing is chosen by it.
        resume: go on from the last checkpoint of the run that was to make `output`, if there is one.
        settings: of `langue.tasks.task.FinetuneConfig`, `epochs=3`, for `tag` also those of
            `langue.tasks.tag.TagConfig` and `format`, `columns`.

    Raises:
        InvalidSetting: there is no such task.
        LangueError: a file is not of its format, or has a label that `data` has not.
        Interrupted: Ctrl-C or SIGTERM; a checkpoint, and the best model so far, were written.
    """
    from langue.tasks.finetune import finetune as run
    from langue.tasks.registry import task as lookup

    chosen_task = lookup(task)
    sections: dict[str, type[Config]] = {"finetune": chosen_task.settings}
    if chosen_task.data is not None:
        sections["data"] = chosen_task.data
    chosen = override({}, assignments, sections, settings)
    return run(
        load_folder(model).require(Masked),
        Path(data),
        Path(output),
        task=chosen_task,
        config=decode(chosen_task.settings, chosen.get("finetune", {}), "finetune"),
        layout=decode(chosen_task.data, chosen.get("data", {}), "data") if chosen_task.data else None,
        valid=Path(valid) if valid is not None else None,
        test=Path(test) if test is not None else None,
        overwrite=overwrite,
        resume=resume,
    )


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
    resolved = _resolved(recipe, data, assignments, settings)
    if resolved.family.makes is Tagger:
        from langue.tasks.tagging import train_tagger

        watch = Path(valid) if valid is not None else None
        train_tagger(resolved, Path(data), Path(output), valid=watch, overwrite=overwrite, resume=resume)
    elif valid is not None:
        raise LangueError(
            f"{resolved.family.name} is measured on the valid split of its store; leave --valid out"
        )
    elif resolved.family.name == "ngram" and Path(data).is_file():
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

    resolved = _resolved(recipe, store, assignments, settings)
    if resolved.family.makes is Tagger or resolved.training is None:
        raise LangueError(
            f"{resolved.family.name} is estimated by {resolved.family.estimated_by}, in one pass over the "
            "text: there is nothing to foretell"
        )
    return run(resolved, TokenStore(store))


def _resolved(
    recipe: PathLike, data: PathLike, assignments: Sequence[str], settings: Mapping[str, Any]
) -> Recipe:
    """A recipe for a model that is trained on `data`, initialized from another where it says so."""
    from langue.interop.init_from import InitFromSetting
    from langue.training.recipe import read_recipe

    setting = InitFromSetting(Path(data))
    resolved = read_recipe(str(recipe), assignments, settings, complete=setting.complete)
    return replace(resolved, initialize=setting.initialize if setting.path is not None else None)


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
) -> Evaluation | TaggerEvaluation | MaskedEvaluation | ClassifierEvaluation | TaskEvaluation:
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
    if isinstance(folder.model, Tagger | Classifier) or "task" in folder.description.recipe:
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
) -> TaggerEvaluation | ClassifierEvaluation | TaskEvaluation:
    """Measure a model of labeled data on a file."""
    if not isinstance(data, str | Path):
        raise InvalidSetting(f"{folder.path} is measured on one labeled file, not on several")
    if folder.family.makes not in (Tagger, Classifier):
        from langue.tasks.evaluate import evaluate_task, task_of

        return evaluate_task(folder, task_of(folder), Path(data))
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
    """Write the model of another maker as a model folder: an ARPA file, gzipped or not, or a folder of
    Hugging Face with a GPT-2, BERT, ALBERT or ELECTRA.

    Raises:
        LangueError: the file is missing, damaged or of no format that langue reads (what is wrong is named),
            or has a part that no model of langue has; the output is in the way.
    """
    from langue.interop.formats import import_model as run

    run(Path(path), Path(output), overwrite=overwrite)
    return load(output)


def export_model(
    model: PathLike, output: PathLike, *, format: str | None = None, overwrite: bool = False
) -> Export:
    """Write a model in a format that others read: an n-gram model as an ARPA file, gzipped if its name ends
    in `.gz`; a GPT-2, BERT, ALBERT, ELECTRA or classifier as a folder of Hugging Face.

    Args:
        format: its name, where several hold such a model.

    Raises:
        LangueError: no format holds such a model, or it has a part that the format has not; the output is in
            the way.
    """
    from langue.interop.formats import export_model as run

    return run(Path(model), Path(output), format=format, overwrite=overwrite)


def export_encoder(model: PathLike, output: PathLike, *, overwrite: bool = False) -> None:
    """The old name of `export_model`."""
    warn_renamed("export_encoder", "export_model")
    export_model(model, output, overwrite=overwrite)


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
        return read_manifest(path / MANIFEST)
    raise LangueError(f"{path} is neither a model folder ({DESCRIPTION}) nor a token store ({MANIFEST})")
