"""`langue generate`: continue a text, as it is written."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from langue.base.errors import LangueError
from langue.cli.options import Json, Quiet, Seed, print_json

if TYPE_CHECKING:
    from langue.generation.generate import Writer

NAME = "generate"


def command(
    model: Annotated[str, typer.Argument(help="Model folder.")],
    prompt: Annotated[str, typer.Argument(help="Text to continue; empty for a new document.")] = "",
    max_tokens: Annotated[int, typer.Option(min=0, help="Stop after this many tokens.")] = 100,
    temperature: Annotated[float, typer.Option(min=0.0, help="0 always takes the likeliest token.")] = 0.8,
    top_k: Annotated[int, typer.Option(min=0, help="Keep the k likeliest tokens; 0 keeps all.")] = 0,
    top_p: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Keep the likeliest tokens up to this mass.")
    ] = 0.95,
    min_p: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Drop tokens below this share of the best.")
    ] = 0.0,
    repetition_penalty: Annotated[
        float, typer.Option(min=0.01, help="Above 1, makes repeats less likely.")
    ] = 1.0,
    stop: Annotated[list[str] | None, typer.Option(help="End before this text; may be repeated.")] = None,
    seed: Seed = 0,
    source: Annotated[
        str | None,
        typer.Option(
            "--source", metavar="TEXT", help="Write the target of this source, by a model of pairs."
        ),
    ] = None,
    num_beams: Annotated[
        int, typer.Option(min=0, help="The likeliest texts by beam search, this many held; draws nothing.")
    ] = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Continue a text, printed as it comes."""
    from langue import api

    if source is not None and prompt:
        raise LangueError("give a text to continue, or --source for the target of a source, not both")
    if num_beams:
        _by_beam_search(model, prompt, source, num_beams, max_tokens, json=json)
        return
    stream: Callable[..., Writer] = (
        api.CausalModel.load(model).stream if source is None else api.Seq2SeqModel.load(model).stream_target
    )
    writer = stream(
        prompt if source is None else source,
        max_tokens=max_tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        repetition_penalty=repetition_penalty,
        stop=tuple(stop or ()),
        seed=seed,
    )
    if not json:
        print(prompt, end="", flush=True)
    for piece in writer:
        if not json:
            print(piece, end="", flush=True)
    if json:
        print_json(_asked(prompt, source) | writer.result.to_json())
    else:
        print()


def _asked(prompt: str, source: str | None) -> dict[str, Any]:
    return {"prompt": prompt} if source is None else {"source": source}


def _by_beam_search(
    model: str, prompt: str, source: str | None, num_beams: int, max_tokens: int, *, json: bool
) -> None:
    from langue import api

    settings = {"num_beams": num_beams, "max_tokens": max_tokens}
    results = (
        api.CausalModel.load(model).beam_search(prompt, **settings)
        if source is None
        else api.Seq2SeqModel.load(model).beam_search_target(source, **settings)
    )
    if json:
        print_json([_asked(prompt, source) | result.to_json() for result in results])
    else:
        print(prompt + (results[0].text if results else ""))
