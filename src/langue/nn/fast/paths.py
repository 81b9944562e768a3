"""The fast paths by name: what each needs, and which of them a machine takes. `choices.py` chooses them."""

from typing import NamedTuple

import torch

from langue.nn.fast.choices import EXPLICIT_UP_TO
from langue.nn.machine_class import MachineClass, onednn_is_faster, processor_class
from langue.nn.precision import fast_dtype


class FastPath(NamedTuple):
    """What runs in place of the plain form, what it needs, and whether a machine has that."""

    name: str
    needs: str
    taken: bool


def fast_paths(device: torch.device) -> list[FastPath]:
    """The forms that training takes on a machine with `training.precision = "auto"`."""
    on_cpu = device.type == "cpu"
    half = fast_dtype(device) == torch.bfloat16
    from langue.nn.compiled.isa import FMA  # numba, which training in bfloat16 does without

    short = f"bfloat16 on a processor, context up to {EXPLICIT_UP_TO}"
    return [
        FastPath("products in bfloat16", "a machine that is fast in it", half),
        FastPath("attention by its formula", short, on_cpu and half),
        FastPath(
            "compiled attention",
            f"float32 on a processor with FMA; bfloat16 on AMD's, context above {EXPLICIT_UP_TO}",
            on_cpu and FMA and (not half or processor_class() == MachineClass.AVX512_BF16),
        ),
        FastPath("LSTM by columns", "bfloat16 on a processor", on_cpu and half),
        FastPath(
            "LSTM by rows where documents begin within them", "float32 on a processor", on_cpu and not half
        ),
        FastPath("padded widths", "bfloat16 on a processor", on_cpu and half),
        FastPath("LSTM step without a layout", "a processor", on_cpu),
        FastPath("compiled step of generation", "a processor, float32, bfloat16 or int8", on_cpu),
        FastPath("drafts in int8 of a text in float32", "a processor, a GPT-2 of some size", on_cpu),
        FastPath("dropout by shared bits", "a processor", on_cpu),
        FastPath("tanh of GELU by a sigmoid", "a processor", on_cpu),
        FastPath("large float32 products by oneDNN", "AMD, AVX2", on_cpu and onednn_is_faster()),
        FastPath("chunked cross-entropy", "nothing", True),
        FastPath("Muon by Gram matrices", "float32", not half),
    ]
