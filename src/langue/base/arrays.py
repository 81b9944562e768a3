"""The types of arrays, by what they hold; shapes stand where an array is made or taken."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]  # of any type: what compiled code takes as it comes
Ids = npt.NDArray[np.integer]  # token ids, of whatever width
Floats = npt.NDArray[np.floating]  # of whatever width
BoolArray = npt.NDArray[np.bool_]
UInt8Array = npt.NDArray[np.uint8]  # bytes
UInt64Array = npt.NDArray[np.uint64]
Int32Array = npt.NDArray[np.int32]
Int64Array = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]
