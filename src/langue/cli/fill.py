"""`langue fill`: what stands behind each `[MASK]`, as small bar charts, and the text with all filled."""

from typing import Annotated

import langue
from langue.cli.options import MOST, Json, Quiet, Seed, print_json, text_of
from langue.cli.parameters import Argument, Option

BAR = 40  # columns of a bar of probability 1


def command(
    model: Annotated[str, Argument(help="Folder of a model that reads in both directions.")],
    text: Annotated[str, Argument(callback=text_of, help="A text with [MASK] where a token is missing.")],
    top: Annotated[int, Option(min=1, max=MOST, help="How many candidates to show for each gap.")] = 5,
    num_masks: Annotated[int, Option(min=0, max=MOST, help="Add so many [MASK] to the text.")] = 0,
    rounds: Annotated[
        int, Option(min=1, max=MOST, help="Rounds in which doubtful gaps are filled again.")
    ] = 10,
    temperature: Annotated[float, Option(min=0.0, help="0 always takes the likeliest token.")] = 0.0,
    seed: Seed = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fill the gaps of a text from both sides: "The capital of [MASK] is Paris", "床前明月[MASK]"."""
    from rich.cells import cell_len

    filled = langue.MaskedModel.load(model).fill(
        text, k=top, num_masks=num_masks, rounds=rounds, temperature=temperature, seed=seed
    )
    if json:
        print_json(filled.to_json())
        return
    for gap in filled.gaps:
        shown = [repr(token)[1:-1] for token, _ in gap.candidates]
        width = max(map(cell_len, shown))
        for token, (_, probability) in zip(shown, gap.candidates, strict=True):
            padding = " " * (width - cell_len(token))  # a Chinese character fills two columns
            print(f"{token}{padding}  {probability:7.2%}  {'█' * round(probability * BAR)}".rstrip())
        print()
    print(filled.text)
