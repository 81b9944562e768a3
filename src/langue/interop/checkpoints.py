"""Folders of Hugging Face read into model folders, and encoders written for others to load."""

import importlib
import json
import shutil
import time
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from langue.base.config import encode
from langue.base.errors import Unsupported
from langue.base.files import atomic_folder, check_free
from langue.corpus.normalize import Normalization
from langue.interop.huggingface import is_gpt2, read_gpt2
from langue.models.encoders.released import CONFIG, WEIGHTS, read_hf
from langue.models.folder import DESCRIPTION, load, save
from langue.models.registry import MODULES
from langue.protocols import Masked
from langue.tokens.preprocessing import Preprocessing
from langue.tokens.store import TOKENIZER


def import_hf(folder: Path, output: Path, *, overwrite: bool = False) -> None:
    """Write the model of a folder of Hugging Face as a model folder.

    Raises:
        LangueError: as `read_hf` and `read_gpt2`; the output folder is in the way.
    """
    check_free(output, marker=DESCRIPTION, overwrite=overwrite)
    started = time.perf_counter()
    found = read_gpt2(folder) if is_gpt2(folder) else read_hf(folder)
    size = f"{found.model.size()['parameters']:,} parameters"
    without = " It came without a head: it embeds and is fine-tuned, and fills no gaps."
    save(
        output,
        found.model,
        family=found.family,
        config=found.config,
        preprocessing=Preprocessing(folder / TOKENIZER, found.tokenizer.fingerprint, encode(Normalization())),
        vocabulary=found.model.vocabulary,
        store=f"released as {folder.name}",
        recipe={"family": found.family.name, "model": encode(found.config)},
        measured={"seconds": round(time.perf_counter() - started, 3)},
        card=f"# {found.family.name}: {found.family.summary}\n\n{size}, from {folder.name}."
        f"{without if isinstance(found.model, Masked) and found.model.no_mlm_head else ''}\n\n"
        "Made with langue.\n",
        overwrite=overwrite,
    )


def export_hf(path: Path, output: Path, *, overwrite: bool = False) -> None:
    """Write an encoder, of a pair the discriminator, as a folder that `transformers` loads.

    Raises:
        LangueError: the family or an option of it is unknown there; the folder is in the way.
    """
    loaded = load(path)
    if loaded.family.name not in ("bert", "albert", "electra"):
        raise Unsupported("only bert, albert and pair have a form that transformers loads as it is")
    table, weights = importlib.import_module(MODULES[loaded.family.name]).to_hf(loaded.model)
    special: dict[str, Any] = dict(
        zip(
            ("cls_token_id", "sep_token_id", "mask_token_id"),
            loaded.require(Masked).model.specials,
            strict=True,
        )
    )
    with atomic_folder(output, marker=CONFIG, overwrite=overwrite) as folder:
        save_file({name: part.contiguous().clone() for name, part in weights.items()}, folder / WEIGHTS)
        text = json.dumps(table | special, indent=2) + "\n"
        (folder / CONFIG).write_text(text, encoding="utf-8")
        shutil.copyfile(path / TOKENIZER, folder / TOKENIZER)
