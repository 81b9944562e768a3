"""What came of fine-tuning, and of training a tagger from scratch: figures of several seeds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langue.tasks.learn import SeedResult, label_of, spread


@dataclass(frozen=True)
class FinetuneResult:
    """Figures of all seeds: of the validation file, and of the test file if there is one."""

    valid: list[Any]  # scores, of the best epoch of each seed
    test: list[Any]
    seeds: list[int]
    best: int  # which of them was kept: the best on the validation file
    epochs: list[int]  # the best of each seed, from 1
    truncated: int  # texts that were too long
    seconds: float
    unit: str = "text"  # what F1 counts

    @classmethod
    def of(
        cls, seeds: Sequence[SeedResult], best: int, *, truncated: int, seconds: float, unit: str
    ) -> "FinetuneResult":
        return cls(
            valid=[seed.valid for seed in seeds],
            test=[seed.test for seed in seeds if seed.test is not None],
            seeds=[seed.seed for seed in seeds],
            best=best,
            epochs=[seed.epoch for seed in seeds],
            truncated=truncated,
            seconds=seconds,
            unit=unit,
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "valid": [scores._asdict() for scores in self.valid],
            "test": [scores._asdict() for scores in self.test],
            "best_seed": self.seeds[self.best],
            "best_epochs": self.epochs,
            "truncated": self.truncated,
            "unit": self.unit,
            "seconds": round(self.seconds, 3),
        }

    def __str__(self) -> str:
        figures = [name for name, value in self.valid[0]._asdict().items() if isinstance(value, float)]
        titles = [label_of(name) for name in figures]
        lines = [f"{'':8}" + "  ".join(f"{title:<16}" for title in titles).rstrip()]
        for name, seeds in (("valid", self.valid), ("test", self.test)):
            if seeds:
                columns = [[getattr(scores, figure) for scores in seeds] for figure in figures]
                lines.append(f"{name:<8}" + "  ".join(spread(column) for column in columns))
        count = len(self.valid)
        many = f"{count} seeds, mean ± standard deviation" if count > 1 else "1 seed"
        counted = f"F1 counts each {self.unit}; " if any("f1" in figure for figure in figures) else ""
        lines.append(
            f"{many}; {counted}kept: seed {self.seeds[self.best]}, after epoch {self.epochs[self.best]}, "
            "the best on valid"
        )
        return "\n".join(lines)
