"""Which guessed tokens a model takes: speculative sampling (Leviathan et al. 2023, algorithm 1)."""

import numpy as np

from langue.base.compiled import njit
from langue.nn.compiled.choice import pick, weigh
from langue.nn.compiled.numbers import largest

F = np.float32


@njit
def accept(log_probs, guesses, guessed_by, leads, state, settings, numbers, end, tokens):
    """Fill `tokens` with guesses that are accepted, and behind them one that is drawn.

    A guess x is accepted with probability min(1, p(x) / q(x)); the first that is not gives way to one drawn
    from (p - q)+; behind the last stands one drawn from p. So each token is drawn from p, whatever q is.

    Args:
        log_probs: `(k + 1, V)`, of the model, before each guess and after the last.
        guesses: `(k,)`. guessed_by: `(k, V)`, weights q that each was drawn by.
        leads, state, settings: of `choose`; p is what it draws from.
        numbers: `(k + 1, 2)` in [0, 1): whether a guess is accepted, and what is drawn.
        end: the token behind which nothing is drawn.
        tokens: `(k + 1,)`.

    Returns:
        How many tokens there are, and how many of them are guesses; fewer where nothing may follow.
    """
    V = log_probs.shape[1]
    p = np.empty(V, F)
    for t in range(len(guesses)):
        if not weigh(log_probs[t], leads[state], settings, p):
            return t, t
        guess, q = guesses[t], guessed_by[t]
        whole, of_q = _total(p), _total(q)
        if numbers[t, 0] * q[guess] * whole >= p[guess] * of_q:
            for id in range(V):  # of the two, each with a sum of 1
                p[id] = max(p[id] / F(whole) - q[id] / F(of_q), F(0))
            if largest(p) == 0:  # they are equal, but for rounding
                weigh(log_probs[t], leads[state], settings, p)
            tokens[t] = pick(p, numbers[t, 1])
            return t + 1, t
        tokens[t] = guess
        if guess == end:
            return t + 1, t + 1
        state = leads[state, guess]
    k = len(guesses)
    if not weigh(log_probs[k], leads[state], settings, p):
        return k, k
    tokens[k] = pick(p, numbers[k, 1])
    return k + 1, k


@njit
def _total(weights):
    total = 0.0
    for weight in weights:
        total += np.float64(weight)
    return total
