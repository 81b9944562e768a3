"""What the hidden states of an HMM are: the words each emits, where each leads, and what is behind a text."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from langue.base.arrays import Float64Array
from langue.generation.generate import shown
from langue.models.folder import ModelFolder
from langue.protocols import HiddenMarkov
from langue.tokens.tokenizer import Tokenizer

DRAWN = 40  # states of the matrix that is drawn: two columns each on a wide terminal
SHADES = " ░▒▓█"
STEPS = 200  # of the power iteration: the share of each state settles long before


@dataclass(frozen=True)
class State:
    number: int
    share: float  # of all tokens, in the long run
    words: list[tuple[str, float]]  # with p(word | state), likeliest first
    next: list[tuple[int, float]]  # states that follow, with their probabilities


@dataclass(frozen=True)
class Picture:
    """The states from the commonest to the rarest."""

    states: list[State]
    transition: Float64Array  # (K, K), in their numbers

    def to_json(self) -> list[dict[str, Any]]:
        return [
            {
                "state": state.number,
                "share": state.share,
                "words": [{"word": word, "probability": p} for word, p in state.words],
                "next": [{"state": number, "probability": p} for number, p in state.next],
            }
            for state in self.states
        ]

    def __str__(self) -> str:
        lines = [
            f"{state.number:4} {state.share:7.2%}  {' '.join(word for word, _ in state.words)}"
            f"  → {', '.join(f'{number} ({p:.0%})' for number, p in state.next)}"
            for state in self.states
        ]
        return "\n".join(["state   share  likeliest words → states that follow", *lines, "", *self._matrix()])

    def _matrix(self) -> list[str]:
        """The commonest states, from row to column, in shades of the square root of the probability."""
        shown = [state.number for state in self.states[:DRAWN]]
        lines = [f"transitions of the {len(shown)} commonest states, from row to column, in the order above"]
        for row in shown:
            shades = np.ceil(np.sqrt(self.transition[row, shown]) * (len(SHADES) - 1) - 0.25).astype(int)
            lines.append(f"{row:4} {''.join(2 * SHADES[max(shade, 0)] for shade in shades)}")
        return lines


def picture(loaded: ModelFolder[Any], tokenizer: Tokenizer, *, top: int) -> Picture:
    """Every state with its `top` words."""
    transition, emission = (part.numpy() for part in hidden(loaded).parameters[2:])
    if transition.ndim == 3:  # of the second order: averaged over the state two before
        transition = transition.mean(0)
    share = np.full(len(transition), 1 / len(transition))
    for _ in range(STEPS):
        share = share @ transition
        share /= share.sum()  # tables come from 32 bits
    states = [
        State(
            int(k),
            float(share[k]),
            [(shown(tokenizer, int(id)), float(emission[id, k])) for id in np.argsort(-emission[:, k])[:top]],
            [(int(j), float(transition[k, j])) for j in np.argsort(-transition[k])[:3]],
        )
        for k in np.argsort(-share, kind="stable")
    ]
    return Picture(states, transition)


def behind(loaded: ModelFolder[Any], tokenizer: Tokenizer, text: str) -> list[dict[str, Any]]:
    """Each token of a normalized text with its state on the best path, and that state's posterior."""
    ids = tokenizer.encode(text)
    (path,) = hidden(loaded).states([ids])
    return [
        {"token": shown(tokenizer, int(id)), "state": int(state), "posterior": float(posteriors[state])}
        for id, state, posteriors in zip(ids, path.states, path.posteriors, strict=True)
    ]


def hidden(loaded: ModelFolder[Any]) -> Any:
    """The HMM of a model folder.

    Raises:
        Unsupported: the model has no hidden states of that kind.
    """
    return loaded.require(HiddenMarkov).model.hmm
