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
STEPS = 2000  # of the power iteration, at most:
SETTLED = 1e-9  # until shares change by no more in all


@dataclass(frozen=True)
class State:
    number: int
    share: float  # of all tokens, in a long text of many documents
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
    hmm = hidden(loaded)
    start, _, steps, emission = (part.numpy() for part in hmm.parameters)
    transition, share = in_the_long_run(start, steps, emission[hmm.vocabulary.eos])
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


def in_the_long_run(
    start: Float64Array, transition: Float64Array, ends: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Which state follows which `(K, K)`, and the share of each `(K,)`, in a text of many documents.

    Where a document ends the next begins, so a state leads to `start` as often as it emits `<eos>`. Of the
    second order, what comes two before is as frequent as it is then; a mean would be of pairs that never are.

    Args:
        transition: `(K, K)`, or `(K + 1, K, K)` by the state two before, the last of which is none.
        ends: `(K,)` probability of `<eos>` by state.
    """
    K = len(start)
    steps = transition if transition.ndim == 3 else transition[None]
    before = np.arange(K) if len(steps) > 1 else np.zeros(K, np.int64)  # the row of steps after a state
    goes_on = (1 - ends)[:, None]
    pairs = np.zeros((len(steps), K))  # how frequent a state is after another
    pairs[-1] = start
    for _ in range(STEPS):
        flow = np.einsum("hi,hij->ij", pairs, steps) * goes_on
        after = np.zeros_like(pairs)
        np.add.at(after, before, flow)
        after[-1] += pairs.sum(0) @ ends * start
        after /= after.sum()  # tables come from 32 bits
        moved = np.abs(after - pairs).sum()
        pairs = (pairs + after) / 2  # half a step: states that take turns settle too
        if moved < SETTLED:
            break
    share = pairs.sum(0)
    flow = np.einsum("hi,hij->ij", pairs, steps) / np.where(share > 0, share, 1)[:, None]
    flow[share == 0] = steps.mean(0)[share == 0]  # of a state that is never there
    rows = flow * goes_on + ends[:, None] * start
    return rows / rows.sum(1, keepdims=True), share


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
    return loaded.require(HiddenMarkov).model.to_hmm()
