"""Arrays between the tasks of stages: a `.npy` file each, written aside and mapped."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from langue.base.arrays import Array
from langue.base.checked import read_array
from langue.base.files import atomic_file


def write_array(path: Path, array: Array) -> None:
    write_joined(path, [array], len(array), array.dtype)


def write_joined(path: Path, parts: Iterable[Array], size: int, dtype: npt.DTypeLike) -> None:
    """Write parts one after another as one array, `(size,)`; one of them at a time is held."""
    descr = np.lib.format.dtype_to_descr(np.dtype(dtype))
    with atomic_file(path) as file:
        header = {"descr": descr, "fortran_order": False, "shape": (size,)}
        np.lib.format.write_array_header_1_0(file, header)
        for part in parts:
            file.write(np.ascontiguousarray(part, dtype).data)


def map_file(path: Path) -> Array:
    """An array of a file, mapped. What is written into it stays in this process: compiled code is made for
    arrays that can be written, and not again for others.

    Raises:
        Damaged: it is missing or cut short.
    """
    read_array(path)  # says what is wrong
    return np.asarray(np.lib.format.open_memmap(path, mode="c"))
