"""Whether text is read by one compiled function (`nn/compiled`), the fast form of a network's step."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Literal
from weakref import WeakKeyDictionary

import torch
from torch import nn

_laid_out: "WeakKeyDictionary[CompiledForm, tuple[object, Any]]" = WeakKeyDictionary()


class CompiledForm(ABC):
    """A network that has one, once a family adds a method; it is `Quantizable`.

    lay_out(int8): its weights, as the compiled step reads them

    Attributes:
        quantize: "int8" where it is read by products of int8.
    """

    quantize: Literal["int8"] | None = None

    @abstractmethod
    def lay_out(self, *, int8: bool) -> Any: ...

    @abstractmethod
    def parameters(self) -> Iterator[nn.Parameter]: ...

    def read_in(self, how: Literal["int8"]) -> bool:
        self.quantize = how
        return True

    def compiled(self) -> Any:
        """Its weights laid out, once, and anew when they have changed; None where torch is to read.

        That is taken in float32 or int8 on a processor, where it is several times as fast as torch operation
        by operation (`benchmarks/generation.py`).
        """
        parts = list(self.parameters())
        fits = {(part.device.type, part.dtype) for part in parts} == {("cpu", torch.float32)}
        if not fits or getattr(self, "training", False):
            return None
        state = self.quantize, [(part.data_ptr(), part._version) for part in parts]
        known = _laid_out.get(self)
        if known is None or known[0] != state:
            known = _laid_out[self] = state, self.lay_out(int8=self.quantize == "int8")
        return known[1]
