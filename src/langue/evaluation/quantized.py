"""What int8 costs a model: bits per byte of the same documents, in float32 and in int8."""

from dataclasses import dataclass
from typing import Any

from langue.evaluation.evaluate import Evaluation
from langue.nn.quantized import TOLERANCE, Measured


@dataclass(frozen=True, repr=False)
class QuantizedEvaluation:
    """A model measured in int8, and beside it in float32."""

    evaluation: Evaluation
    float32: Evaluation
    figures: Measured

    @property
    def passed(self) -> bool:
        return self.evaluation.passed

    def to_json(self) -> dict[str, Any]:
        return self.evaluation.to_json() | {
            "quantize": self.figures.quantize,
            "float32_bits_per_byte": self.figures.float32_bits_per_byte,
            "rise": self.figures.rise,
            "tolerance": TOLERANCE,
        }

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return f"{self.evaluation}\nint8             {self.figures.line()}"
