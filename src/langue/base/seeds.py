"""Random streams that are a pure function of a seed and of what they are for.

`generator(seed, "batches", step)` gives the same numbers whatever was drawn before, elsewhere, or
in a run that was stopped and resumed: no state is carried, so none has to be saved.
"""

import hashlib

import numpy as np


def derive(seed: int, *purpose: str | int) -> int:
    """A 64-bit seed for one purpose, independent of the seeds of all others."""
    text = "\x1f".join([str(seed), *map(str, purpose)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """NumPy's counter-based Philox generator, keyed by `derive(seed, *purpose)`."""
    return np.random.Generator(np.random.Philox(key=derive(seed, *purpose)))
