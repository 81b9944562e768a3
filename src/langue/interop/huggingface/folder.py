"""The files of a folder of Hugging Face, checked as they are read, and written all at once.

Weights are read from one `model.safetensors` or from the shards that `model.safetensors.index.json` lists.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from langue.base.config import decode
from langue.base.errors import Damaged, LangueError, NotFound, Unsupported
from langue.base.files import atomic_folder, read_bytes, read_json, write_json
from langue.corpus.normalize import Normalization
from langue.interop.formats import Export
from langue.interop.huggingface.names import Weights
from langue.interop.huggingface.tokenizer import SpecialTokens, write_tokenizer
from langue.models.folder import ModelFolder
from langue.nn.weights import write_tensors
from langue.tokens.store import TOKENIZER
from langue.tokens.tokenizer import Tokenizer

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
ADAPTER = "adapter_config.json"  # of PEFT
NORMALIZATION = "langue_normalization"  # of config.json, where langue wrote it
# What an older folder has in the place of a tokenizer.json.
VOCABULARIES = ("vocab.txt", "vocab.json", "spiece.model", "tokenizer.model", "sentencepiece.bpe.model")
LARGEST = 1 << 24  # of a number in config.json: more would not fit any memory


class HFFolder:
    """A folder to be read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config_path = path / CONFIG
        table = read_json(self.config_path)
        if not isinstance(table, dict):
            raise Damaged(f"{self.config_path} is damaged: it holds no table; fetch it again")
        self.table: dict[str, Any] = table

    @property
    def model_type(self) -> str:
        return str(self.table.get("model_type"))

    def integer(self, *keys: str) -> int:
        """A number of the configuration, by the first of these names that it has."""
        name = next((key for key in keys if key in self.table), keys[0])
        value = self.table.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < LARGEST:
            raise Damaged(f"{self.config_path} is damaged: it has no number for {name}; fetch it again")
        return value

    def number(self, key: str, otherwise: float, table: Mapping[str, Any] | None = None) -> float:
        """A positive number of the configuration, or of one of its tables where that has it."""
        value = (table or {}).get(key, self.table.get(key, otherwise))
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < LARGEST:
            raise Damaged(f"{self.config_path} is damaged: it has no number for {key}; fetch it again")
        return float(value)

    def check_fixed(self, fixed: Mapping[str, tuple[object, ...]]) -> None:
        """Raise `Unsupported` unless these settings have a value that langue computes; where one is missing,
        it has the first."""
        for key, allowed in fixed.items():
            value = self.table.get(key, allowed[0])
            if value not in allowed or isinstance(value, bool) != isinstance(allowed[0], bool):
                raise Unsupported(f"{self.config_path} has {key} = {value}; langue knows {allowed[0]} only")

    def weights(self) -> Weights:
        """Every tensor, those too that an index forgets.

        Raises:
            LangueError: a file is missing, damaged, or in a form that can hold code; there is an adapter, or
                the weights are quantized.
        """
        if (self.path / ADAPTER).is_file():
            raise Unsupported(
                f"{self.path} has an adapter ({ADAPTER}), which changes the weights; merge it with peft: "
                "model.merge_and_unload().save_pretrained(FOLDER)"
            )
        if self.table.get("quantization_config"):
            raise Unsupported(
                f"{self.config_path} has a quantization_config: its weights are codes; write them as numbers "
                "with transformers: model.dequantize().save_pretrained(FOLDER)"
            )
        tensors: Weights = {}
        for file, names in self._shards():
            with _opened(self.path / file) as opened:
                there = set(opened.keys())
                if missing := sorted(set(names) - there):
                    raise Damaged(
                        f"{self.path / file} has no {missing[0]}, which {INDEX} says; fetch it again"
                    )
                if twice := sorted(there & tensors.keys()):
                    raise Damaged(f"{self.path} has {twice[0]} in two files; fetch it again")
                tensors |= {name: opened.get_tensor(name) for name in sorted(there)}
        return tensors

    def _shards(self) -> Iterator[tuple[str, list[str]]]:
        """The files of the weights, and tensors that each must have."""
        if (self.path / WEIGHTS).is_file():
            yield WEIGHTS, []
            return
        if not (self.path / INDEX).is_file():
            raise NotFound(
                f"{self.path} has no {WEIGHTS}; other forms are not read, for they can run code. Write it "
                "with transformers: AutoModel.from_pretrained(FOLDER).save_pretrained(FOLDER)"
            )
        index = read_json(self.path / INDEX)
        files = index.get("weight_map") if isinstance(index, dict) else None
        if not isinstance(files, dict) or not files:
            raise Damaged(f"{self.path / INDEX} is damaged: it has no weight_map; fetch it again")
        shards: dict[str, list[str]] = {}
        for name, file in files.items():
            if not isinstance(file, str) or Path(file).name != file or not (self.path / file).is_file():
                raise Damaged(
                    f"{self.path} has no {file}, in which {INDEX} says that {name} is; fetch it again"
                )
            shards.setdefault(file, []).append(name)
        yield from shards.items()

    @cached_property
    def tokenizer(self) -> Tokenizer:
        path = self.path / TOKENIZER
        if not path.is_file():
            old = next((name for name in VOCABULARIES if (self.path / name).is_file()), None)
            hint = "fetch it again, with all of its files"
            if old is not None:
                hint = (
                    f"it has {old}, of which transformers makes it: "
                    "AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)"
                )
            raise NotFound(f"{self.path} has no {TOKENIZER}; {hint}")
        return Tokenizer.load(path)

    @property
    def tokenizer_table(self) -> dict[str, Any]:
        """`tokenizer.json` as a table, of one that could be loaded."""
        assert self.tokenizer is not None
        table = read_json(self.path / TOKENIZER)
        return table if isinstance(table, dict) else {}

    def tokenizer_json(self) -> Iterable[bytes]:
        return [read_bytes(self.path / TOKENIZER)]

    def check_rows(self, rows: int) -> None:
        """Raise a `LangueError` if the tokenizer has tokens that the embedding has no rows for."""
        tokens = self.tokenizer.vocab_size
        if tokens > rows:
            raise Damaged(
                f"{self.path / TOKENIZER} has {tokens:,} tokens, and the model rows for {rows:,}: they are "
                "not of one model"
            )

    @property
    def normalization(self) -> Normalization:
        """What is done to a text before the tokenizer: nothing, unless it is a model of langue's."""
        given = self.table.get(NORMALIZATION, {"form": "none"})
        if not isinstance(given, dict):
            raise Damaged(f"{self.config_path} is damaged: {NORMALIZATION} is no table; export it again")
        return decode(Normalization, given, f"{self.config_path}: {NORMALIZATION}")

    @contextmanager
    def named(self) -> Iterator[None]:
        """Say of which folder an error speaks."""
        try:
            yield
        except LangueError as error:
            if str(self.path) in str(error):
                raise
            raise type(error)(f"{self.path}: {error}") from None


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(str(path), "pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise Damaged(f"{path} is damaged: {error}; fetch it again") from None


@dataclass(frozen=True, kw_only=True)
class HFModel:
    """What a model is written as."""

    config: Mapping[str, Any]  # of config.json; the ids of special tokens are added
    weights: Weights
    special: SpecialTokens
    window: int
    use: str  # of the README: a line of Python
    left_out: tuple[str, ...] = ()


def write_folder(model: HFModel, source: ModelFolder[Any], output: Path, *, overwrite: bool) -> Export:
    """Write a folder that `transformers` loads whole: weights, tokenizer, card.

    Raises:
        LangueError: the folder is in the way; the disk refuses.
    """
    weights = {name: part.detach().to("cpu", torch.float32).clone() for name, part in model.weights.items()}
    size = {"parameters": sum(part.numel() for part in weights.values())}
    left_out = model.left_out
    if source.tokenizer.kind == "words":
        left_out += ("the cutting of Chinese into words before the tokenizer: others give it whole runs",)
    with atomic_folder(output, marker=CONFIG, overwrite=overwrite) as folder:
        write_tensors(folder / WEIGHTS, weights, {"format": "pt"})
        ids = write_tokenizer(source, folder, model.special, model.window)
        table = {**model.config, **ids, "dtype": "float32"}
        write_json(folder / CONFIG, table | {NORMALIZATION: source.description.normalization or {}})
        card = _card(source, model, size["parameters"], left_out)
        (folder / "README.md").write_text(card, encoding="utf-8")
    return Export(output, "huggingface", size, left_out)


def _card(source: ModelFolder[Any], model: HFModel, parameters: int, left_out: Iterable[str]) -> str:
    """The README of a folder."""
    architecture = model.config["architectures"][0]
    normalization = source.description.normalization or {}
    changed = ", ".join(f"{name} = {value}" for name, value in normalization.items() if value)
    lines = ["---", "library_name: transformers", "---", "", f"# {architecture}", ""]
    lines += [f"{source.family.summary}, {parameters:,} parameters. Written by langue.", ""]
    lines += ["    import transformers", f"    {model.use}", ""]
    if changed:
        lines += [f"It was trained on text that was normalized first ({changed}).", ""]
    lines += [f"- Left out: {what}" for what in left_out]
    return "\n".join(lines).rstrip() + "\n"
