"""The models a user holds: texts come in, texts and figures go out.

The normalization and the tokenizer a model was trained with travel in its folder, and are applied to
every text it is given. There is one class for each kind of model (`Model`).
"""

from __future__ import annotations

from typing import Any

from langue.api.models.base import Model, PathLike, folder_of
from langue.api.models.causal import CausalModel, HMMModel, InfiniGramModel
from langue.api.models.masked import MaskedModel
from langue.api.models.seq2seq import Seq2SeqModel
from langue.base.arguments import check_path
from langue.models.folder import DType, ModelFolder
from langue.models.folder import load as load_folder
from langue.nn.quantized import Quantize
from langue.protocols import (
    Causal,
    Classifier,
    HiddenMarkov,
    Masked,
    Searchable,
    SentenceRanker,
    Seq2Seq,
    SpanPredictor,
    Tagger,
)

__all__ = [
    "CausalModel", "HMMModel", "InfiniGramModel", "MaskedModel", "Model", "PathLike", "Seq2SeqModel",
    "folder_of", "load", "of_folder",
]  # fmt: skip


def load(
    path: PathLike,
    *,
    device: str | None = None,
    dtype: DType = "float32",
    quantize: Quantize | None = None,
    verify: bool | None = None,
) -> Model[Any]:
    """The model of any family in a folder that langue wrote, by the class of its kind.

    Where the kind is known, `CausalModel.load(path)` and its siblings say so to a type checker too, and
    refuse a model of another kind.

    Args:
        device: where a network is put, as torch names it; None: a GPU where there is one.
        dtype: of a network's weights.
        quantize: "int8" reads a network by products of int8, on a processor: faster, and hardly worse.
        verify: read every file whole and compare its hash; None: those that were touched since they last
                were; False: none, only sizes.

    Raises:
        NotFound: no model is there.
        Damaged: a file is missing, cut or altered.
        InvalidSetting: the device or type is unknown, or the model is no network and has neither.
    """
    folder = check_path("path", path)
    return of_folder(load_folder(folder, verify=verify, device=device, dtype=dtype, quantize=quantize))


def of_folder(folder: ModelFolder[Any]) -> Model[Any]:
    """The model of a folder that is open, by the class of its kind: the most special one."""
    model = folder.model
    if isinstance(model, Searchable):
        return InfiniGramModel(folder)
    if isinstance(model, HiddenMarkov):
        return HMMModel(folder)
    if isinstance(model, Seq2Seq) and model.source_ends:
        return Seq2SeqModel(folder)
    if isinstance(model, Causal):
        return CausalModel(folder)
    if isinstance(model, Masked):
        return MaskedModel(folder)
    # These import what reads labeled data, which a language model does without.
    if isinstance(model, Tagger):
        from langue.api.models.tagger import TaggerModel

        return TaggerModel(folder)
    if isinstance(model, Classifier):
        from langue.api.models.classifier import ClassifierModel

        return ClassifierModel(folder)
    if isinstance(model, SpanPredictor):
        from langue.api.models.span import SpanModel

        return SpanModel(folder)
    if isinstance(model, SentenceRanker):
        from langue.api.models.ranker import RankerModel

        return RankerModel(folder)
    return Model(folder)
