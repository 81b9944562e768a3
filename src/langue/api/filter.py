"""`filter` as a function: texts ranked by a model of one's own good text, and the best of them kept."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from langue.api.models import Model, PathLike, folder_of
from langue.base.arguments import check_choice, check_number, check_path, check_paths, check_text
from langue.base.errors import InvalidSetting
from langue.base.files import atomic_file, check_file_free, refuse_same

if TYPE_CHECKING:
    from langue.corpus.stream import By
    from langue.tasks.filter import FilterReport
    from langue.tasks.filter_output import OutputFormat

DIFFERENCE = "bits_per_byte_difference"
ENDINGS: dict[str, OutputFormat] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}


def filter(  # noqa: A001  # the verb's name
    inputs: PathLike | Sequence[PathLike],
    output: PathLike | BinaryIO,
    *,
    good: PathLike | Model[Any] | None = None,
    other: PathLike | Model[Any] | None = None,
    keep: str | float | None = None,
    below: float | None = None,
    buckets: bool = False,
    min_bytes: int | None = None,
    max_bytes: int | None = None,
    max_repeated: float | None = None,
    max_symbols: float | None = None,
    by: By = "line",
    text_field: str | None = None,
    score_field: str | None = None,
    format: OutputFormat | None = None,
    overwrite: bool = False,
    workers: int | None = None,
    on: str | None = None,
    scratch: PathLike | None = None,
) -> FilterReport:
    """Keep the texts of some files that a model of good text finds likely, in the form they came in.

        langue.filter("crawl.jsonl.zst", "kept.jsonl", good="news-kn5", other="crawl-kn5", keep="30%")

    Args:
        inputs: text, JSON lines or Parquet, packed or not; folders, pipes, `-`.
        output: a file, written whole or not at all, or one that is open.
        good: a model of the text that is wanted; texts are ranked by their bits per byte.
        other: a model of other text: they are ranked by the difference instead (Moore and Lewis 2010).
        keep: the best share of those that pass the rules, "30%" or 0.3.
        below: keep what scores no more than this. With neither, all that passes the rules is kept.
        buckets: add a field `bucket`: head, middle or tail, by thirds.
        min_bytes, max_bytes: of a text, in UTF-8.
        max_repeated: share of its characters that may be in lines which stand above in it.
        max_symbols: share of its characters that may be neither letters, digits nor blanks.
        by: what a text is in plain text: a "line", or a "document", as `langue prepare` cuts a text.
        text_field: of records; None is "text".
        score_field: the field that is added to records; None: bits_per_byte, bits_per_byte_difference with
            `other`; "": none.
        format: "text", "jsonl" or "parquet"; None: by the name of the output, else that of the first input.
        workers: processes that share the scoring, each of one thread, with models that they open themselves:
            what is kept is the same for any number of them. None: the threads of this process.
        on: who shares it: "processes", or "ray" or "ray://HOST:PORT" on a cluster.
        scratch: a folder, of all machines, for what is written on the way. With one of these three, the same
            call goes on after a stop where the output is a file, or scratch is named.

    Raises:
        InvalidSetting: there is nothing to filter by, or a share is none.
        Unsupported: a model has no bits per byte.
        LangueError: a file is missing, binary, damaged or not UTF-8; the output is in the way.
    """
    from langue.base.executors import distribution_of
    from langue.corpus.config import DataConfig
    from langue.tasks.filter import Judge, Rules, share_of
    from langue.tasks.filter_files import filter_files
    from langue.tasks.filter_output import OUTPUTS

    distribution = distribution_of(workers, on, scratch)
    names = check_paths("inputs", inputs)
    path = None if hasattr(output, "write") else check_path("output", output)
    check_choice("by", by, ("line", "document"))
    if good is None and (other is not None or keep is not None or below is not None or buckets):
        raise InvalidSetting("texts are ranked by a model of good text: name one (--good)")
    if below is not None:
        check_number("below", below, least=-1e9, most=1e9)
    rules = Rules(min_bytes, max_bytes, max_repeated, max_symbols)
    if good is None and rules == Rules():
        raise InvalidSetting("there is nothing to filter by: name a model (--good), or rules")
    chosen = format or _format_of(names, path)
    check_choice("format", chosen, tuple(OUTPUTS))
    if chosen == "text" and (buckets or score_field):
        option = "--buckets" if buckets else "--score-field"
        raise InvalidSetting(f"lines of text have no fields; leave {option} out, or write JSON lines")
    if path is not None and ENDINGS.get(path.suffix.lower(), chosen) != chosen:
        raise InvalidSetting(f"{path} is named like another format than {chosen}; choose one of the two")
    usual = DIFFERENCE if other is not None else "bits_per_byte"
    field = usual if score_field is None else check_text("score_field", score_field)
    if field == (text_field or "text") and good is not None:
        raise InvalidSetting(f"score_field = {field!r} is the field of the text; the score would replace it")
    if path is not None:
        refuse_same(path, [name for name in names if name != "-"])
        check_file_free(path, overwrite=overwrite)
    with (
        nullcontext(cast(BinaryIO, output))
        if path is None
        else atomic_file(path, overwrite=overwrite) as file
    ):
        return filter_files(
            names,
            OUTPUTS[chosen](file),
            Judge(
                None if good is None else folder_of("good", good),
                None if other is None else folder_of("other", other),
                rules,
            ),
            ranked_by=usual.replace("_", " ") if good is not None else "",
            config=DataConfig(text_field=text_field),
            by=by,
            keep=None if keep is None else share_of(keep),
            below=below,
            buckets=buckets,
            score_field=field if good is not None and field else None,
            distribution=distribution,
            path=path,
        )


def _format_of(names: Sequence[str], output: Path | None) -> OutputFormat:
    """By the name of the output, else by that of the first input."""
    from langue.corpus.sources import Source

    if output is not None and output.suffix.lower() in ENDINGS:
        return ENDINGS[output.suffix.lower()]
    suffix = Source(names[0], Path(names[0])).suffix if names else ""
    return ENDINGS.get(suffix, "text")
