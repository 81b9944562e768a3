"""`langue score`: how surprising is each line of a file."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from langue.cli.options import Json, Quiet, TextField, print_json, read_lines
from langue.cli.parameters import Argument, Option

if TYPE_CHECKING:
    from langue.evaluation.pseudo import PseudoScore
    from langue.evaluation.score import Score


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
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score each line as a document of its own: bits, bits per byte, perplexity per token.

    A model that reads in both directions has no probability of a text: it gives pseudo-bits.
    """
    from langue import api
    from langue.protocols import Causal

    held = api.load(model)
    masked = isinstance(held, api.MaskedModel)
    scores: Sequence[Score | PseudoScore] = (
        held.pseudo_score_all(read_lines(text, text_field))
        if isinstance(held, api.MaskedModel)
        else api.CausalModel(held.folder.require(Causal)).score_all(read_lines(text, text_field))
    )
    if json:
        print_json([score.to_json(per_token=per_token) for score in scores])
        return
    print("pseudo-bits\tpseudo-bits/byte\ttext" if masked else "bits\tbits/byte\tperplexity\ttext")
    for score in scores:
        print(score.row())
        if per_token:
            print("\n".join(score.token_rows()))
