"""Which form of a kernel runs, the plain one in `nn/` or the fast one beside this file, and how large its
pieces are. By what a tensor is, never by a measurement: a run and its resumption must choose alike."""

from typing import Literal

import torch
from torch import Tensor

from langue.nn.machine_class import MachineClass, onednn_is_faster, processor_class

EXPLICIT_UP_TO = 512  # context on a CPU: beyond, the (T, T) matrices cost more than they save
CHUNK_LOGITS = 1 << 25  # logits held at once: 64 MB in bfloat16
TILE = 32  # bfloat16 numbers that the matrix unit of a processor takes at a time
REGISTER = 16  # float32 numbers of AVX-512
LARGE = 1 << 26  # multiplications of a product: what oneDNN gains there pays for a shape that it sees first
# Scores of one head that are worth panels, and that its gradient can well keep at once.
SCORES = range((1 << 12) + 1, (1 << 22) + 1)
MANY = 1 << 15  # numbers that are worth several passes in place of a slow one
CACHED = 1 << 18  # float32 numbers, 1 MB, that stay in a core's cache from one pass over them to the next


def use_explicit_attention(query: Tensor) -> bool:
    """Whether the formula beats torch's fused kernel: 2.7 times on a CPU in bfloat16."""
    short = 1 < query.shape[-2] <= EXPLICIT_UP_TO
    return query.device.type == "cpu" and query.dtype == torch.bfloat16 and short


def use_compiled_attention(q: Tensor, k: Tensor, dropout: float) -> bool:
    """Whether compiled code in float32 beats torch's fused kernel: 1.3 to 2.3 times with FMA, more with
    documents; in bfloat16, of AMD's processors, where it beats the formula as well."""
    (T, D), S = q.shape[2:], k.shape[2]
    if q.device.type != "cpu" or D % 16 or dropout or torch.compiler.is_compiling():
        return False
    long_half = q.dtype == torch.bfloat16 and T > EXPLICIT_UP_TO
    if q.dtype != torch.float32 and not (long_half and processor_class() == MachineClass.AVX512_BF16):
        return False
    if T * S not in SCORES:
        return False
    from langue.nn.compiled.isa import FMA  # numba, which bfloat16 and a GPU do without

    return FMA


def use_onednn_products(x: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN multiplies x `(…, K)` by a weight `(N, K)`, 1.1 to 2.3 times as fast as MKL."""
    return (
        x.numel() * len(weight) >= LARGE
        and x.dtype == weight.dtype == torch.float32
        and x.device.type == "cpu"
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and onednn_is_faster()
    )


def use_bit_dropout(x: Tensor) -> bool:
    """Whether random bits are shared: a fifth of the time of torch's dropout on a CPU."""
    return x.device.type == "cpu" and not torch.compiler.is_compiling()


def use_sigmoid_gelu(x: Tensor) -> bool:
    """Whether tanh in GELU is a sigmoid: of few numbers, passes take longer to begin than to make."""
    known = x.dtype in (torch.float32, torch.bfloat16)
    return known and x.device.type == "cpu" and x.numel() >= MANY and not torch.compiler.is_compiling()


def use_chunked_cross_entropy() -> bool:
    """Whether the gradient is made with the loss: wherever one is wanted, for it saves the logits."""
    return torch.is_grad_enabled()


def lstm_kernel(x: Tensor, resets: bool) -> Literal["torch", "rows", "columns", "plain"]:
    """What reads `(B, T, inputs)`. On a CPU `lstm_columns.py` learns faster in bfloat16, `lstm_rows.py` where
    a document begins within a row; torch lays out weights anew for one step (`benchmarks/lstm_step.py`)."""
    cpu, half = x.device.type == "cpu", torch.is_autocast_enabled("cpu")
    if cpu and torch.is_grad_enabled():
        return "columns" if half else "rows" if resets else "torch"
    return "plain" if cpu and x.shape[1] == 1 and not half else "torch"


def rows_per_chunk(V: int) -> int:
    """Rows of logits over V tokens that are held at once."""
    return max(CHUNK_LOGITS // V, 1)


def chunk_size(x: Tensor) -> int:
    """How many numbers several passes in a row are best made over at a time."""
    return CACHED if x.device.type == "cpu" else max(x.numel(), 1)


def padded_width(width: int, like: Tensor) -> int:
    """The width, or the next one fast in products: in bfloat16 on a CPU, 650 takes twice as long as 672."""
    return -(-width // TILE) * TILE if like.device.type == "cpu" and like.dtype == torch.bfloat16 else width


def pad_to(x: Tensor, *shape: int, dtype: torch.dtype) -> Tensor:
    """A tensor padded with zeros at the end of each axis, in another type, by one copy."""
    if x.shape == shape:
        return x.to(dtype)
    padded = torch.zeros(shape, dtype=dtype, device=x.device)
    padded[tuple(map(slice, x.shape))] = x
    return padded
