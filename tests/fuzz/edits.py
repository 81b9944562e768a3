"""Edits of what stands in a folder: bytes, arrays and descriptions, with hashes made right again or not.

Each is a function of its seed alone, so that what a campaign reports can be made again.
"""

import json
import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from langue.base.checksums import describe_files, sealed
from langue.base.deprecated import rename_keys

DESCRIPTIONS = ("model.json", "manifest.json")
Draw = np.random.Generator
HUGE = 10**15


def edit(folder: Path, seed: int, *, consistent: bool) -> str:
    """Change one thing; returns what, for a report.

    Args:
        consistent: make the hashes right again, as whoever hands a folder on can do.
    """
    draw = np.random.default_rng(seed)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    path = files[draw.integers(len(files))]
    choices: list[Callable[[Path, Draw], str]] = [flip, cut, zero, swap, repeat]
    if path.suffix == ".json":
        choices = [*choices, *[change_json] * 10]
    elif path.suffix in (".npy", ".safetensors"):
        choices = [*choices, *[change_array] * 15]
    elif path.suffix in (".tokens", ".offsets", ".bytes", ".words"):
        choices = [*choices, *[change_numbers] * 10]
    if not consistent:
        choices.append(delete)
    what = choices[draw.integers(len(choices))](path, draw)
    if consistent:
        make_right(folder)
    return f"{path.relative_to(folder)}: {what}"


def make_right(folder: Path) -> None:
    """The hashes of a folder, and of those in it, for what it holds now."""
    for name in DESCRIPTIONS:
        for path in sorted(folder.rglob(name), key=lambda path: -len(path.parts)):
            try:
                table = json.loads(path.read_bytes())
                table = rename_keys(table, {"normalisation": "normalization"})  # as it is read
                table.pop("digest", None)
                path.unlink()
                table["files"] = {
                    file: {"bytes": record.bytes, "sha256": record.sha256}
                    for file, record in describe_files(path.parent, below=True).items()
                }
                path.write_text(json.dumps(sealed(table)))
            except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
                if not path.exists():
                    raise


def flip(path: Path, draw: Draw) -> str:
    data = bytearray(path.read_bytes())
    for _ in range(draw.choice([1, 1, 1, 8, 64])):
        if data:
            data[draw.integers(len(data))] ^= 1 << draw.integers(8)
    path.write_bytes(data)
    return "bits flipped"


def cut(path: Path, draw: Draw) -> str:
    data = path.read_bytes()
    path.write_bytes(data[: draw.integers(len(data) + 1)])
    return "cut"


def zero(path: Path, draw: Draw) -> str:
    data = bytearray(path.read_bytes())
    begin = draw.integers(len(data) + 1)
    end = min(len(data), begin + int(draw.choice([1, 8, 100, 10_000])))
    data[begin:end] = bytes([draw.choice([0, 255])]) * (end - begin)
    path.write_bytes(data)
    return "zeroed"


