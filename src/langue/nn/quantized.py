"""Networks read in int8: which can be, and what that costs, as it was measured once for a model folder.

`quantized.json` stands beside what the folder's description records, which it leaves as it is: it names the
digest of that description, and is of no other weights.
"""

from pathlib import Path
from typing import Any, Literal

import msgspec

from langue.base.bounds import PositiveFloat
from langue.base.config import convert
from langue.base.errors import InvalidSetting, Unsupported
from langue.base.files import read_json, write_json
from langue.base.progress import log
from langue.protocols import Quantizable

FILE = "quantized.json"
TOLERANCE = 0.002  # share by which bits per byte may rise
Quantize = Literal["int8"]


class Measured(msgspec.Struct, forbid_unknown_fields=True):
    """The contents of `quantized.json`."""

    quantize: Quantize
    of: str | None  # digest of the description of the folder
    measured_on: str
    bits_per_byte: PositiveFloat
    float32_bits_per_byte: PositiveFloat

    @property
    def rise(self) -> float:
        """Share of the bits per byte of float32."""
        return self.bits_per_byte / self.float32_bits_per_byte - 1

    def line(self) -> str:
        """For people."""
        bits = f"{self.bits_per_byte:.4f} bits per byte, float32 has {self.float32_bits_per_byte:.4f}"
        return f"{bits}: {self.rise:+.2%}, where up to {TOLERANCE:+.1%} is taken for equal"


def quantize(model: Any, how: Quantize, *, family: str, path: Path) -> None:
    """Have the networks of a model read in int8 from now on.

    Raises:
        InvalidSetting: how is not "int8".
        Unsupported: no part of it can be.
    """
    if how != "int8":
        raise InvalidSetting(f"unknown quantize {how}; known: int8")
    if not isinstance(model, Quantizable) or not model.read_in(how):
        raise Unsupported(f"{path} ({family}) has no form in int8; leave --quantize out")


def keep(path: Path, figures: Measured) -> None:
    """Write what was measured into a model folder, whole or not at all."""
    write_json(path / FILE, msgspec.to_builtins(figures))


def known(path: Path, digest: str | None) -> Measured | None:
    """What was measured of the weights of a folder; None where that was not done.

    Raises:
        Damaged: the file is not what `keep` writes.
    """
    if not (path / FILE).is_file():
        return None
    figures = convert(Measured, read_json(path / FILE), path / FILE)
    return figures if figures.of == digest else None


def warn(path: Path, digest: str | None) -> None:
    """Say it where a model is read in int8 and nobody knows what that costs, or it costs too much."""
    figures = known(path, digest)
    if figures is None:
        log.warning(
            "what int8 costs %s was never measured; do it once: langue evaluate %s STORE --quantize int8",
            path,
            path,
        )
    elif figures.rise > TOLERANCE:
        log.warning("%s is worse in int8: %s", path, figures.line())
