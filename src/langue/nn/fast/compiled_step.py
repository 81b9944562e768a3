"""Whether text is read by one compiled function (`nn/compiled`), the fast form of a network's step."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Literal, cast
from weakref import WeakKeyDictionary

import torch
from torch import nn

Weights = Literal["int8", "bfloat16"]  # that are not float32

FLOAT32, BFLOAT16 = {("cpu", torch.float32)}, {("cpu", torch.bfloat16)}  # all parameters of a network

_laid_out: "WeakKeyDictionary[CompiledForm, tuple[object, Any]]" = WeakKeyDictionary()


class CompiledForm(ABC):
    """A network that has one, once a family adds a method; it is `Quantizable`.

    lay_out(weights): its weights, as the compiled step reads them; None: in float32

    Attributes:
        quantize: "int8" where it is read by products of int8.
    """

    quantize: Literal["int8"] | None = None

    @abstractmethod
    def lay_out(self, weights: Weights | None) -> Any: ...

    def read_in(self, how: Literal["int8"]) -> bool:
        self.quantize = how
        return True

    def compiled(self) -> Any:
        """Its weights laid out, once, and anew when they have changed; None where torch is to read.

        That is taken on a processor, where it is several times as fast as torch operation by operation
        (`benchmarks/generation.py`). Weights of bfloat16 are half as much to read, and multiplied as float32:
        so that needs no processor that multiplies bfloat16.
        """
        if getattr(self, "training", False):
            return None
        parts = list(parameters_of(self))
        state = self.quantize, [(part.data_ptr(), part._version) for part in parts]
        known = _laid_out.get(self)
        if known is not None and known[0] == state:
            return known[1]
        kinds = {(part.device.type, part.dtype) for part in parts}
        if kinds not in (FLOAT32, BFLOAT16):
            return None
        step = self.lay_out(self.quantize or ("bfloat16" if kinds == BFLOAT16 else None))
        _laid_out[self] = state, step
        return step

    def scored_by_step(self) -> bool:
        """Whether texts are scored by the compiled step, too; in float32, torch reads many tokens at once."""
        first = next(parameters_of(self))
        return self.quantize is not None or (first.device.type, first.dtype) in BFLOAT16


def parameters_of(network: CompiledForm) -> Iterator[nn.Parameter]:
    """Those of every module, a tied one more than once: in a third of the time of `nn.Module.parameters`,
    which is half of what a small network takes for a token."""
    modules = [cast(nn.Module, network)]
    while modules:
        module = modules.pop()
        yield from (part for part in module._parameters.values() if part is not None)
        modules.extend(part for part in module._modules.values() if part is not None)