def swap(path: Path, draw: Draw) -> str:
    data = bytearray(path.read_bytes())
    size = min(int(draw.choice([1, 4, 64])), len(data) // 2)
    one, other = (int(draw.integers(len(data) - size + 1)) for _ in range(2))
    data[one : one + size], data[other : other + size] = data[other : other + size], data[one : one + size]
    path.write_bytes(data)
    return "swapped"


def repeat(path: Path, draw: Draw) -> str:
    data = path.read_bytes()
    at = draw.integers(len(data) + 1)
    path.write_bytes(data[:at] + data[max(0, at - 64) : at] + data[at:])
    return "repeated"


def delete(path: Path, draw: Draw) -> str:
    path.unlink()
    return "deleted"


def change_json(path: Path, draw: Draw) -> str:
    """One value of a JSON file is another, of another type perhaps; or the file is no object at all."""
    try:
        table = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return flip(path, draw)
    if draw.random() < 0.05:
        text = draw.choice(["[]", "null", "[" * 100_000, "1" * 5000, '{"a":' * 50_000, "3", '""', "NaN"])
        path.write_text(text)
        return f"became {text[:10]}"
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        keys = (
            list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
        )
        for key in list(keys)[:400]:
            places.append((value, key))
            walk(value[key])

    walk(table)
    if not places:
        return flip(path, draw)
    holder, key = places[draw.integers(len(places))]
    old = holder[key]
    values: list[Any] = [
        None,
        [],
        {},
        "",
        "x",
        "\ud800",
        -1,
        0,
        1,
        HUGE,
        2**31,
        1e308,
        True,
        [[[]]],
        {"a": 1},
    ]
    if isinstance(old, int | float) and not isinstance(old, bool):
        values += [old + 1, old - 1, -old, old * 2, old // 2 if isinstance(old, int) else math.pi] * 3
    if draw.random() < 0.1 and isinstance(holder, dict):
        del holder[key]
        path.write_text(json.dumps(table))
        return f"{key!r} removed"
    holder[key] = values[draw.integers(len(values))]
    path.write_text(json.dumps(table))
    return f"{key!r}: {str(old)[:20]!r} became {str(holder[key])[:20]!r}"


def altered(array: np.ndarray, draw: Draw) -> tuple[np.ndarray, str]:
    """An array of numbers that may be in range, and may not."""
    kind = list(ALTERED)[draw.integers(len(ALTERED))]
    with np.errstate(all="ignore"):
        return ALTERED[kind](array, draw), kind


def _some(array: np.ndarray, draw: Draw, share: int = 10) -> np.ndarray:
    changed = array.copy()
    flat = changed.reshape(-1)
    for _ in range(1 + flat.size // share if flat.size else 0):
        flat[draw.integers(flat.size)] = _number(array.dtype, flat, draw)
    return changed


ALTERED: dict[str, Callable[[np.ndarray, Draw], np.ndarray]] = {
    "permuted": lambda array, draw: draw.permutation(array.reshape(-1)).reshape(array.shape),
    "constant": lambda array, draw: np.full_like(array, array.flat[draw.integers(array.size)]),
    "reversed": lambda array, draw: array.reshape(-1)[::-1].reshape(array.shape),
    "rolled": lambda array, draw: np.roll(array, 1),
    "one": lambda array, draw: _some(array, draw, 1 << 62),
    "some": _some,
    "shorter": lambda array, draw: array[: draw.integers(len(array))],
    "longer": lambda array, draw: np.concatenate([array, array[-1:]]),
    "2-D": lambda array, draw: array[None],
    "turned": lambda array, draw: np.asfortranarray(array.T),
    "dtype": lambda array, draw: array.astype(draw.choice(["u1", "i4", "i8", "f2", "f4", "f8", "bool"])),
}


def _number(dtype: np.dtype, flat: np.ndarray, draw: Draw) -> Any:
    if dtype.kind == "f":
        choices = [np.nan, np.inf, -np.inf, 0.0, -1.0, 1e30, -1e30, 1e5, float(draw.normal()), 5.0]
        return choices[draw.integers(len(choices))]
    if dtype.kind == "b":
        return bool(draw.integers(2))
    info = np.iinfo(dtype)
    near = int(flat[draw.integers(flat.size)])
    choices = [info.min, info.max, 0, 1, near, near + 1, near - 1, 2**31, len(flat), 2**16 - 1]
    return min(max(choices[draw.integers(len(choices))], info.min), info.max)


def change_array(path: Path, draw: Draw) -> str:
    try:
        if path.suffix == ".npy":
            array, what = altered(np.load(path), draw)
            np.save(path, array)
            return what
        arrays = load_file(path)
        if not arrays:
            return flip(path, draw)
        name = sorted(arrays)[draw.integers(len(arrays))]
        arrays[name], what = altered(arrays[name], draw)
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)
        return f"{name} {what}"
    except (ValueError, TypeError, IndexError, SafetensorError, struct.error):  # nothing to alter there
        return flip(path, draw)


def change_numbers(path: Path, draw: Draw) -> str:
    """A file of a store."""
    dtype = "<u2" if path.suffix == ".tokens" else "<u8"
    numbers = np.frombuffer(path.read_bytes(), dtype)
    if not numbers.size:
        return flip(path, draw)
    changed, what = altered(numbers, draw)
    path.write_bytes(changed.astype(dtype).tobytes())
    return what
