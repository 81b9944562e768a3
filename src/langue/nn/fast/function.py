"""torch's functions with a gradient of their own, called with a type."""

from typing import Any

import torch


class Function(torch.autograd.Function):
    @classmethod
    def of(cls, *arguments: object) -> Any:
        """`apply`, which torch has no type for."""
        return cls.apply(*arguments)  # type: ignore[no-untyped-call]
