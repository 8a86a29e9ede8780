"""Payloads read strictly: what is odd is refused by row and field, so that a run can say what to mend."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

Payloads = Sequence[Mapping[str, Any]]


class BadRow(ValueError):
    """A payload that can't be read: what is wrong with it, and its row."""

    def __init__(self, message: str, row: int) -> None:
        super().__init__(message, row)
        self.message, self.row = message, row

    def __str__(self) -> str:
        return self.message


def field_value(payload: Any, row: int, field: str) -> Any:
    """One field of one payload; ValueError naming row and field if it is missing."""
    if not isinstance(payload, Mapping):
        raise BadRow(f"row {row} is not an object", row)
    if field not in payload:
        raise BadRow(f"row {row} has no field {field!r}", row)
    return payload[field]


def read_text(payload: Any, row: int, field: str) -> str:
    value = field_value(payload, row, field)
    if not isinstance(value, str):
        raise BadRow(f"row {row}, field {field!r}: not a text", row)
    return value


def read_numbers(payload: Any, row: int, field: str) -> NDArray[np.float64]:
    """A field as an array of finite numbers of any shape. Text that is one in JSON will do: CSV knows nothing else."""
    value = field_value(payload, row, field)
    if isinstance(value, str):
        with suppress(ValueError, RecursionError):
            value = json.loads(value) if value.lstrip().startswith("[") else float(value)
    try:
        array = np.asarray(value)
    except ValueError:  # nested lists of different lengths
        raise BadRow(f"row {row}, field {field!r}: lists of different lengths", row) from None
    if array.dtype.kind not in "iuf" or not np.isfinite(array).all() or _has_booleans(value):
        raise BadRow(f"row {row}, field {field!r}: not a finite number or a list of them", row)
    return array.astype(np.float64)


def read_matrix(payloads: Payloads, fields: Sequence[str], widths: Sequence[int]) -> NDArray[np.float64]:
    """The fields' numbers side by side, f8[N, sum of widths]. Raises ValueError naming the first bad row and field."""
    matrix = np.empty((len(payloads), sum(widths)))
    ends = np.cumsum(widths)
    for row, payload in enumerate(payloads):
        for field, width, end in zip(fields, widths, ends, strict=True):
            numbers = read_numbers(payload, row, field).ravel()
            if len(numbers) != width:
                raise BadRow(f"row {row}, field {field!r}: {len(numbers)} numbers; expected {width}", row)
            matrix[row, end - width : end] = numbers
    return matrix


def read_widths(payloads: Payloads, fields: Sequence[str]) -> tuple[int, ...]:
    """How many numbers each field of the first payload holds, which the others have to match."""
    if len(payloads) == 0:
        raise ValueError("no payloads to learn the columns from")
    return tuple(read_numbers(payloads[0], 0, field).size for field in fields)


def _has_booleans(value: Any) -> bool:
    """numpy reads [1, true] as [1, 1]; a mixed list is more likely a mistake than a measurement."""
    if not isinstance(value, list):
        return isinstance(value, bool)
    kinds = set(map(type, value))
    return bool in kinds or (list in kinds and any(map(_has_booleans, value)))
