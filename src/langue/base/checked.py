"""Arrays that come from outside: what each must be stands beside its definition, and is seen to at the door.

    class Weights(NamedTuple):
        bias: Annotated[Array, ArraySpec("float32", ("V",))]
        starts: Annotated[Array, ArraySpec("uint32", ("rows + 1",), rising=True, first=0, last="pairs")]
        word: Annotated[Array, ArraySpec("uint32", ("pairs",), below="V")]

    check(weights, folder, V=600)

A hash beside a file says that the file is whole, not who made it; compiled code reads wherever a number
points. Letters stand for sizes: one is given, or is that of the first array that has it, and all others
must agree. What holds between the contents of several arrays, a family checks itself.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np

from langue.base.arrays import Array
from langue.base.errors import Damaged
from langue.base.verified import unless_known

Size = int | str  # `2`, `"V"`, `"rows + 1"`
CHUNK_ELEMENTS = 1 << 20  # numbers compared at a time: what is made of them stays in the cache
REMEMBERED = 4096  # files known to be good; a server opens few
_SIZE = re.compile(r"(\w+)(?: ([+-]) (\d+))?")


@dataclass(frozen=True)
class ArraySpec:
    """What an array must be.

    Array with a sign are at least 0 unless `least` says otherwise; floats are finite.

    Attributes:
        dtype: its name, or the names of those that will do.
        shape: a size for each dimension.
        least, most: the smallest and the largest number; `below`: what all are smaller than.
        impossible: floats may be minus infinity, the log of 0.
        rising: none is smaller than the one before it.
        first, last: of a rising array.
    """

    dtype: str | tuple[str, ...]
    shape: tuple[Size, ...]
    least: float | None = None
    most: float | None = None
    below: Size | None = None
    impossible: bool = False
    rising: bool = False
    first: Size | None = None
    last: Size | None = None


def damaged(where: Path | str, name: str, what: str) -> Damaged:
    """The error of an array that is not what it must be."""
    return Damaged(f"{where} is damaged: {name} {what}; make it again")


def arrays_of(kind: type[tuple[Any, ...]]) -> dict[str, ArraySpec]:
    """What each field of a named tuple must be; every field says so."""
    hints = get_type_hints(kind, include_extras=True)
    specs = {}
    for name, hint in hints.items():
        (specs[name],) = (item for item in hint.__metadata__ if isinstance(item, ArraySpec))
    return specs


def check(
    arrays: Any,
    where: Path | str,
    specs: Mapping[str, ArraySpec] | None = None,
    prefix: str = "",
    /,
    **sizes: int,
) -> dict[str, int]:
    """Compare arrays with what they must be, in one pass or two over each.

    Args:
        arrays: a named tuple whose fields are annotated, or arrays by name.
        where: the folder or file, for messages.
        specs: what the arrays must be, where they are no such tuple.
        prefix: of their names on disk.
        sizes: those that are known.

    Returns:
        Every size.

    Raises:
        Damaged: one is missing, or is something else; it is named.
    """
    named: Mapping[str, Array] = arrays if isinstance(arrays, Mapping) else arrays._asdict()
    specs = arrays_of(type(arrays)) if specs is None else specs
    known: dict[str, int] = dict(sizes)
    owners: dict[str, str] = {}  # the array that each other size is from
    for name, spec in specs.items():
        if name not in named:
            raise damaged(where, prefix + name, "is missing")
        _check_form(prefix + name, named[name], spec, known, owners, where)
    for name, spec in specs.items():
        _check_contents(prefix + name, named[name], spec, known, owners, where)
    return known


def _check_form(
    name: str,
    array: Array,
    spec: ArraySpec,
    known: dict[str, int],
    owners: dict[str, str],
    where: Path | str,
) -> None:
    """See to type and shape; `owners` says where each size is from."""
    dtypes = (spec.dtype,) if isinstance(spec.dtype, str) else spec.dtype
    if array.dtype not in [np.dtype(dtype) for dtype in dtypes]:
        raise damaged(where, name, f"is of the type {array.dtype}, not {' or '.join(dtypes)}")
    if array.ndim != len(spec.shape):
        raise damaged(where, name, f"has {array.ndim} dimensions, not {len(spec.shape)}")
    for own, size in zip(array.shape, spec.shape, strict=True):
        base, plus = _parts(size)
        if isinstance(base, str) and base not in known and own >= plus:
            known[base], owners[base] = own - plus, name
        if own != _value(size, known):
            meant = f"{own} should be {_spelled(size, known, owners)}"
            raise damaged(where, name, f"has the shape {array.shape}, where {meant}")
    if not array.flags.c_contiguous:
        raise damaged(where, name, "does not lie row after row")


def _check_contents(
    name: str,
    array: Array,
    spec: ArraySpec,
    known: dict[str, int],
    owners: dict[str, str],
    where: Path | str,
) -> None:
    if not array.size or array.dtype == np.bool_:
        return
    with np.errstate(invalid="ignore"):
        low, high = array.min(), array.max()
    if array.dtype.kind == "f" and not _is_finite(array, low, high, spec):
        raise damaged(where, name, "holds numbers that are not finite (NaN or infinite)")
    least = 0 if spec.least is None and array.dtype.kind == "i" else spec.least
    below = None if spec.below is None else _value(spec.below, known)
    if least is not None and low < least:
        raise damaged(where, name, f"holds {low}, and nothing there may be less than {least}")
    if spec.most is not None and high > spec.most:
        raise damaged(where, name, f"holds {high}, and nothing there may be more than {spec.most}")
    if below is not None and high >= below:
        assert spec.below is not None
        limit = _spelled(spec.below, known, owners)
        raise damaged(where, name, f"holds {high}, and everything there must be below {limit}")
    if spec.rising and not is_rising(array):
        raise damaged(where, name, "falls, where each number must be at least the one before it")
    for index, end in ((0, spec.first), (-1, spec.last)):
        if end is not None and array[index] != _value(end, known):
            word = "ends" if index else "begins"
            raise damaged(where, name, f"{word} with {array[index]}, not with {_spelled(end, known, owners)}")


def _spelled(size: Size, known: dict[str, int], owners: dict[str, str]) -> str:
    """A size for a message: what it is, and by which array."""
    base, _ = _parts(size)
    if not isinstance(base, str) or base not in owners:
        return str(_value(size, known) or size)
    return f"{_value(size, known)} ({size}, where {owners[base]} has {base} = {known[base]})"


def _is_finite(array: Array, low: Any, high: Any, spec: ArraySpec) -> bool:
    """A NaN anywhere makes both ends one."""
    if np.isfinite(low) and np.isfinite(high):
        return True
    return spec.impossible and bool(low == -np.inf and high < np.inf)


def is_rising(array: Array, *, strictly: bool = False) -> bool:
    """Whether each number is at least the one before it, or (`strictly`) larger."""
    compare = np.greater if strictly else np.greater_equal
    for begin in range(0, len(array) - 1, CHUNK_ELEMENTS):
        part = array[begin : begin + CHUNK_ELEMENTS + 1]
        if not compare(part[1:], part[:-1]).all():
            return False
    return True


def rises_within(array: Array, starts: Array) -> bool:
    """Whether each number is larger than the one before it, but where one of the ranges begins that
    `starts` tells; what lies before the first of these is not looked at."""
    rises = np.ones(len(array) + 1, bool)
    if len(array):
        np.greater(array[1:], array[:-1], out=rises[1:-1])
    rises[starts] = True
    return bool(rises[int(starts[0]) :].all())


def _parts(size: Size) -> tuple[Size, int]:
    """`"rows + 1"` as `("rows", 1)`."""
    if isinstance(size, int):
        return size, 0
    match = _SIZE.fullmatch(size)
    assert match, size
    name, sign, number = match.groups()
    return name, int(f"{sign}{number}") if sign else 0


def _value(size: Size, known: Mapping[str, int]) -> int | None:
    """What a size stands for; None while that is not known."""
    base, plus = _parts(size)
    if isinstance(base, int):
        return base
    return known[base] + plus if base in known else None


def read_array(path: Path, *, mapped: bool = True) -> Array:
    """The array of a `.npy` file; nothing is unpickled.

    Args:
        mapped: what is used is read when it is used.

    Raises:
        Damaged: the file is missing, cut short, of objects, or no array at all.
    """
    try:
        array = np.lib.format.open_memmap(path, mode="r")  # which opens nothing but this format
    except OSError as error:
        raise Damaged(f"cannot read {path}: {error.strerror or error}") from None
    except Exception as error:  # a header is Python, and can be wrong in as many ways
        raise Damaged(f"{path} is damaged: it is no array that langue wrote ({error})") from None
    values = np.asarray(array) if mapped else np.array(array)
    values.flags.writeable = False  # as mapped ones are: compiled code is made for one of them
    return values


def read_tensors(path: Path) -> dict[str, Array]:
    """The arrays of a safetensors file, by name.

    Raises:
        Damaged: the file is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return dict(load_file(path))
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise Damaged(f"cannot read {path}: {error}") from None


_good: OrderedDict[Hashable, None] = OrderedDict()  # files whose contents were checked in this process


def once(files: Sequence[Path], how: Hashable, verify: Callable[[], object]) -> None:
    """Run a check of the contents of files, unless it passed before and they are still the same: in this
    process, or in another (`base/verified.py`).

    Args:
        how: what else the check depends on, such as sizes.
    """
    stats = [(path.resolve(), path.stat()) for path in files if path.exists()]
    key = (
        how,
        tuple(
            (str(path), stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
            for path, stat in stats
        ),
    )
    if key not in _good:
        unless_known(files, (verify.__module__, verify.__qualname__, how), verify)
        _good[key] = None
        while len(_good) > REMEMBERED:
            _good.popitem(last=False)
