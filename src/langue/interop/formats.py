"""Formats of other makers: one registry, which `langue import` and `langue export` ask.

A format says how it is recognized and which families it holds, reads a file or folder as a model, and writes
a model folder. langue's own are below; a package of another maker adds one by an entry point of the group
`langue.formats`, whose value is a `Format`; a program adds one by `register`.
"""

import hashlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from langue.base.arguments import check_text
from langue.base.config import Config, encode, nearest
from langue.base.entry_points import load_point, points_of
from langue.base.errors import InvalidSetting, NotFound, Unsupported
from langue.base.files import check_free, refuse_same
from langue.base.progress import log
from langue.corpus.normalize import Normalization
from langue.models.family import Family
from langue.models.folder import DESCRIPTION, ModelFolder, describe, load, save
from langue.tokens.preprocessing import Preprocessing
from langue.tokens.store import TOKENIZER
from langue.tokens.tokenizer import Tokenizer


@dataclass(frozen=True, kw_only=True)
class ImportedModel:
    """What a format reads: all that a model folder is made of."""

    family: Family[Any]
    config: Config
    model: Any  # of the family's protocol, on the CPU
    tokenizer_json: Callable[[], Iterable[bytes]]  # the file in pieces: that of a large vocabulary is large
    fingerprint: str = ""  # of the tokenizer; none: the hash of the file
    documents: str | None = None  # how its training text was cut into documents
    normalization: Normalization = field(default_factory=Normalization)  # of its training text
    left_out: tuple[str, ...] = ()  # what the source has and the model has not, a sentence each

    def write_tokenizer(self, path: Path) -> str:
        """Write the tokenizer; returns its fingerprint."""
        digest = hashlib.sha256()
        with path.open("wb") as file:
            for piece in self.tokenizer_json():
                file.write(piece)
                digest.update(piece)
        return self.fingerprint or digest.hexdigest()

    @property
    def tokenizer(self) -> Tokenizer:
        with TemporaryDirectory() as folder:
            self.write_tokenizer(Path(folder) / TOKENIZER)
            return Tokenizer.load(Path(folder) / TOKENIZER)


@dataclass(frozen=True)
class Export:
    """What was written.

    Attributes:
        path: the file or folder.
        format: its name.
        size: as `Model.size` has it, `{"parameters": n}` or `{"ngrams": n}`.
        left_out: what the model has and the format has not, a sentence each.
    """

    path: Path
    format: str
    size: dict[str, int]
    left_out: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        return {
            "output": str(self.path),
            "format": self.format,
            **self.size,
            "left_out": list(self.left_out),
        }

    def __str__(self) -> str:
        size = ", ".join(f"{count:,} {what}" for what, count in self.size.items())
        return "\n".join(
            [f"{self.path}: {size} ({self.format})", *(f"left out: {what}" for what in self.left_out)]
        )


@dataclass(frozen=True, kw_only=True)
class Format:
    """A format of another maker.

    Attributes:
        name: by which it is asked for.
        summary: what it is and what of it is read, for messages.
        families: whose models it can hold.
        recognizes: whether a path holds it; cheap, and never an error.
        read: raises `LangueError` where something is missing, damaged, or has no home here.
        write: writes a model folder; the path, and whether what stands there is replaced.
        suffix: of the file it writes; an output of that name is of this format, if nothing else is asked.
    """

    name: str
    summary: str
    families: tuple[str, ...]
    recognizes: Callable[[Path], bool]
    read: Callable[[Path], ImportedModel] | None = None
    write: Callable[[ModelFolder[Any], Path, bool], Export] | None = None
    suffix: str = ""


MODULES = {  # a module here defines `FORMAT`; each is asked in turn, so that the most particular comes first
    "huggingface": "langue.interop.huggingface",
    "arpa": "langue.interop.convert",
    "gguf": "langue.interop.gguf",
}
ENTRY_POINTS = "langue.formats"  # of entry points

_registered: dict[str, Format] = {}


def register(format: Format) -> None:
    """Make a format known in this process.

    Raises:
        InvalidSetting: another one has that name.
    """
    if format.name in MODULES or _registered.get(format.name, format) is not format:
        raise InvalidSetting(f"there is a format {format.name} already; give yours another name")
    _registered[format.name] = format


