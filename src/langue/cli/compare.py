"""`langue compare`: several models on the same documents, one table."""

from typing import Annotated

import langue
from langue.cli.options import (
    DocumentsRule,
    Json,
    Quiet,
    SourceField,
    SplitName,
    TargetField,
    TextField,
    print_json,
)
from langue.cli.parameters import Argument, Option


def command(
    models: Annotated[list[str], Argument(metavar="MODEL...", help="Model folders.")],
    on: Annotated[
        list[str],
        Option("--on", metavar="STORE|TEXT", help="Token store, or text file (repeat it for several)."),
    ],
    split: SplitName = "test",
    documents: DocumentsRule = None,
    text_field: TextField = None,
    source_field: SourceField = None,
    target_field: TargetField = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Rank models of any tokenizers in bits per byte, and say which differences are real."""
    comparison = langue.compare(
        models,
        on,
        split=split,
        documents=documents,
        text_field=text_field,
        source_field=source_field,
        target_field=target_field,
    )
    if json:
        print_json(comparison.to_json())
    else:
        print(comparison)
