"""Which split a document belongs to: a pure function of its text.

Equal texts always land together, so an exact duplicate never straddles train and test; adding
documents later moves none of the old ones.
"""

import hashlib

from langue.corpus.config import DataConfig

SPLITS = ("train", "valid", "test")


def assign(text: str, config: DataConfig) -> str:
    """`train`, `valid` or `test`, by the hash of the normalized text."""
    key = config.seed.to_bytes(8, "little", signed=True)
    value = hashlib.blake2b(text.encode(), digest_size=8, key=key).digest()
    share = int.from_bytes(value, "little") / 2**64
    if share < config.test_fraction:
        return "test"
    return "valid" if share < config.test_fraction + config.valid_fraction else "train"
