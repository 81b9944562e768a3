"""The Python API: the model a user holds, and the verbs of the command line as functions."""

from langue.api.model import LanguageModel, PathLike, classifier, language_model, load, tagger
from langue.api.verbs import (
    compare,
    demo,
    doctor,
    estimate,
    evaluate,
    export_encoder,
    export_model,
    finetune,
    gradients,
    import_model,
    info,
    prepare,
    query,
    train,
)

__all__ = [
    "LanguageModel",
    "PathLike",
    "classifier",
    "compare",
    "demo",
    "doctor",
    "estimate",
    "evaluate",
    "export_encoder",
    "export_model",
    "finetune",
    "gradients",
    "import_model",
    "info",
    "language_model",
    "load",
    "prepare",
    "query",
    "tagger",
    "train",
]
