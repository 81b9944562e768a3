"""Checkpoints: everything a run needs to go on as if it had never stopped.

    step-00000120/
        checkpoint.json         step, curve, counters; size and SHA-256 of each file
        GROUP.safetensors       model, optimizer, average, best, carry
        shards/                 instead of the first four where FSDP cut them: a file of each process

A checkpoint is written aside, synced and renamed; it is never changed. Random numbers need no
state: each is a function of the seed, the step and its purpose (`base/seeds.py`).
"""

import warnings
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
import torch
from safetensors import SafetensorError, safe_open

from langue.base.checksums import FileRecords, describe_files, verify_files
from langue.base.config import read_struct
from langue.base.errors import LangueError
from langue.base.files import write_json
from langue.base.progress import log
from langue.base.staging import discard
from langue.nn.weights import write_tensors
from langue.training.tensors import Tensors
from langue.training.world import World

FORMAT: Literal[1] = 1
DESCRIPTION = "checkpoint.json"
SUFFIX = ".safetensors"
CARRY = "carry"
SHARDS = "shards"  # folder in which every rank wrote its part
RENAMED = {"optimizer": "optimiser"}  # group → what an earlier version called it


class Checkpoints:
    """The checkpoints of one run.

    Args:
        groups: the live tensors of each group, which are written, and filled when one is read.
        keep: how many of the last to keep.
    """

    def __init__(self, folder: Path, groups: Mapping[str, Tensors], world: World, keep: int) -> None:
        self.folder = folder
        self.groups = groups
        self.world = world
        self.keep = keep

    def write(self, step: int, state: Mapping[str, Any], carry: Tensors) -> None:
        """Write a checkpoint, then remove those beyond `keep`.

        Raises:
            LangueError: the disk is full or refuses; those written before are intact.
        """
        path = self.folder / f"step-{step:08d}"
        whole_carry = {name: self.world.gather_rows(tensor) for name, tensor in carry.items()}
        with self.world.folder(path, DESCRIPTION) as temporary:
            if self.world.sharded:
                self._write_shards(temporary / SHARDS)
            elif self.world.first:
                for group, tensors in self.groups.items():
                    _save(group, tensors, temporary)
            if self.world.first:
                _save(CARRY, whole_carry, temporary)
                shards = temporary / SHARDS
                write_json(
                    temporary / DESCRIPTION,
                    msgspec.to_builtins(
                        Description(
                            FORMAT,
                            dict(state),
                            describe_files(temporary),
                            describe_files(shards) if shards.is_dir() else {},
                        )
                    ),
                )
        if self.world.first:
            for old in _steps(self.folder)[: -self.keep]:
                discard(old)

    def read(self) -> tuple[dict[str, Any], Tensors] | None:
        """Fill the groups from the last whole checkpoint.

        Returns:
            Its state and what this rank's model carried, or None where there is no checkpoint.
        """
        for path in reversed(_steps(self.folder)):
            try:
                description = _verified(path)
                carry = self._fill(path, bool(description.shards))
            except (LangueError, SafetensorError, KeyError) as error:
                log.warning("skipping a damaged checkpoint, for the one before it: %s", error)
                if self.world.first:  # out of the way of the one that will be written at that step
                    aside = path.with_name(f"damaged-{path.name}")
                    discard(aside)  # of an earlier time
                    path.rename(aside)
                continue
            return description.state, {name: self.world.rows(rows) for name, rows in carry.items()}
        return None

    def _fill(self, path: Path, shards: bool) -> Tensors:
        if shards or self.world.sharded:
            self._read_shards(path / SHARDS if shards else path)
        else:
            for group, tensors in self.groups.items():
                if tensors:
                    if not (path / f"{group}{SUFFIX}").exists():
                        group = RENAMED.get(group, group)
                    with safe_open(path / f"{group}{SUFFIX}", framework="pt") as file, torch.no_grad():
                        for name, tensor in tensors.items():  # one at a time: a group may be large
                            tensor.copy_(file.get_tensor(f"{group}/{name}"))
        if not (path / f"{CARRY}{SUFFIX}").is_file():
            return {}
        with safe_open(path / f"{CARRY}{SUFFIX}", framework="pt") as file:
            stored = list(file.keys())
            return {key.partition("/")[2]: file.get_tensor(key).to(self.world.device) for key in stored}

    def _flat(self) -> Tensors:
        return {f"{group}/{name}": t for group, tensors in self.groups.items() for name, t in tensors.items()}

    def _write_shards(self, path: Path) -> None:
        """Each rank its part, as safetensors: PyTorch's own format would have to be unpickled."""
        from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
        from torch.distributed.checkpoint.state_dict_saver import save

        save(self._flat(), storage_writer=HuggingFaceStorageWriter(str(path), save_distributed=True))

    def _read_shards(self, path: Path) -> None:
        """Each rank its part, whatever the number of ranks that wrote."""
        from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
        from torch.distributed.checkpoint.state_dict_loader import load

        with warnings.catch_warnings():  # one process may read what several wrote
            warnings.filterwarnings("ignore", message="torch.distributed is disabled")
            reader = HuggingFaceStorageReader(str(path))
            stored = reader.read_metadata().state_dict_metadata
            load({_stored_name(key, stored): t for key, t in self._flat().items()}, storage_reader=reader)


def _stored_name(key: str, stored: Container[str]) -> str:
    group, _, name = key.partition("/")
    return key if key in stored else f"{RENAMED.get(group, group)}/{name}"


def _save(group: str, tensors: Tensors, folder: Path) -> None:
    if tensors:
        path = folder / f"{group}{SUFFIX}"
        write_tensors(path, {f"{group}/{name}": tensor for name, tensor in tensors.items()})


def _steps(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"))


class Description(msgspec.Struct):
    """What a checkpoint says of itself."""

    format: Literal[1]
    state: dict[str, Any]
    files: FileRecords
    shards: FileRecords


def _verified(path: Path) -> Description:
    """The description of a checkpoint whose files are as they were written."""
    description = read_struct(Description, path / DESCRIPTION)
    verify_files(path, description.files)
    verify_files(path / SHARDS, description.shards)
    return description
