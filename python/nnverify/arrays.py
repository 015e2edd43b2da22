"""Arrays and numbers on their way in and out. Values are never cast: what the library cannot take as it is, it refuses."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Union

import numpy as np

from .errors import DATA, USAGE, NnverifyError

if TYPE_CHECKING:
    from numpy.typing import NDArray

# What NumPy makes an array of, or a `torch.Tensor`; or the path of a file that the command line takes.
Data = Any
# A decimal: a float stands for the shortest decimal that reads back as it, `"8/255"` for itself.
Real = Union[int, float, str, Decimal, Fraction]
Path = Union[str, "os.PathLike[str]"]


def is_path(data: Data) -> bool:
    """Whether data are named, not given."""
    return isinstance(data, (str, os.PathLike))


def to_array(data: Data, name: str) -> NDArray[Any]:
    """Returns data as an array, with the element type that they have; of a tensor without its history."""
    if hasattr(data, "detach") and hasattr(data, "cpu"):
        try:
            data = data.detach().cpu().numpy()
        except TypeError as error:
            raise NnverifyError(DATA, f"`{name}`: {error}", "convert it to float32 or float64 first") from error
    if isinstance(data, np.ma.MaskedArray):
        raise NnverifyError(DATA, f"`{name}` has a mask, which would be lost", "fill it first: `x.filled(…)`")
    array = np.asarray(data)
    if array.dtype.kind not in "biuf":
        raise NnverifyError(DATA, f"`{name}`: elements of type {array.dtype} are no real numbers")
    return array


def to_npy(data: Data, name: str) -> bytes:
    """Returns data as a .npy file, row-major."""
    out = io.BytesIO()
    np.save(out, np.ascontiguousarray(to_array(data, name)), allow_pickle=False)
    return out.getvalue()


def from_npy(data: bytes) -> NDArray[np.float64]:
    """Returns the array of a .npy file."""
    array: NDArray[np.float64] = np.load(io.BytesIO(data), allow_pickle=False)
    return array


def decimal(value: Real, name: str) -> str:
    """Returns a number as claims name it: a decimal or a quotient of two."""
    if isinstance(value, str):
        return value
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, (bool, np.bool_)):
        raise NnverifyError(USAGE, f"`{name}`: {value!r} is no number")
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, (float, np.floating)):
        return repr(exact(value, name))
    raise NnverifyError(USAGE, f"`{name}`: {value!r} is no number")


def decimals(values: Any, name: str) -> list[str]:
    """Returns a number or several as claims name them, row-major."""
    if isinstance(values, (int, float, str, Decimal, Fraction)) and not isinstance(values, np.generic):
        return [decimal(values, name)]
    if isinstance(values, Sequence) and all(isinstance(value, (str, Decimal, Fraction)) for value in values):
        return [decimal(value, name) for value in values]
    return [decimal(value, name) for value in to_array(values, name).ravel()]


def exact(value: Any, name: str) -> float:
    """Returns a number as a float, where it is one."""
    number = float(value)
    if not np.isfinite(number) or number != value:
        raise NnverifyError(USAGE, f"`{name}`: {value!r} is no finite float64")
    return number


def floats(values: Any, name: str) -> list[float]:
    """Returns numbers as floats, row-major, where they are floats."""
    return [exact(value, name) for value in to_array(values, name).ravel().tolist()]


def from_bits(bits: str) -> float:
    """Returns the float that a certificate states by its bits."""
    (value,) = struct.unpack(">d", bytes.fromhex(bits))
    return float(value)
