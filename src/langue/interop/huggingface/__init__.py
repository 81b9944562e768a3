"""Folders of Hugging Face, read, and written for transformers, vLLM and their kin to load.

    config.json  model.safetensors  tokenizer.json  tokenizer_config.json  README.md

Each architecture is a module: `read(folder)` makes a model of a folder, `write(model_folder)` says what one
is written as. `folder.py` has the files, `tokenizer.py` the tokenizer, `names.py` the tensors. Nothing is
unpickled.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

from langue.base.errors import Unsupported
from langue.base.extras import needs_torch
from langue.interop.formats import Export, Format, ImportedModel
from langue.models.folder import ModelFolder

# `model_type` of a config.json → the module that reads it
ARCHITECTURES = {
    "gpt2": "langue.interop.huggingface.gpt2",
    "qwen3": "langue.interop.huggingface.qwen3",
    "bert": "langue.interop.huggingface.bert",
    "albert": "langue.interop.huggingface.albert",
    "electra": "langue.interop.huggingface.electra",
}
# a family → the module that writes it
FAMILIES = {
    "gpt2": "langue.interop.huggingface.gpt2",
    "bert": "langue.interop.huggingface.bert",
    "albert": "langue.interop.huggingface.albert",
    "electra": "langue.interop.huggingface.electra",
    "classifier": "langue.interop.huggingface.classifier",
    "span": "langue.interop.huggingface.span",
    "encoder-tagger": "langue.interop.huggingface.tagger",
}
MARKS = ("config.json", "tokenizer.json", "model.safetensors", "pytorch_model.bin")


def recognizes(path: Path) -> bool:
    """Whether a path looks like a folder of Hugging Face."""
    return any((path / name).is_file() for name in MARKS)


def read(path: Path) -> ImportedModel:
    """The model of a folder.

    Raises:
        LangueError: a file is missing or damaged, or the model has a part that langue has not.
    """
    with needs_torch(f"a model of Hugging Face, as {path},"):
        from langue.interop.huggingface.folder import HFFolder
    folder = HFFolder(path)
    if folder.model_type not in ARCHITECTURES:
        raise Unsupported(
            f"{folder.config_path} is of a model of type {folder.model_type}; "
            f"langue reads {', '.join(ARCHITECTURES)}"
        )
    imported: ImportedModel = import_module(ARCHITECTURES[folder.model_type]).read(folder)
    return imported


def write(model: ModelFolder[Any], output: Path, overwrite: bool) -> Export:
    """Write a model folder as a folder that `transformers` loads.

    Raises:
        LangueError: the model has a part that its architecture has not there; the folder is in the way.
    """
    from langue.interop.huggingface.folder import write_folder

    exported = import_module(FAMILIES[model.family.name]).write(model)
    return write_folder(exported, model, output, overwrite=overwrite)


FORMAT = Format(
    name="huggingface",
    summary=f"a folder with config.json, model.safetensors and tokenizer.json, of {', '.join(ARCHITECTURES)}",
    families=tuple(FAMILIES),
    recognizes=recognizes,
    read=read,
    write=write,
)
