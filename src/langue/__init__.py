"""langue: every classic language model, from a folder of text to measured, talking models.

    import langue

    langue.prepare(["novels"], "store")
    langue.train("ngram", "store", "kn5", order=5)
    langue.train(langue.configs.GPT2Config(layers=4), "store", "gpt")
    model = langue.CausalModel.load("kn5")
    print(model.score("The king is dead.").bits_per_byte)
    print(model.next_tokens("the king is"))
    print(model.generate("第一回", max_tokens=100, seed=1).text)
    print(langue.compare(["kn5", "gpt"], on="heldout.txt"))

Names are resolved when first used: importing langue imports neither torch nor numba.
"""

from __future__ import annotations

import os

__version__ = "0.1.0"

# libgomp reads it as torch loads it. Its threads wait for one another by spinning, for milliseconds unless
# told: beside two other busy programs a step of a small network took 2.2 times as long (benchmarks/busy.py).
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")

TYPE_CHECKING = False  # importing `typing` would be most of what the first instant of a command takes
if TYPE_CHECKING:
    from typing import Any

    from langue import configs
    from langue.api.filter import filter  # noqa: A004  # the verb
    from langue.api.listing import families, recipes
    from langue.api.lookup import answer, answer_squad, similar
    from langue.api.measure import compare, evaluate, gradients, query, score, write_scores
    from langue.api.models import (
        CausalModel,
        HMMModel,
        InfiniGramModel,
        MaskedModel,
        Model,
        Seq2SeqModel,
        load,
    )
    from langue.api.models.classifier import ClassifierModel
    from langue.api.models.ranker import RankerModel
    from langue.api.models.span import SpanModel
    from langue.api.models.tagger import TaggerModel
    from langue.api.summaries import summarize
    from langue.api.training import estimate, finetune, train
    from langue.api.verbs import demo, doctor, export_model, import_model, info, prepare
    from langue.base.errors import (
        Damaged,
        Interrupted,
        InvalidSetting,
        LangueError,
        Mismatch,
        MissingExtra,
        NotFound,
        Unsupported,
    )
    from langue.tasks.retrieval.passages import Passages

_HOMES = {  # of the public names; those that are not named here stand in langue.api.verbs
    "langue.api.filter": ("filter",),
    "langue.api.listing": ("families", "recipes"),
    "langue.api.lookup": ("answer", "answer_squad", "similar"),
    "langue.api.measure": ("compare", "evaluate", "gradients", "query", "score", "write_scores"),
    "langue.api.models": (
        "CausalModel", "HMMModel", "InfiniGramModel", "MaskedModel", "Model", "Seq2SeqModel", "load",
    ),
    "langue.api.models.classifier": ("ClassifierModel",),
    "langue.api.models.ranker": ("RankerModel",),
    "langue.api.models.span": ("SpanModel",),
    "langue.api.models.tagger": ("TaggerModel",),
    "langue.api.summaries": ("summarize",),
    "langue.api.training": ("estimate", "finetune", "train"),
    "langue.base.errors": (
        "Damaged", "Interrupted", "InvalidSetting", "LangueError", "Mismatch", "MissingExtra", "NotFound",
        "Unsupported",
    ),
    "langue.tasks.retrieval.passages": ("Passages",),
}  # fmt: skip
_OLD = {  # names of an earlier version
    "LanguageModel": "CausalModel",
    "export_encoder": "export_model",
    "tagger": "load",
}

__all__ = [
    "CausalModel", "ClassifierModel", "Damaged", "HMMModel", "InfiniGramModel", "Interrupted",
    "InvalidSetting", "LangueError", "MaskedModel", "Mismatch", "MissingExtra", "Model", "NotFound",
    "Passages", "RankerModel", "Seq2SeqModel", "SpanModel", "TaggerModel", "Unsupported", "answer",
    "answer_squad", "compare", "configs", "demo", "doctor", "estimate", "evaluate", "export_model",
    "families", "filter", "finetune", "gradients", "import_model", "info", "load", "prepare", "query",
    "recipes", "score", "similar", "summarize", "train", "write_scores",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    import importlib

    if name in _OLD:
        from langue.base.deprecated import warn_renamed

        warn_renamed(f"langue.{name}", f"langue.{_OLD[name]}")
        name = _OLD[name]
    if name not in __all__:
        raise AttributeError(f"module 'langue' has no attribute {name!r}")
    if name == "configs":
        return importlib.import_module("langue.configs")
    homes = (home for home, names in _HOMES.items() if name in names)
    return getattr(importlib.import_module(next(homes, "langue.api.verbs")), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
