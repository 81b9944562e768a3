"""`langue prepare`: text files in, a token store and a report out."""

from pathlib import Path
from typing import Annotated, Any

import langue
from langue.cli.options import (
    Json,
    On,
    Output,
    Overwrite,
    Quiet,
    Scratch,
    Settings,
    SourceField,
    TargetField,
    TextField,
    Workers,
    print_json,
    read_settings,
)
from langue.cli.parameters import Argument, Option


def command(
    inputs: Annotated[
        list[str],
        Argument(
            metavar="TEXT...",
            help="Files (.txt .md .jsonl .json .csv .tsv .parquet; .gz .zst .xz .bz2), folders, or -.",
        ),
    ],
    output: Output,
    recipe: Annotated[
        str | None, Option(help="A recipe whose data and tokenizer sections to start from.")
    ] = None,
    documents: Annotated[
        str | None,
        Option(help="Where documents end: auto, file, line, blank-line, form-feed; pairs; summaries."),
    ] = None,
    text_field: TextField = None,
    source_field: SourceField = None,
    target_field: TargetField = None,
    gap_sentences: Annotated[
        float | None,
        Option(
            metavar="SHARE",
            help="Make pairs of texts: such a share of the sentences, those that share most with the rest, "
            "is to be written from the others; 0.25 is usual.",
        ),
    ] = None,
    invalid: Annotated[
        str | None, Option(help="Invalid UTF-8, and records without text: error, skip or replace.")
    ] = None,
    duplicates: Annotated[str | None, Option(help="Exact duplicates: auto, keep or drop.")] = None,
    near_duplicates: Annotated[str | None, Option(help="Near-duplicates: count, drop or ignore.")] = None,
    nfkc: Annotated[bool, Option("--nfkc", help="Normalize to NFKC instead of NFC.")] = False,
    fold_width: Annotated[bool, Option("--fold-width", help="Full-width ASCII to plain ASCII.")] = False,
    tokenizer: Annotated[
        str | None,
        Option(help="bpe, unigram, wordpiece, words, chars, bytes, whitespace, or a tokenizer.json."),
    ] = None,
    vocabulary: Annotated[int | None, Option(help="Entries of the vocabulary.")] = None,
    valid: Annotated[list[str] | None, Option(help="File of the valid split; may be repeated.")] = None,
    test: Annotated[list[str] | None, Option(help="File of the test split; may be repeated.")] = None,
    dropped: Annotated[
        Path | None, Option(help="Write what was dropped, with reasons, as JSON lines.")
    ] = None,
    workers: Workers = None,
    on: On = None,
    scratch: Scratch = None,
    settings: Settings = None,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Read text, clean it, split it, and write it as token ids: a store every family trains on."""
    normalization = {"form": "NFKC" if nfkc else "NFC", "fold_width": fold_width}
    kind, file = (None, tokenizer) if tokenizer and tokenizer.endswith(".json") else (tokenizer, None)
    flags = {
        "data.documents": documents,
        "data.text_field": text_field,
        "data.source_field": source_field,
        "data.target_field": target_field,
        "data.gap_sentences": gap_sentences,
        "data.invalid": invalid,
        "data.duplicates": duplicates,
        "data.near_duplicates": near_duplicates,
        "data.normalization": normalization if nfkc or fold_width else None,
        "tokenizer.kind": kind,
        "tokenizer.file": file,
        "tokenizer.vocabulary": vocabulary,
    }
    given: dict[str, Any] = {key: value for key, value in flags.items() if value is not None}
    report = langue.prepare(
        inputs,
        output,
        recipe=recipe,
        valid=valid or (),
        test=test or (),
        dropped=dropped,
        overwrite=overwrite,
        workers=workers,
        on=on,
        scratch=scratch,
        **read_settings(settings, langue.prepare) | given,
    )
    if json:
        print_json(report.to_json())
    else:
        print(report)