@cache
def _others() -> tuple[Format, ...]:
    """The formats of other packages."""
    return tuple(load_point(point, Format) for point in points_of(ENTRY_POINTS).values())


def formats() -> tuple[Format, ...]:
    """Every format: those registered, those of other packages, and langue's own."""
    own = (import_module(module).FORMAT for module in MODULES.values())
    return (*_registered.values(), *_others(), *own)


def recognize(path: Path) -> Format:
    """The format of a file or folder, of those that langue reads.

    Raises:
        NotFound: nothing is there.
        Unsupported: it is of none of them.
    """
    if not path.exists():
        raise NotFound(f"cannot read {path}: No such file or directory")
    if not (path.is_file() or path.is_dir()):
        raise Unsupported(f"{path} is a device, a socket or a pipe; give a file, or a folder")
    if (path / DESCRIPTION).is_file():
        raise Unsupported(f"{path} is a model of langue already; it is used as it is")
    readable = [format for format in formats() if format.read is not None]
    for format in readable:
        if format.recognizes(path):
            return format
    known = "; ".join(f"{format.name}: {format.summary}" for format in readable)
    raise Unsupported(f"{path} is of no format that langue reads. It reads {known}")


def read(path: Path) -> ImportedModel:
    """The model of a file or folder of another maker.

    Raises:
        LangueError: as `recognize` and as its format.
    """
    format = recognize(path)
    assert format.read is not None
    return format.read(path)


def import_model(path: Path, output: Path, *, overwrite: bool = False) -> None:
    """Write the model of a file or folder of another maker as a model folder.

    Raises:
        LangueError: as `read`; the output is in the way.
    """
    refuse_same(output, [path])
    check_free(output, marker=DESCRIPTION, overwrite=overwrite)
    started = time.perf_counter()
    name = recognize(path).name
    imported = read(path)
    for what in imported.left_out:
        log.warning("%s: left out: %s", path, what)
    save_imported(
        imported,
        output,
        origin=f"{name} {path.name}",
        measured={
            "imported": name,
            "seconds": round(time.perf_counter() - started, 3),
            "left_out": list(imported.left_out),
        },
        overwrite=overwrite,
    )


def save_imported(
    imported: ImportedModel, output: Path, *, origin: str, measured: dict[str, Any], overwrite: bool = False
) -> None:
    """Write a model folder of what was read; `origin` says what it was read from."""
    family, model = imported.family, imported.model
    size = ", ".join(f"{count:,} {what}" for what, count in model.size().items())
    lines = [f"# {family.name}: {family.summary}", f"{size}, from {origin}."]
    lines += [f"Left out: {what}" for what in imported.left_out]
    with TemporaryDirectory() as folder:
        tokenizer = Path(folder) / TOKENIZER
        fingerprint = imported.write_tokenizer(tokenizer)
        save(
            output,
            model,
            family=family,
            config=imported.config,
            preprocessing=Preprocessing(
                tokenizer, fingerprint, encode(imported.normalization), imported.documents
            ),
            vocabulary=model.vocabulary,
            store=origin,
            recipe={"family": family.name, "model": encode(imported.config)},
            measured=measured,
            card="\n\n".join([*lines, "Made with langue.\n"]),
            overwrite=overwrite,
        )


def export_model(model: Path, output: Path, *, format: str | None = None, overwrite: bool = False) -> Export:
    """Write a model folder in a format of another maker.

    Args:
        format: its name; none: that of the suffix of the output, or the first that holds the family.

    Raises:
        Unsupported: no format, or not this one, holds such a model, or it has a part that the format has not.
        LangueError: no model is there; the output is in the way.
    """
    refuse_same(output, [model])
    family = describe(model).family
    writable = [each for each in formats() if each.write is not None]
    if format is not None and check_text("format", format) not in [each.name for each in writable]:
        known = [each.name for each in writable]
        raise InvalidSetting(f"no format {format} is written{nearest(format, known)}")
    if format is None:
        format = next((each.name for each in writable if each.suffix and output.suffix == each.suffix), None)
    for each in writable:
        if family in each.families and format in (None, each.name):
            assert each.write is not None
            return each.write(load(model), output, overwrite)
    known_families = "; ".join(f"{each.name}: {', '.join(each.families)}" for each in writable)
    raise Unsupported(
        f"{model} is a {family}, for which there is no {format or 'format of others'}. "
        f"langue writes {known_families}"
    )
