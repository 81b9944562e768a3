"""`langue tag`: tag a sentence, or a file of them."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from langue.base.errors import LangueError
from langue.base.groups import group_by_size
from langue.cli.options import (
    MOST,
    Json,
    Quiet,
    is_input,
    is_named_like_a_file,
    no_such_input,
    pieces_of,
    print_items,
    read_line_batches,
    some_text,
    text_of,
)
from langue.cli.parameters import Argument, Option

if TYPE_CHECKING:
    from langue.api.models.tagger import TaggerModel, Text
    from langue.corpus.tagged import Tagged

AT_ONCE = 1 << 19  # characters, or tokens, of plain texts


def command(
    model: Annotated[str, Argument(help="Folder of a tagger.")],
    text: Annotated[
        str,
        Argument(
            metavar="TEXT|FILE", help="A sentence; a file of the model's columns; - for standard input."
        ),
    ],
    format: Annotated[
        Literal["auto", "conll", "conllu", "jsonl", "text", "tokens"],
        Option(
            help="What it is; auto goes by the file's name, and takes standard input for text. text: a "
            "sentence a line; tokens: the same, cut into tokens by blanks."
        ),
    ] = "auto",
    to: Annotated[
        Literal["same", "conll", "conllu", "jsonl"], Option(help="Format to write; same as read.")
    ] = "same",
    n_best: Annotated[
        int, Option(min=0, max=MOST, help="Show the likeliest taggings with their probabilities.")
    ] = 0,
    marginals: Annotated[bool, Option("--marginals", help="Show each tag's probability.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Tag a sentence, or every sentence of a file, which is written back with the new tags."""
    from langue.api.models.tagger import Marginals, NBest, TaggerModel

    if n_best and marginals:
        raise LangueError("--n-best shows taggings and --marginals single tags; choose one of them")
    if to != "same" and (n_best or marginals or json):
        raise LangueError(
            "--to is the format of tagged sentences; leave it out beside --n-best, --marginals or --json"
        )
    tagger = TaggerModel.load(model)
    batches = _read(tagger, text, format)
    if n_best or marginals:
        rows: Iterator[NBest | Marginals] = (
            row
            for tagged in batches
            for row in (tagger.n_best(tagged, n=n_best) if n_best else tagger.marginals(tagged))
        )
        if json:
            print_items(row.to_json() for row in rows)
        else:
            for number, row in enumerate(rows):
                print(f"\n{row}" if number else row)
    elif json:
        print_items(row for tagged in batches for row in tagger.tags(tagged))
    else:
        for tagged in batches:
            for piece in tagger.write(tagged, None if to == "same" else to):
                sys.stdout.write(piece)
            sys.stdout.flush()


def _read(tagger: "TaggerModel", text: str, format: str) -> "Iterator[Tagged]":
    """The sentences of what was named, plain ones by the stream: a file, standard input, or a text itself.

    Raises:
        LangueError: what is named like a file is none.
    """
    is_file = is_input(text)
    if format == "text" or (format == "auto" and text == "-"):
        yield from _plain(tagger, read_line_batches(text))
    elif format == "tokens":
        named = is_file or is_named_like_a_file(text)
        batches = read_line_batches(text) if named else [[text_of(text) or ""]]
        yield from _plain(tagger, ([line.split() for line in lines] for lines in batches))
    elif format != "auto" or is_file or is_named_like_a_file(text):
        if not is_file and not Path(text).is_dir():
            raise no_such_input(text, "tag")
        yield tagger.read(Path(text), format)
    else:
        yield tagger.plain([str(some_text(text))])


def _plain(tagger: "TaggerModel", batches: "Iterable[Sequence[Text]]") -> "Iterator[Tagged]":
    before = 0
    for texts in batches:
        pieces = (piece for text in texts for piece in pieces_of(text, "tagged"))
        for group in group_by_size(pieces, len, AT_ONCE):
            yield tagger.plain(group, before=before)
            before += len(group)
