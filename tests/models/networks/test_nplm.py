"""The feed-forward model against the formula of the paper, a token at a time."""

import numpy as np
import pytest

from langue.base.config import decode
from langue.models.networks.nplm import NPLM, NPLMConfig, build
from langue.protocols import Vocabulary

V = 11


def model_of(direct: bool) -> NPLM:
    return build(NPLMConfig(order=4, width=3, hidden=5, direct=direct), Vocabulary(V, 0), 7).eval()


@pytest.mark.parametrize("direct", [False, True])
def test_equals_the_formula_of_the_paper(direct: bool) -> None:
    """log softmax(b + W x + U tanh(d + H x)) in float64, with the context as a list of words."""
    model = model_of(direct)
    C, H, d, head, b = (
        weight.detach().double().numpy()
        for weight in (
            model.embedding.weight,
            model.hidden.weight,
            model.hidden.bias,
            model.head.weight,
            model.head.bias,
        )
    )
    U, W = head[:, :5], head[:, 5:]
    ids = [4, 9, 9, 1, 7, 0]
    words = [0, 0, 0, *ids]
    expected = []
    for t, word in enumerate(ids):
        x = np.concatenate([C[word] for word in words[t : t + 3]])
        y = b + U @ np.tanh(d + H @ x) + (W @ x if direct else 0)
        expected.append(y[word] - np.log(np.exp(y).sum()))
    assert model.log_probs([np.array(ids)])[0] == pytest.approx(np.array(expected), abs=1e-5)


def test_sees_no_further_than_its_order() -> None:
    model = model_of(direct=True)
    one, other = (model.next_log_probs([np.array(ids)]) for ids in ([1, 5, 6, 7], [2, 5, 6, 7]))
    assert np.array_equal(one, other)
    assert not np.array_equal(one, model.next_log_probs([np.array([1, 4, 6, 7])]))


def test_order_one_is_refused() -> None:
    with pytest.raises(Exception, match="order 1 sees no word"):
        decode(NPLMConfig, {"order": 1}, "model")
