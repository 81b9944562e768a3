"""The verbs that make something, as functions. Each imports what it needs when it runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from langue.api.models import Model, PathLike, load
from langue.api.settings import Setting, merge_sections, takes_assignments
from langue.base.arguments import check_path, check_path_or_none, check_paths
from langue.base.errors import LangueError
from langue.base.remote import local, made_there
from langue.base.urls import url_of
from langue.models.folder import DESCRIPTION, describe
from langue.models.folder import load as load_folder
from langue.nn.quantized import known
from langue.tokens.store import MANIFEST, TokenStore, read_manifest

if TYPE_CHECKING:
    from langue.corpus.config import DataConfig
    from langue.interop.formats import Export
    from langue.tokens.prepare import Report
    from langue.tokens.train import TokenizerConfig
    from langue.training.finding import Finding


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
    workers: int | None = None,
    on: str | None = None,
    scratch: PathLike | None = None,
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
        workers: processes that share the work; None: one for each processor, where there is much text. The
            store is the same bytes for any number of them.
        on: who does the work: "processes", or "ray" or "ray://HOST:PORT" on a cluster.
        scratch: a folder, of all machines, for what is written on the way. With it, or with several workers,
            the same call goes on after a stop.
        settings: of `data` and `tokenizer` by name, `documents="line"`, `kind="words"`, which change them.

    Raises:
        InvalidSetting: an unknown setting (the nearest is named), or a value out of its bounds.
        LangueError: a file is missing, empty, binary or not UTF-8; too little text for a split.
    """
    from langue.base.executors import distribution_of
    from langue.tokens.prepare import prepare as run
    from langue.training.recipe import read_data

    reading, vocabulary = read_data(
        check_path_or_none("recipe", recipe), (), merge_sections(settings, data=data, tokenizer=tokenizer)
    )
    output, distribution = check_path("output", output), distribution_of(workers, on, scratch)
    between = distribution.scratch if distribution else None
    with made_there(output, marker=MANIFEST, overwrite=overwrite, scratch=between) as made:
        report = run(
            check_paths("inputs", inputs),
            made,
            data=reading,
            tokenizer=vocabulary,
            valid=check_paths("valid", valid),
            test=check_paths("test", test),
            dropped=check_path_or_none("dropped", dropped),
            overwrite=overwrite or url_of(output) is not None,
            distribution=distribution,
        )
    return replace(report, path=url_of(output) or report.path)


def demo(
    output: PathLike = "demo", *, minutes: float = 2.5, overwrite: bool = False, show: bool = True
) -> dict[str, Any]:
    """Train and compare n-grams and a GPT-2 on the embedded English and Chinese text; a BERT fills gaps.

    Args:
        minutes: training time of each GPT-2.
        show: print tables and samples as they come.
    """
    from langue.api.demonstration import demo as run

    return run(
        check_path("output", output),
        minutes=minutes,
        overwrite=overwrite,
        show=print if show else lambda text: None,
    )


def import_model(path: PathLike, output: PathLike, *, overwrite: bool = False) -> Model[Any]:
    """Write the model of another maker as a model folder: an ARPA file, gzipped or not, or a folder of
    Hugging Face with a GPT-2, Qwen3, BERT, ALBERT or ELECTRA.

    Raises:
        LangueError: the file is missing, damaged or of no format that langue reads (what is wrong is named),
            or has a part that no model of langue has; the output is in the way.
    """
    from langue.interop.formats import import_model as run

    output = check_path("output", output)
    run(check_path("path", path), output, overwrite=overwrite)
    return load(output)


def export_model(
    model: PathLike, output: PathLike, *, format: str | None = None, overwrite: bool = False
) -> Export:
    """Write a model in a format that others read: an n-gram model as an ARPA file, gzipped if its name ends
    in `.gz`; a GPT-2, BERT, ALBERT, ELECTRA, classifier or encoder-tagger as a folder of Hugging Face; a
    GPT-2 as a GGUF file, where its name ends in `.gguf`.

    Args:
        format: its name, where several hold such a model and the name of the output does not say which.

    Raises:
        LangueError: no format holds such a model, or it has a part that the format has not; the output is in
            the way.
    """
    from langue.interop.formats import export_model as run

    return run(check_path("model", model), check_path("output", output), format=format, overwrite=overwrite)


def doctor(folder: PathLike = ".") -> Iterator[Finding]:
    """Look at the machine, a finding at a time; `folder` is where models would be written.

    Raises:
        LangueError: there is no such folder.
    """
    from langue.training.doctor import diagnose

    folder = check_path("folder", folder)
    if not folder.is_dir():
        raise LangueError(f"{folder} is no folder; name one that exists")
    return diagnose(folder)


def info(path: PathLike, *, verify: bool = False) -> dict[str, Any]:
    """What a model folder or a token store says of itself.

    Args:
        verify: open it too, and read every file whole, whatever is known of it.

    Raises:
        Damaged: a file is missing, cut or altered.
    """
    path = local(check_path("path", path))
    if verify and (path / MANIFEST).is_file():
        TokenStore(path, verify=True)
    elif verify:
        load_folder(path, verify=True)
    if (path / DESCRIPTION).is_file():
        import msgspec

        description = describe(path)
        facts = dict(msgspec.to_builtins(description))
        if (quantized := known(path, description.digest)) is not None:
            facts["quantized"] = msgspec.to_builtins(quantized) | {"rise": quantized.rise}
        return facts
    if (path / MANIFEST).is_file():
        return read_manifest(path / MANIFEST)
    raise LangueError(f"{path} is neither a model folder ({DESCRIPTION}) nor a token store ({MANIFEST})")
