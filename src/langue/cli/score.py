"""`langue score`: how surprising is each line of a file."""

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from langue.base.errors import LangueError
from langue.cli.options import Json, Quiet, TextField
from langue.cli.parameters import Argument, Option

if TYPE_CHECKING:
    from langue.evaluation.pseudo import PseudoScore
    from langue.evaluation.score import Score

GROUP_BYTES = 1 << 18  # of texts scored at a time: enough to batch, little to hold
HEADS = {
    "report": "bits\tbits/byte\tperplexity\ttext",
    "pseudo": "pseudo-bits\tpseudo-bits/byte\ttext",
    "kenlm": "log10\tOOVs\tperplexity\ttext",
}


def command(
    model: Annotated[str, Argument(help="Model folder.")],
    text: Annotated[
        Path,
        Argument(
            help="One text a line, or a record each (.jsonl .json .csv .tsv .parquet); - for standard input."
        ),
    ],
    per_token: Annotated[bool, Option("--per-token", help="Show the bits of every token too.")] = False,
    text_field: TextField = None,
    format: Annotated[
        Literal["report", "kenlm"],
        Option("--format", help="kenlm: of an n-gram, what its query -v sentence tells: log10, OOVs."),
    ] = "report",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score each line as a document of its own: bits, bits per byte, perplexity per token.

    A model that reads in both directions has no probability of a text: it gives pseudo-bits.
    """
    from langue.base.groups import growing_groups
    from langue.corpus.read import read_texts

    name, score = _kenlm(model, per_token) if format == "kenlm" else _report(model)
    texts = growing_groups(read_texts(str(text), text_field), len, GROUP_BYTES)
    groups = map(score, texts)
    if json:
        more = {} if name == "kenlm" else {"per_token": per_token}
        _print_list(row.to_json(**more) for group in groups for row in group)
        return
    head: str | None = HEADS[name]
    for group in groups:  # of which there is one, or an error was raised
        if head is not None:
            print(head)
            head = None
        for row in group:
            print(row.row())
            if per_token:
                print("\n".join(row.token_rows()))
        sys.stdout.flush()  # whoever writes line by line reads them so, too


def _report(model: str) -> "tuple[str, Callable[[list[str]], list[Score] | list[PseudoScore]]]":
    from langue import api
    from langue.protocols import Causal

    held = api.load(model)
    if isinstance(held, api.MaskedModel):
        return "pseudo", held.pseudo_score_all
    return "report", api.CausalModel(held.folder.require(Causal)).score_all


def _kenlm(model: str, per_token: bool) -> tuple[str, Callable[[list[str]], Iterable[Any]]]:
    from langue.interop.kenlm import Model

    if per_token:
        raise LangueError("--format kenlm tells of sentences; leave --per-token out, or leave --format out")
    return "kenlm", Model(model).query_each


def _print_list(rows: Iterator[dict[str, Any]]) -> None:
    """A list as `print_json` writes it, while it comes."""
    import json
    from textwrap import indent

    before = "[\n"
    for row in rows:
        shown = indent(json.dumps(row, ensure_ascii=False, indent=2, allow_nan=False), "  ")
        print(before, shown, sep="", end="")
        before = ",\n"
    print("\n]")
