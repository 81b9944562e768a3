"""`langue generate`: continue a text, as it is written."""

from typing import TYPE_CHECKING, Annotated

import typer

from langue.cli.options import Json, Quiet, Seed, print_json

if TYPE_CHECKING:
    from langue.api import CausalModel

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
    num_beams: Annotated[
        int, typer.Option(min=0, help="The likeliest texts by beam search, this many held; draws nothing.")
    ] = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Continue a text, printed as it comes."""
    from langue import api

    held = api.CausalModel.load(model)
    if num_beams:
        return _by_beam_search(held, prompt, num_beams, max_tokens, json=json)
    writer = held.stream(
        prompt,
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
        print_json({"prompt": prompt, **writer.result.to_json()})
    else:
        print()


def _by_beam_search(
    model: "CausalModel", prompt: str, num_beams: int, max_tokens: int, *, json: bool
) -> None:
    found = model.beam_search(prompt, num_beams=num_beams, max_tokens=max_tokens)
    if json:
        print_json([{"prompt": prompt, **one.to_json()} for one in found])
    else:
        print(prompt + (found[0].text if found else ""))
