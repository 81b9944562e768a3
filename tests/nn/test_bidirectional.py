"""A last layer computed at some positions against all of it at these positions."""

import pytest
import torch

from langue.nn.attention import Attention
from langue.nn.bidirectional import attend_at
from langue.nn.mask import Spans, document_mask

SEGMENTS = torch.tensor([[0, 0, 1, 1, 1], [2, 3, 3, 3, 4], [5, 5, 5, 5, 5]])


@pytest.mark.parametrize("positions", [[], [3], [0, 1, 2, 9, 14], [14, 0, 7, 6], list(range(15))])
@pytest.mark.parametrize("rule", ["everything", "documents", "heads"])
def test_attention_at_positions_is_attention_there(positions: list[int], rule: str) -> None:
    torch.manual_seed(0)
    layer = Attention(8, 2, 2).eval()
    x = torch.randn(3, 5, 8)
    mask = {
        "everything": None,
        "documents": document_mask(SEGMENTS),
        "heads": torch.randn(3, 2, 5, 5),
    }[rule]
    at = torch.tensor(positions, dtype=torch.int64)
    there, y = attend_at(layer, x, mask, at)
    assert torch.equal(there, x.flatten(0, 1)[at])
    torch.testing.assert_close(y, layer(x, mask).flatten(0, 1)[at])


def test_documents_do_not_see_each_other_and_one_alone_needs_no_mask() -> None:
    mask = document_mask(SEGMENTS)
    assert isinstance(mask, Spans)
    assert mask.mask[1, 0].tolist() == [[a == b for b in (2, 3, 3, 3, 4)] for a in (2, 3, 3, 3, 4)]
    assert document_mask(SEGMENTS[2:]) is None
