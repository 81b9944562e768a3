"""`langue generate`: continue a text, as it is written."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from langue.base.errors import LangueError
from langue.cli.options import Json, Quiet, Seed, finite, print_json, text_of, texts_of
from langue.cli.parameters import Argument, Given, Option

if TYPE_CHECKING:
    from langue.generation.generate import Writer

MOST_TOKENS = 10_000_000
MOST_BEAMS = 1000  # each is a text that is held
OF_DRAWING = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty", "stop", "seed")


def command(
    given: Given,
    model: Annotated[str, Argument(help="Model folder.")],
    prompt: Annotated[
        str, Argument(help="Text to continue; empty for a new document.", callback=text_of)
    ] = "",
    max_tokens: Annotated[int, Option(min=0, max=MOST_TOKENS, help="Stop after this many tokens.")] = 100,
    temperature: Annotated[
        float, Option(min=0.0, callback=finite, help="0 always takes the likeliest token.")
    ] = 0.8,
    top_k: Annotated[int, Option(min=0, help="Keep the k likeliest tokens; 0 keeps all.")] = 0,
    top_p: Annotated[
        float,
        Option(min=0.0, max=1.0, callback=finite, help="Keep the likeliest tokens up to this mass."),
    ] = 0.95,
    min_p: Annotated[
        float,
        Option(min=0.0, max=1.0, callback=finite, help="Drop tokens below this share of the best."),
    ] = 0.0,
    repetition_penalty: Annotated[
        float, Option(min=0.01, callback=finite, help="Above 1, makes repeats less likely.")
    ] = 1.0,
    stop: Annotated[
        list[str] | None, Option(callback=texts_of, help="End before this text; may be repeated.")
    ] = None,
    seed: Seed = 0,
    source: Annotated[
        str | None,
        Option(
            "--source",
            metavar="TEXT",
            callback=text_of,
            help="Write the target of this source, by a model of pairs.",
        ),
    ] = None,
    num_beams: Annotated[
        int,
        Option(
            min=0,
            max=MOST_BEAMS,
            help="The likeliest texts by beam search, this many held; draws nothing.",
        ),
    ] = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Continue a text, printed as it comes."""
    from langue import api

    if "" in (stop or ()):
        raise LangueError(
            "--stop '' would end every text before its first token; give some text, or leave it out"
        )
    if num_beams:
        _refuse_drawing(given)
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


def _refuse_drawing(given: Given) -> None:
    """Beam search draws nothing: what says how to draw would be passed over."""
    drawing = [name for name in OF_DRAWING if name in given.names]
    if drawing:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in drawing)
        raise LangueError(f"--num-beams takes the likeliest texts and draws nothing; leave out {options}")


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
