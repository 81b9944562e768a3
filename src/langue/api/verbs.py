"""The verbs that make something, as functions. Each imports what it needs when it runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from langue.api.models import Model, PathLike, load
from langue.api.settings import Setting, merge_sections, takes_assignments
from langue.base.config import Config, decode, override
from langue.base.errors import LangueError
from langue.base.files import read_json
from langue.models.folder import DESCRIPTION, describe
from langue.models.folder import load as load_folder
from langue.models.registry import family_of
from langue.protocols import Masked, Tagger
from langue.tokens.store import MANIFEST, TokenStore

if TYPE_CHECKING:
    from langue.corpus.config import DataConfig
    from langue.corpus.tagged import TaggedConfig
    from langue.tasks.finetune import FinetuneConfig, Finetuned
    from langue.tokens.prepare import Report
    from langue.tokens.train import TokenizerConfig
    from langue.training.config import TrainingConfig
    from langue.training.doctor import Finding
    from langue.training.estimate import Estimate


@takes_assignments
def finetune(
    model: PathLike,
    data: PathLike,
    output: PathLike,
    *,
    task: Literal["classify", "pair", "tag"] = "classify",
    valid: PathLike | None = None,
    test: PathLike | None = None,
    training: FinetuneConfig | None = None,
    layout: TaggedConfig | None = None,
    overwrite: bool = False,
    **settings: Setting,
) -> Finetuned:
    """Fine-tune an encoder on labeled texts, and write the folder of the best classifier or tagger.

    Args:
        model: folder of a model that reads in both directions.
        data: `text<TAB>label`, or JSON lines with `text` and `label`; of pairs, two texts; for `tag` a
            labeled file as `train` takes.
        valid: chooses the epoch and the seed; without it, a tenth of `data` does.
        test: measured at the end; nothing is chosen by it.
        training: how it is learned: a `langue.configs.FinetuneConfig`, for `tag` a `TagConfig`.
        layout: how a labeled file for `tag` is read.
        settings: of these two by name, `epochs=5`, which change them.

    Raises:
        InvalidSetting: an unknown setting (the nearest is named), or a value out of its bounds.
        LangueError: a file is not of its format, or has a label that `data` has not.
        Interrupted: Ctrl-C after an epoch; the best model so far was written.
    """
    from langue.corpus.tagged import TaggedConfig
    from langue.tasks.finetune import FinetuneConfig
    from langue.tasks.finetune import finetune as run
    from langue.tasks.finetune_tagger import TagConfig, finetune_tagger

    form = TagConfig if task == "tag" else FinetuneConfig
    sections: dict[str, type[Config]] = {"finetune": form} | ({"data": TaggedConfig} if task == "tag" else {})
    chosen = override({}, (), sections, merge_sections(settings, finetune=training, data=layout))
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


@takes_assignments
def train(
    recipe: PathLike | Config,
    data: PathLike,
    output: PathLike,
    *,
    valid: PathLike | None = None,
    training: TrainingConfig | None = None,
    layout: TaggedConfig | None = None,
    overwrite: bool = False,
    resume: bool = False,
    **settings: Setting,
) -> Model[Any]:
    """Train a model and write its folder.

        langue.train("ngram", "store", "kn5", order=5)
        langue.train(configs.GPT2Config(layers=4), "store", "gpt", training=configs.TrainingConfig(minutes=3))

    Args:
        recipe: the name of a family (`"ngram"`, `"gpt2"`, `"crf"`) or of a recipe, a TOML file, or the
            configuration of a model (`langue.configs`).
        data: the token store a language model learns from, or the labeled file a tagger does; for
            `ngram` also a text file: a sentence a line, words between blanks.
        valid: labeled file that a finished tagger is measured on; of a neural one it chooses the epoch.
        training: how a language model learns by gradient.
        layout: how the labeled file of a tagger is read.
        resume: go on from the last checkpoint of the run that was to make `output`, if there is one.
        settings: of the model, of `training` and of `layout` by name, `order=5`, which change what is given
            otherwise; a dotted name is passed as `**{"training.minutes": 3}`. docs/settings.md lists them.

    Raises:
        InvalidSetting: an unknown setting (the nearest is named), or a value out of its bounds.
        LangueError: data that does not open, an output folder in the way.
        Interrupted: Ctrl-C or SIGTERM; the message says what was saved.
    """
    from langue.training.recipe import read_recipe

    resolved = read_recipe(*_named(recipe, settings, training=training, data=layout))
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
    from langue.training.recipe import read_recipe

    resolved = read_recipe(*_named(recipe, settings, training=training))
    if resolved.training is None:
        raise LangueError(
            f"{resolved.family.name} is estimated by {resolved.family.estimated_by}, in one pass over the "
            "text: there is nothing to foretell"
        )
    return run(resolved, TokenStore(store))


def _named(
    recipe: PathLike | Config, settings: Mapping[str, Setting], **sections: Config | None
) -> tuple[str, Sequence[str], dict[str, Setting]]:
    """The arguments of `read_recipe`: the name of a family or recipe, no assignments, all that is set."""
    if isinstance(recipe, Config):
        return family_of(recipe).name, (), merge_sections(settings, model=recipe, **sections)
    return str(recipe), (), merge_sections(settings, **sections)


@takes_assignments
def prepare(
    inputs: PathLike | Sequence[PathLike],
    output: PathLike,
    *,
    recipe: PathLike | None = None,
    data: DataConfig | None = None,
    tokenizer: TokenizerConfig | None = None,
    valid: PathLike | Sequence[PathLike] = (),
    test: PathLike | Sequence[PathLike] = (),
    dropped: PathLike | None = None,
    overwrite: bool = False,
    **settings: Setting,
) -> Report:
    """Read, clean, split and tokenize text into a store.

    Args:
        inputs: files, folders, or `-` for standard input.
        recipe: a TOML file whose `[data]` and `[tokenizer]` sections are the settings to start from.
        data: how the text is read and split.
        tokenizer: how its vocabulary is made.
        valid, test: files of those splits, where the split is given.
        dropped: JSON-lines file that receives every dropped document with its reason.
        settings: of `data` and `tokenizer` by name, `documents="line"`, `kind="words"`, which change them.

    Raises:
        InvalidSetting: an unknown setting (the nearest is named), or a value out of its bounds.
        LangueError: a file is missing, empty, binary or not UTF-8; too little text for a split.
    """
    from langue.tokens.prepare import prepare as run
    from langue.training.recipe import read_data

    reading, vocabulary = read_data(recipe, (), merge_sections(settings, data=data, tokenizer=tokenizer))
    return run(
        _listed(inputs),
        Path(output),
        data=reading,
        tokenizer=vocabulary,
        valid=_listed(valid),
        test=_listed(test),
        dropped=Path(dropped) if dropped is not None else None,
        overwrite=overwrite,
    )


def _listed(paths: PathLike | Sequence[PathLike]) -> list[str]:
    return [str(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]


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
