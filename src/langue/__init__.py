"""langue: every classic language model, from a folder of text to measured, talking models.

    import langue

    langue.prepare(["novels"], "store")
    langue.train("ngram", "store", "kn5", order=5)
    model = langue.CausalModel.load("kn5")
    print(model.score("The king is dead.").bits_per_byte)
    print(model.next_tokens("the king is"))
    print(model.generate("第一回", max_tokens=100, seed=1).text)
    print(langue.compare(["kn5", "gpt"], on="store"))

Names are resolved when first used: importing langue imports neither torch nor numba.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from langue.api import (
        CausalModel,
        MaskedModel,
        Model,
        compare,
        evaluate,
        finetune,
        gradients,
        load,
        prepare,
        train,
    )
    from langue.base.errors import LangueError

__all__ = [
    "CausalModel", "LangueError", "MaskedModel", "Model", "compare", "evaluate", "finetune", "gradients",
    "load", "prepare", "train",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'langue' has no attribute {name!r}")
    import importlib

    home = "langue.base.errors" if name == "LangueError" else "langue.api"
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
