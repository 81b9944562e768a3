"""The verbs that train, as functions. Each imports what it needs when it runs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langue.api.models import Model, PathLike, load
from langue.api.settings import Setting, merge_sections, takes_assignments
from langue.base.arguments import check_path, check_path_or_none
from langue.base.config import Config, decode, override
from langue.base.errors import LangueError, Unsupported
from langue.base.extras import needs_torch
from langue.base.files import refuse_same
from langue.base.remote import local, made_there
from langue.base.urls import url_of
from langue.base.verified import verifying
from langue.corpus.sources import check_kept
from langue.models.folder import DESCRIPTION
from langue.models.folder import load as load_folder
from langue.models.registry import family_of
from langue.protocols import Masked, SentenceRanker, Tagger
from langue.tokens.store import TokenStore

if TYPE_CHECKING:
    from langue.base.executors import Distribution
    from langue.corpus.tagged import TaggedConfig
    from langue.models.family import Family
    from langue.tasks.results import FinetuneResult
    from langue.tasks.task import FinetuneConfig
    from langue.training.config import TaggerRunConfig, TrainingConfig
    from langue.training.estimate import Estimate
    from langue.training.recipe import Recipe


@takes_assignments
def finetune(
    model: PathLike,
    data: PathLike,
    output: PathLike,
    *,
    task: str = "classify",
    valid: PathLike | None = None,
    test: PathLike | None = None,
    training: FinetuneConfig | None = None,
    layout: Config | None = None,
    overwrite: bool = False,
    resume: bool = False,
    **settings: Setting,
) -> FinetuneResult:
    """Fine-tune an encoder on labeled data, and write the folder of the best classifier or tagger.

    Args:
        model: folder of a model that reads in both directions.
        data: `text<TAB>label`, or JSON lines with `text` and `label`; of pairs, two texts; for `multilabel`
            a column for each label, or a list `labels`; for `tag` a labeled file as `train` takes; for
            `span` questions in the format of SQuAD or CMRC 2018; for `simcse` a text a line.
        task: what has a label: `classify` a text, `multilabel` a text that may have several or none, `pair`
            two texts together, `tag` each token of a sentence; `span`: what of a text answers a question;
            `simcse`: vectors that rank, from texts without labels; or one that was registered
            (`langue.tasks.registry`).
        valid: chooses the epoch and the seed; without it, a tenth of `data` does.
        test: measured at the end; nothing is chosen by it.
        training: how it is learned: a `langue.configs.ClassifyConfig`, for `tag` a `TagConfig`, for `span` a
            `SpanConfig`, for `simcse` a `SimCSEConfig`; what all have in common is `FinetuneConfig`.
        layout: how the labeled file is read, where the task has a choice: for `tag` a `TaggedConfig`.
        resume: go on from the last checkpoint of the run that was to make `output`, if there is one.
        settings: of these two by name, `epochs=5`, which change them.

    Raises:
        InvalidSetting: no such task, an unknown setting (the nearest is named), a value out of its bounds.
        LangueError: a file is not of its format, or has a label that `data` has not.
        Interrupted: Ctrl-C or SIGTERM; a checkpoint, and the best model so far, were written.
    """
    from langue.tasks.registry import task as lookup

    with needs_torch("langue finetune"):
        from langue.tasks.finetune import finetune as run
    model, data, output = check_path("model", model), check_path("data", data), check_path("output", output)
    valid, test = check_path_or_none("valid", valid), check_path_or_none("test", test)
    labeled = [path for path in (data, valid, test) if path is not None]
    refuse_same(output, [model, *labeled])
    for path in labeled:
        check_kept(path)
    chosen_task = lookup(task)
    sections: dict[str, type[Config]] = {"finetune": chosen_task.settings}
    if chosen_task.data is not None:
        sections["data"] = chosen_task.data
    chosen = override({}, (), sections, merge_sections(settings, finetune=training, data=layout))
    return run(
        load_folder(model).require(Masked),
        data,
        output,
        task=chosen_task,
        config=decode(chosen_task.settings, chosen.get("finetune", {}), "finetune"),
        layout=decode(chosen_task.data, chosen.get("data", {}), "data") if chosen_task.data else None,
        valid=valid,
        test=test,
        overwrite=overwrite,
        resume=resume,
    )


@takes_assignments
def train(
    recipe: PathLike | Config,
    data: PathLike,
    output: PathLike,
    *,
    valid: PathLike | None = None,
    training: TrainingConfig | TaggerRunConfig | None = None,
    layout: TaggedConfig | None = None,
    overwrite: bool = False,
    resume: bool = False,
    workers: int | None = None,
    on: str | None = None,
    scratch: PathLike | None = None,
    **settings: Setting,
) -> Model[Any]:
    """Train a model and write its folder.

        langue.train("ngram", "store", "kn5", order=5)
        langue.train(configs.GPT2Config(layers=4), "store", "gpt", training=configs.TrainingConfig(minutes=3))

    Args:
        recipe: the name of a family (`"ngram"`, `"gpt2"`, `"crf"`) or of a recipe, a TOML file, or the
            configuration of a model (`langue.configs`).
        data: the token store a language model learns from, the labeled file a tagger does, or the file of
            documents and summaries a `ranker` does; for `ngram` also a text file or `-`, standard input: a
            sentence a line, words between blanks.
        valid: labeled file that a finished tagger is measured on; of a neural one it chooses the epoch.
        training: how a model learns by gradient; of a neural tagger a `TaggerRunConfig`.
        layout: how the labeled file of a tagger is read.
        resume: go on from the last checkpoint of the run that was to make `output`, if there is one.
        workers: processes that share the work, of an `ngram` or `infinigram`: the model is the same for any
            number of them. With this or one of the next two, the same call goes on after a stop.
        on: who does the work: "processes", or "ray" or "ray://HOST:PORT" on a cluster.
        scratch: a folder, of all machines, for what is written on the way.
        settings: of the model, of `training` and of `layout` by name, `order=5`, which change what is given
            otherwise; a dotted name is passed as `**{"training.minutes": 3}`. docs/settings.md lists them.

    Raises:
        InvalidSetting: an unknown setting (the nearest is named), or a value out of its bounds.
        LangueError: data that does not open, an output folder in the way.
        Interrupted: Ctrl-C or SIGTERM; the message says what was saved.
    """
    from langue.base.executors import distribution_of
    from langue.training.run_folder import run_folder

    data, output = check_path("data", data), check_path("output", output)
    valid = check_path_or_none("valid", valid)
    given = merge_sections(settings, training=training, data=layout)
    distribution = distribution_of(workers, on, scratch)
    between = distribution.scratch if distribution else None
    elsewhere = url_of(output) is not None
    with made_there(output, marker=DESCRIPTION, overwrite=overwrite, scratch=between) as made:
        # Whether all of the model will be of this call: of an earlier one it may be done already.
        anew = not resume and not run_folder(made).exists()
        replacing = overwrite or elsewhere
        _train(recipe, data, made, given, valid, distribution, overwrite=replacing, resume=resume)
    with verifying("nothing") if anew and not elsewhere else nullcontext():  # what was sent may differ
        return load(output)


def _train(
    recipe: PathLike | Config,
    data: Path,
    output: Path,
    given: Mapping[str, Setting],
    valid: Path | None,
    distribution: Distribution | None,
    *,
    overwrite: bool,
    resume: bool,
) -> None:
    data = local(data)
    resolved = _resolved(recipe, data, given, output, resume=resume)
    started_from = getattr(resolved.model, "init_from", "")
    refuse_same(output, [path for path in (data, valid, started_from) if path])
    if distribution is not None and resolved.family.by_stages is None:
        raise Unsupported(
            f"{resolved.family.name} is not trained by stages: leave --workers, --on and --scratch out; they "
            "are for ngram and infinigram (a network learns on several devices by torchrun: docs/clusters.md)"
        )
    if resolved.family.makes is Tagger:
        from langue.tasks.tagging import train_tagger

        for path in (data, valid):
            if path is not None:
                check_kept(path)
        train_tagger(resolved, data, output, valid=valid, overwrite=overwrite, resume=resume)
    elif resolved.family.makes is SentenceRanker:
        from langue.tasks.summaries import train_ranker

        if valid is not None:
            raise LangueError("a ranker chooses nothing by --valid; measure it: langue evaluate MODEL PAIRS")
        check_kept(data)
        train_ranker(resolved, data, output, overwrite=overwrite, resume=resume)
    elif valid is not None:
        raise LangueError(
            f"{resolved.family.name} is measured on the valid split of its store; leave --valid out"
        )
    elif resolved.family.reads_text and _is_text(data):
        from langue.interop.convert import train_text

        train_text(resolved.model, data, output, overwrite=overwrite, distribution=distribution)
    else:
        from langue.training.train import train as run

        store = TokenStore(data)
        run(resolved, store, output, overwrite=overwrite, resume=resume, distribution=distribution)


def _is_text(data: Path) -> bool:
    """Whether data is a text and no token store, which is a folder."""
    return str(data) == "-" or (data.exists() and not data.is_dir())


@takes_assignments
def estimate(
    recipe: PathLike | Config,
    store: PathLike,
    *,
    training: TrainingConfig | None = None,
    **settings: Setting,
) -> Estimate:
    """What `train` with these settings would take: parameters, memory, tokens, time. Writes nothing.

    Raises:
        LangueError: as `train`; the family is not trained by gradient.
    """
    from langue.training.estimate import estimate as run

    store = check_path("store", store)
    resolved = _resolved(recipe, store, merge_sections(settings, training=training))
    if resolved.family.makes is Tagger or resolved.family.build is None:
        raise LangueError(
            f"{resolved.family.name} is estimated by {resolved.family.estimated_by}, in one pass over the "
            "text: there is nothing to foretell"
        )
    return run(resolved, TokenStore(store))


def _resolved(
    recipe: PathLike | Config,
    data: Path,
    settings: Mapping[str, Setting],
    output: Path | None = None,
    *,
    resume: bool = False,
) -> Recipe:
    """A recipe for a model that is trained on `data`: initialized from another where it says so, and with
    what suits the text and the machine where it says nothing."""
    from langue.interop.init_from import InitFromSetting
    from langue.training.defaults import Defaults
    from langue.training.recipe import Tables, read_recipe

    if isinstance(recipe, Config):
        name, settings = family_of(recipe).name, merge_sections(settings, model=recipe)
    else:
        name = str(check_path("recipe", recipe))
    setting = InitFromSetting(data)
    defaults = Defaults(data, output, resume=resume)

    def complete(family: Family[Any], tables: Tables) -> Tables:
        return defaults.complete(family, tables | {"model": setting.complete(family, tables["model"])})

    resolved = read_recipe(name, (), settings, complete=complete)
    initialize = setting.initialize if setting.path is not None else None
    return replace(resolved, initialize=initialize, chosen=defaults.chosen)
