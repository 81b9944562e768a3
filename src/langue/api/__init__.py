"""The Python API: the model a user holds, and the verbs of the command line as functions."""

from langue.api.listing import families, recipes
from langue.api.lookup import answer, answer_squad, similar
from langue.api.measure import compare, evaluate, gradients, query, score, write_scores
from langue.api.models import (
    CausalModel,
    HMMModel,
    InfiniGramModel,
    MaskedModel,
    Model,
    PathLike,
    Seq2SeqModel,
    load,
)
from langue.api.summaries import summarize
from langue.api.verbs import (
    demo,
    doctor,
    estimate,
    export_encoder,
    export_model,
    finetune,
    import_model,
    info,
    prepare,
    train,
)

__all__ = [
    "CausalModel",
    "HMMModel",
    "InfiniGramModel",
    "MaskedModel",
    "Model",
    "PathLike",
    "Seq2SeqModel",
    "answer",
    "answer_squad",
    "compare",
    "demo",
    "doctor",
    "estimate",
    "evaluate",
    "export_encoder",
    "export_model",
    "families",
    "finetune",
    "gradients",
    "import_model",
    "info",
    "load",
    "prepare",
    "query",
    "recipes",
    "score",
    "similar",
    "summarize",
    "train",
    "write_scores",
]
