"""Attention by compiled code, and its gradient, against the formula in double precision; who takes it."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from langue.nn import attention
from langue.nn.attention import attend
from langue.nn.compiled import isa
from langue.nn.fast import choices
from langue.nn.fast.attention import CompiledAttention
from langue.nn.fast.choices import use_compiled_attention
from langue.nn.machine_class import MachineClass
from langue.nn.mask import Spans, document_spans, packed_mask

LENGTHS = torch.tensor([3, 1, 40, 2, 60, 7, 100])


def spans_of(rule: str, B: int, T: int, S: int) -> Spans:
    if rule == "documents":
        segments = torch.repeat_interleave(torch.arange(len(LENGTHS)), LENGTHS)[:T]
        return Spans(*document_spans(torch.stack([segments, segments.flip(0).contiguous()])[:B]), S)
    begins, ends = torch.zeros(B, T), torch.full((B, T), S)
    if rule == "causal":
        ends = torch.arange(1, T + 1).expand(B, T)
    elif rule == "nothing":  # for some
        begins, ends = torch.randint(S, (B, T)), torch.randint(S + 1, (B, T))
    return Spans(begins, ends, S)


def by_formula(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    k, v = (part.repeat_interleave(q.shape[1] // k.shape[1], 1) for part in (k, v))
    scores = (q @ k.mT * q.shape[-1] ** -0.5).masked_fill(~mask, float("-inf"))
    return torch.nan_to_num(scores.softmax(-1)) @ v


def both_ways(q: Tensor, k: Tensor, v: Tensor, spans: Spans, dy: Tensor) -> tuple[Tensor, ...]:
    y = CompiledAttention.of(q, k, v, spans.begins, spans.ends)
    return (y, *torch.autograd.grad(y, (q, k, v), dy))


@pytest.mark.parametrize(
    ("rule", "shape"),
    [
        ("causal", (2, 4, 4, 1, 1, 16)),
        ("causal", (1, 2, 1, 97, 97, 32)),
        ("documents", (2, 4, 2, 150, 150, 16)),
        ("all", (2, 3, 3, 50, 77, 64)),
        ("nothing", (2, 4, 1, 49, 33, 48)),
    ],
)
def test_values_and_gradients_are_those_of_the_formula(
    rule: str, shape: tuple[int, int, int, int, int, int]
) -> None:
    B, H, G, T, S, D = shape
    torch.manual_seed(0)
    q = torch.randn(B, T, 3 * H * D)[..., H * D : 2 * H * D].view(B, T, H, D).transpose(1, 2)
    k, v = torch.randn(B, G, S, D), torch.randn(B, S, G, D).transpose(1, 2)
    dy, spans = torch.randn(B, H, T, D), spans_of(rule, B, T, S)
    parts = [part.requires_grad_() for part in (q, 2 * k, v)]
    ours = both_ways(*parts, spans, dy)  # type: ignore[call-arg]
    exact = [part.detach().double().requires_grad_() for part in parts]
    y = by_formula(*exact, spans.mask)
    right = (y, *(torch.nan_to_num(part) for part in torch.autograd.grad(y, exact, dy.double())))
    for one, other in zip(ours, right, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=1e-5)


def test_bfloat16_is_widened_and_rounded_once() -> None:
    torch.manual_seed(0)
    parts = [torch.randn(2, heads, 40, 16).bfloat16().requires_grad_() for heads in (4, 2, 2)]
    dy, spans = torch.randn(2, 4, 40, 16).bfloat16(), spans_of("causal", 2, 40, 40)
    ours = both_ways(*parts, spans, dy)  # type: ignore[call-arg]
    exact = [part.detach().double().requires_grad_() for part in parts]
    y = by_formula(*exact, spans.mask)
    for one, other in zip(ours, (y, *torch.autograd.grad(y, exact, dy.double())), strict=True):
        assert one.dtype == torch.bfloat16
        torch.testing.assert_close(one.double(), other, rtol=2**-7, atol=2**-6)


def test_a_head_has_the_same_bits_in_any_batch_and_by_any_number_of_threads() -> None:
    torch.manual_seed(0)
    q, k, v, dy = (torch.randn(3, 4, 70, 16, requires_grad=True) for _ in range(4))
    spans = spans_of("causal", 3, 70, 70)
    whole = both_ways(q, k, v, spans, dy)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = both_ways(q, k, v, spans, dy)
        row = Spans(spans.begins[1:2], spans.ends[1:2], 70)
        one = both_ways(*(part[1:2, 2:] for part in (q, k, v)), row, dy[1:2, 2:])  # type: ignore[call-arg]
    finally:
        torch.set_num_threads(threads)
    for all_of_it, again, some in zip(whole, alone, one, strict=True):
        assert torch.equal(all_of_it, again)
        assert torch.equal(all_of_it[1:2, 2:], some)


@pytest.mark.skipif(
    not isa.FMA, reason="torch's kernel is faster where products are not added in one instruction"
)
@pytest.mark.parametrize("rule", ["causal", "everything", "packed"])
def test_attend_takes_it_for_spans_alone(monkeypatch: pytest.MonkeyPatch, rule: str) -> None:
    monkeypatch.setattr(choices, "SCORES", range(1 << 22))
    torch.manual_seed(0)
    q, k, v = torch.randn(2, 4, 5, 16), torch.randn(2, 2, 5, 16), torch.randn(2, 2, 5, 16)
    segments = torch.tensor([[0, 0, 1, 1, 1], [2, 3, 3, 3, 4]])
    mask = {"causal": "causal", "everything": None, "packed": packed_mask(segments)}[rule]
    assert use_compiled_attention(q, k, 0.0)
    y = attend(q, k, v, mask)  # type: ignore[arg-type]
    monkeypatch.setattr(attention, "use_compiled_attention", lambda *given: False)
    torch.testing.assert_close(y, attend(q, k, v, mask))  # type: ignore[arg-type]
    monkeypatch.setattr(attention, "use_compiled_attention", lambda *given: pytest.fail("a mask is no span"))
    seen = torch.rand(2, 1, 5, 5) < 0.9
    seen |= torch.eye(5, dtype=torch.bool)
    k, v = (part.repeat_interleave(2, 1) for part in (k, v))
    torch.testing.assert_close(attend(q, k, v, seen), F.scaled_dot_product_attention(q, k, v, seen))


def test_other_types_widths_and_dropout_are_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isa, "FMA", True)
    q = torch.ones(4, 4, 128, 32)
    assert use_compiled_attention(q, q, 0.0)
    assert not use_compiled_attention(q, q, 0.1)
    few, narrow = q[:, :, :32], q[..., :24]
    for other in (few, narrow, q.bfloat16(), q.double()):
        assert not use_compiled_attention(other, other, 0.0)
    long = torch.ones(1, 1, 4096, 16)
    assert not use_compiled_attention(long, long, 0.0)
    half = torch.ones(1, 8, 1024, 16).bfloat16()
    for kind in MachineClass:
        monkeypatch.setattr(choices, "processor_class", lambda kind=kind: kind)
        assert use_compiled_attention(half, half, 0.0) == (kind == MachineClass.AVX512_BF16)
    monkeypatch.setattr(isa, "FMA", False)
    assert not use_compiled_attention(q, q, 0.0)


def test_documents_lie_in_spans() -> None:
    begins, ends = document_spans(torch.tensor([[4, 4, 4, 7, 9, 9], [1, 2, 2, 2, 2, 2]]))
    assert begins.tolist() == [[0, 0, 0, 3, 4, 4], [0, 1, 1, 1, 1, 1]]
    assert ends.tolist() == [[3, 3, 3, 4, 6, 6], [1, 6, 6, 6, 6, 6]]


def test_torch_compile_makes_one_graph_of_it() -> None:
    q, mask = torch.randn(2, 2, 5, 16), packed_mask(torch.tensor([[0, 0, 1, 1, 1], [2, 3, 3, 3, 4]]))
    compiled = torch.compile(lambda q, mask: attend(q, q, q, mask), backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(q, mask), attend(q, q, q, mask))
