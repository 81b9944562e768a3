"""Room for keys and values is whatever stood in memory: here no number at all, which would show anywhere."""

import numpy as np
import pytest

from langue.nn.compiled import layout, seq2seq, transformer


@pytest.fixture(autouse=True)
def no_numbers(monkeypatch):
    aligned = layout.aligned

    def filled(shape, dtype):
        room = aligned(shape, dtype)
        room.fill(np.nan if np.dtype(dtype).kind == "f" else 99)
        return room

    for module in (layout, seq2seq, transformer):
        monkeypatch.setattr(module, "aligned", filled)
