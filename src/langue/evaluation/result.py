"""What every measurement of a model has in common, whatever was measured."""

from typing import Any, Protocol


class EvaluationResult(Protocol):
    """A table to print, the same figures for machines, and whether the self-tests were passed."""

    @property
    def passed(self) -> bool:
        """Whether every self-test was; true where none was run."""
        ...

    def to_json(self) -> dict[str, Any]:
        """The figures as a table of JSON."""
        ...

    def __str__(self) -> str: ...
