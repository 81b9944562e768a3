"""The CRF head against autograd through an explicit sum over paths, and as something that learns."""

import itertools

import numpy as np
import pytest
import torch

from langue.corpus.schemes import obeys
from langue.models.chain.chain import Chain, offsets_of
from langue.models.chain.differentiable import log_partition_sum
from langue.models.labels import UNKNOWN_TAG, Labels
from langue.models.layers.crf import CRFHead

B, T, C, K = 3, 4, 5, 3
LENGTHS = torch.tensor([4, 2, 0])


def free(K: int = K) -> Chain:
    return Chain.of(np.zeros((K, K)))


def explicit_loss(head: CRFHead, hidden: torch.Tensor, tags: torch.Tensor) -> torch.Tensor:
    """-log p(tags) with every path written out, for autograd to differentiate."""
    loss = torch.zeros((), dtype=torch.float64)
    transition, start, end = head._chain()
    for row, length in enumerate(LENGTHS.tolist()):
        unary = head.score(hidden[row, :length])
        scores, right = [], []
        for path in itertools.product(range(K), repeat=length):
            score = sum((unary[t, y] for t, y in enumerate(path)), torch.zeros(()))
            score = score + sum(transition[pair] for pair in itertools.pairwise(path))
            if path:
                score = score + start[path[0]] + end[path[-1]]
            scores.append(score)
            if all(tags[row, t] in (UNKNOWN_TAG, y) for t, y in enumerate(path)):
                right.append(score)
        loss = loss + torch.stack(scores).logsumexp(0) - torch.stack(right).logsumexp(0)
    return loss


@pytest.fixture
def head() -> CRFHead:
    torch.manual_seed(0)
    head = CRFHead(C, free()).double()
    for parameter in (head.transition, head.start, head.end):
        torch.nn.init.normal_(parameter)
    return head


@pytest.mark.parametrize("unknown", [False, True])
def test_loss_and_gradients_are_those_of_the_explicit_sum(head: CRFHead, unknown: bool) -> None:
    hidden = torch.randn(B, T, C, dtype=torch.float64, requires_grad=True)
    tags = torch.randint(0, K, (B, T))
    if unknown:
        tags[0, 1] = tags[1, 0] = UNKNOWN_TAG
    tensors = [hidden, *head.parameters()]
    ours = head.loss(hidden, tags, LENGTHS)
    gradients = torch.autograd.grad(ours, tensors)
    expected = explicit_loss(head, hidden, tags)
    for one, other in zip(gradients, torch.autograd.grad(expected, tensors), strict=True):
        assert torch.allclose(one, other, atol=1e-8)
    assert float(ours.detach()) == pytest.approx(float(expected.detach()), rel=1e-6)


def test_gradcheck() -> None:
    torch.manual_seed(1)
    inputs = [
        torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in ((6, K), (K, K), (K,), (K,))
    ]
    offsets = offsets_of([4, 0, 2])
    assert torch.autograd.gradcheck(lambda *parts: log_partition_sum(*parts, offsets), inputs)


@torch.no_grad()
def test_what_stands_beyond_the_length_is_not_looked_at(head: CRFHead) -> None:
    hidden, tags = torch.randn(B, T, C, dtype=torch.float64), torch.randint(0, K, (B, T))
    loss = float(head.loss(hidden, tags, LENGTHS))
    padded = torch.cat([hidden, torch.full((B, 3, C), 1e6, dtype=torch.float64)], 1)
    more = torch.cat([tags, torch.zeros(B, 3, dtype=torch.int64)], 1)
    assert float(head.loss(padded, more, LENGTHS)) == loss
    assert [found.tolist() for found in head.tag(padded, LENGTHS)] == [
        f.tolist() for f in head.tag(hidden, LENGTHS)
    ]
    alone = sum(float(head.loss(hidden[i : i + 1], tags[i : i + 1], LENGTHS[i : i + 1])) for i in range(B))
    assert alone == pytest.approx(loss, rel=1e-6)
    for found, length in zip(head.marginals(hidden, LENGTHS), LENGTHS.tolist(), strict=True):
        assert found.shape == (length, K)
        assert found.sum(1) == pytest.approx(np.ones(length))


def test_it_learns_what_only_neighbours_tell_and_keeps_to_the_scheme() -> None:
    """The hidden states say nothing of where a span ends; transitions and constraints do."""
    torch.manual_seed(0)
    labels = Labels(("B-X", "E-X", "O", "S-X"), "BIOES", "BIOES")
    head = CRFHead(2, labels.chain(constraints=True))
    hidden = torch.randn(16, 6, 2)
    tags = torch.tensor([[0, 1, 2, 0, 1, 2]] * 16)
    lengths = torch.full((16,), 6)
    before = float(head.loss(hidden, tags, lengths).detach())
    optimiser = torch.optim.Adam(head.parameters(), lr=0.1)
    for _ in range(60):
        optimiser.zero_grad()
        loss = head.loss(hidden, tags, lengths)
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < before / 2
    for found in head.tag(torch.randn(20, 9, 2) * 10, torch.full((20,), 9)):
        assert obeys([labels.names[k] for k in found], "BIOES")


def test_weights_come_back_and_constraints_are_not_among_them(head: CRFHead) -> None:
    other = CRFHead(C, free()).double()
    other.load_state_dict(head.state_dict())
    assert not any(name.startswith("fixed") for name in head.state_dict())
    hidden = torch.randn(B, T, C, dtype=torch.float64)
    for one, two in zip(head.marginals(hidden, LENGTHS), other.marginals(hidden, LENGTHS), strict=True):
        assert np.array_equal(one, two)
