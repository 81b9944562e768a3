"""Heads against autograd through an explicit sum over paths, and as something that learns."""

import itertools

import numpy as np
import pytest
import torch

from langue.corpus.schemes import obeys
from langue.inference.chain import Chain, offsets_of
from langue.inference.differentiable import log_partition_sum
from langue.models.taggers.heads import HEADS, CRFHead, Head, LabelHead, SoftmaxHead
from langue.models.taggers.labels import UNKNOWN_TAG, Labels

C, K = 5, 3
LENGTHS = [4, 2, 0]
N = sum(LENGTHS)


def free(K: int = K) -> Chain:
    return Chain.of(np.zeros((K, K)))


def explicit_loss(head: LabelHead, hidden: torch.Tensor, tags: torch.Tensor) -> torch.Tensor:
    """-log p(tags) with every path written out, for autograd to differentiate."""
    loss = torch.zeros((), dtype=torch.float64)
    transition, start, end = head.chain()
    for states, known in zip(hidden.split(LENGTHS), tags.split(LENGTHS), strict=True):
        unary = head.score(states)
        scores, right = [], []
        for path in itertools.product(range(K), repeat=len(states)):
            score = sum((unary[t, y] for t, y in enumerate(path)), torch.zeros(()))
            score = score + sum(transition[pair] for pair in itertools.pairwise(path))
            if path:
                score = score + start[path[0]] + end[path[-1]]
            scores.append(score)
            if all(known[t] in (UNKNOWN_TAG, y) for t, y in enumerate(path)):
                right.append(score)
        loss = loss + torch.stack(scores).logsumexp(0) - torch.stack(right).logsumexp(0)
    return loss


@pytest.fixture(params=["crf", "softmax"])
def head(request: pytest.FixtureRequest) -> LabelHead:
    torch.manual_seed(0)
    kind: Head = request.param
    head = HEADS[kind](C, free()).double()
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter)
    return head


@pytest.mark.parametrize("unknown", [False, True])
def test_loss_and_gradients_are_those_of_the_explicit_sum(head: LabelHead, unknown: bool) -> None:
    hidden = torch.randn(N, C, dtype=torch.float64, requires_grad=True)
    tags = torch.randint(0, K, (N,))
    if unknown:
        tags[1] = tags[4] = UNKNOWN_TAG
    tensors = [hidden, *head.parameters()]
    ours = head.loss(hidden, tags, LENGTHS)
    gradients = torch.autograd.grad(ours, tensors)
    expected = explicit_loss(head, hidden, tags)
    for one, other in zip(gradients, torch.autograd.grad(expected, tensors), strict=True):
        assert torch.allclose(one, other, atol=1e-7)
    assert float(ours.detach()) == pytest.approx(float(expected.detach()), rel=1e-6)


def test_gradcheck() -> None:
    torch.manual_seed(1)
    inputs = [
        torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in ((6, K), (K, K), (K,), (K,))
    ]
    offsets = offsets_of([4, 0, 2])
    assert torch.autograd.gradcheck(lambda *parts: log_partition_sum(*parts, offsets), inputs)


@torch.no_grad()
def test_sequences_do_not_touch_each_other(head: LabelHead) -> None:
    hidden, tags = torch.randn(N, C, dtype=torch.float64), torch.randint(0, K, (N,))
    parts = list(zip(hidden.split(LENGTHS), tags.split(LENGTHS), strict=True))
    alone = sum(float(head.loss(*part, [len(part[0])])) for part in parts)
    assert alone == pytest.approx(float(head.loss(hidden, tags, LENGTHS)), rel=1e-6)
    found = zip(head.tag(hidden, LENGTHS), head.marginals(hidden, LENGTHS), parts, strict=True)
    for labels, shares, (states, _) in found:
        assert shares.shape == (len(states), K)
        assert shares.sum(1) == pytest.approx(np.ones(len(states)))
        assert labels.tolist() == head.tag(states, [len(states)])[0].tolist()
        assert shares == pytest.approx(head.marginals(states, [len(states)])[0])


@torch.no_grad()
def test_the_best_labelings_are_those_of_enumeration(head: LabelHead) -> None:
    hidden = torch.randn(3, C, dtype=torch.float64)
    every = [
        (-float(head.loss(hidden, torch.tensor(path), [3])), path)
        for path in itertools.product(range(K), repeat=3)
    ]
    found = head.best(hidden, K**3)
    for (score, path), (expected, right) in zip(found, sorted(every, reverse=True), strict=True):
        assert score == pytest.approx(expected, abs=1e-5)
        assert tuple(path) == right
    assert np.exp([score for score, _ in found]).sum() == pytest.approx(1)


def test_it_learns_what_only_neighbors_tell_and_keeps_to_the_scheme() -> None:
    """The hidden states say nothing of where a span ends; transitions and constraints do."""
    torch.manual_seed(0)
    labels = Labels(("B-X", "E-X", "O", "S-X"), "BIOES", "BIOES")
    head = CRFHead(2, labels.chain(constraints=True))
    hidden, tags, lengths = torch.randn(96, 2), torch.tensor([0, 1, 2, 0, 1, 2] * 16), [6] * 16
    before = float(head.loss(hidden, tags, lengths).detach())
    optimizer = torch.optim.Adam(head.parameters(), lr=0.1)
    for _ in range(60):
        optimizer.zero_grad()
        loss = head.loss(hidden, tags, lengths)
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < before / 2
    softmax = SoftmaxHead(2, labels.chain(constraints=True))
    for chosen in (head, softmax):
        for found in chosen.tag(torch.randn(180, 2) * 10, [9] * 20):
            assert obeys([labels.names[k] for k in found], "BIOES")


def test_weights_come_back_and_constraints_are_not_among_them(head: LabelHead) -> None:
    other = type(head)(C, free()).double()
    other.load_state_dict(head.state_dict())
    assert not any(name.startswith("fixed") for name in head.state_dict())
    hidden = torch.randn(N, C, dtype=torch.float64)
    for one, two in zip(head.marginals(hidden, LENGTHS), other.marginals(hidden, LENGTHS), strict=True):
        assert np.array_equal(one, two)
