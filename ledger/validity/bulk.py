"""Many places of a column at once, by numpy over the column itself.

Nothing is copied. A column cannot grow while numpy looks at it, so views are made where they are used and not kept.
"""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
import numpy.typing as npt


def numbers(column: array[int] | bytearray) -> npt.NDArray[Any]:
    """A column as numpy sees it, without copying."""
    return np.frombuffer(column, np.uint8 if isinstance(column, bytearray) else column.typecode)


def put_back(column: array[int] | bytearray, places: Any, before: Any) -> None:
    """Undo changes of a column, given in the order they were made: of each place the first counts."""
    numbers(column)[places[::-1]] = before[::-1]
