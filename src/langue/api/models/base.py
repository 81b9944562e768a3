"""What every model is to its user, whatever it does: it has a folder, a size, and a way to be measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

from langue.base.arguments import check_path
from langue.base.deprecated import renamed_property
from langue.models.folder import DType, ModelFolder, ValidFigures
from langue.models.folder import load as load_folder
from langue.nn.quantized import Quantize
from langue.protocols import Masked, Saved

if TYPE_CHECKING:
    from langue.corpus.normalize import Normalization
    from langue.evaluation.result import EvaluationResult
    from langue.tokens.tokenizer import Tokenizer

PathLike = str | Path
M = TypeVar("M", bound=Saved)


class Model(Generic[M]):
    """A trained model of any family: what `langue.load` returns.

    What a model can do beyond this depends on its kind. `CausalModel.load(path)` and its siblings open a
    folder of which that is known.

    Attributes:
        folder: what its folder holds: family, configuration, network or tables, description.
    """

    protocol: ClassVar[type[Saved]] = Saved  # what a model of this face follows

    def __init__(self, folder: ModelFolder[M]) -> None:
        self.folder = folder

    @classmethod
    def load(
        cls,
        path: PathLike,
        *,
        device: str | None = None,
        dtype: DType = "float32",
        quantize: Quantize | None = None,
        verify: bool | None = None,
    ) -> Self:
        """Open a model folder that is known to hold a model of this kind.

        Args:
            device: where a network is put, as torch names it; None: a GPU where there is one.
            dtype: of a network's weights.
            quantize: "int8" reads a network by products of int8, on a processor: faster, and hardly worse.
            verify: read every file whole and compare its hash; None: those that were touched since they last
                were; False: none, only sizes.

        Raises:
            NotFound: no model is there.
            Damaged: a file is missing, cut or altered.
            Unsupported: it is of another kind.
            InvalidSetting: the device or type is unknown, or the model is no network and has neither.
        """
        folder = load_folder(
            check_path("path", path), verify=verify, device=device, dtype=dtype, quantize=quantize
        )
        folder.require(cls.protocol)
        return cls(folder)

    @property
    def path(self) -> Path:
        return self.folder.path

    @property
    def tokenizer(self) -> Tokenizer:
        """Of a model that reads token ids."""
        return self.folder.tokenizer

    @property
    def normalization(self) -> Normalization:
        """What is done to a text before the tokenizer, of a model that reads token ids."""
        return self.folder.normalization

    @property
    def bidirectional(self) -> bool:
        """Whether it reads a text from both sides: it fills and embeds, and gives no text a probability."""
        return isinstance(self.folder.model, Masked)

    loaded = renamed_property("loaded", "folder")
    normalisation = renamed_property("normalisation", "normalization")
    reads_both_ways = renamed_property("reads_both_ways", "bidirectional")

    @property
    def family(self) -> str:
        """The name of its family."""
        return self.folder.family.name

    def info(self) -> dict[str, Any]:
        """Everything known about the model: `model.json` as a table."""
        import msgspec

        table: dict[str, Any] = msgspec.to_builtins(self.folder.description)
        return table

    def size(self) -> dict[str, int]:
        """What it is made of: `{"parameters": n}` or `{"ngrams": n}`."""
        return self.folder.model.size()

    def summary(self) -> str:
        """Family, size, training time or origin, and where it was measured the figure, in a line."""
        size = ", ".join(f"{count:,} {what}" for what, count in self.size().items())
        figures = self.folder.description.figures()
        figure = (
            f", F1 {figures.valid.f1:.2%} on held-out sentences"
            if isinstance(figures.valid, ValidFigures)
            else ""
        )
        if "imported" in self.folder.description.measured:
            return f"{self.family}, {size}, imported ({self.folder.description.store})"
        return f"{self.family}, {size}, trained in {figures.seconds:,} s{figure}"

    def evaluate(
        self,
        data: PathLike | Sequence[PathLike],
        *,
        split: str = "test",
        documents: str | None = None,
        check: bool = False,
    ) -> EvaluationResult:
        """`langue.evaluate` of this model."""
        from langue.api.measure import evaluate

        return evaluate(self, data, split=split, documents=documents, check=check)

    def __repr__(self) -> str:
        return f"<langue {type(self).__name__} {self.path}: {self.summary()}>"


def folder_of(name: str, model: PathLike | Model[Any]) -> ModelFolder[Any]:
    """That of a model which is open, or which lies at a path.

    Args:
        name: of the argument, for messages.
    """
    return model.folder if isinstance(model, Model) else load_folder(check_path(name, model))
