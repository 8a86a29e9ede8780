"""Numbers, and small images given as arrays of numbers: standardised columns.

They are also divided by the root of their number, so that a row has a length of about 1, as a TF-IDF row has, and one
penalty suits both.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aggregation.learners.base import Arrays, Encoder, Floats, Payloads, field_value


@dataclass(frozen=True, eq=False)
class NumericEncoder:
    """Every field a number or a (nested) list of numbers of fixed size; mean and scale f8[D] over all columns."""

    fields: tuple[str, ...]
    widths: tuple[int, ...]
    mean: Floats
    scale: Floats

    def features(self, payloads: Payloads) -> Floats:
        return (_matrix(payloads, self.fields, self.widths) - self.mean) / self.scale

    def arrays(self) -> Arrays:
        return {"widths": np.array(self.widths, dtype=np.int64), "mean": self.mean, "scale": self.scale}


class NumericLearner:
    def fit_encoder(self, payloads: Payloads, fields: Sequence[str]) -> Encoder:
        """Widths are those of the first payload; a column that never changes is only centred."""
        if len(payloads) == 0:
            raise ValueError("no payloads to learn the columns from")
        widths = tuple(len(_numbers(payloads[0], 0, field)) for field in fields)
        matrix = _matrix(payloads, tuple(fields), widths)
        spread = matrix.std(axis=0)
        scale = np.where(spread > 0, spread, 1.0) * np.sqrt(max(sum(widths), 1))
        return NumericEncoder(tuple(fields), widths, matrix.mean(axis=0), scale)

    def restore_encoder(self, fields: Sequence[str], arrays: Arrays) -> Encoder:
        widths = tuple(int(width) for width in arrays["widths"])
        return NumericEncoder(tuple(fields), widths, arrays["mean"], arrays["scale"])


LEARNER = NumericLearner()


def _matrix(payloads: Payloads, fields: tuple[str, ...], widths: tuple[int, ...]) -> Floats:
    matrix = np.empty((len(payloads), sum(widths)))
    ends = np.cumsum(widths)
    for row, payload in enumerate(payloads):
        for field, width, end in zip(fields, widths, ends, strict=True):
            numbers = _numbers(payload, row, field)
            if len(numbers) != width:
                raise ValueError(f"row {row}, field {field!r}: {len(numbers)} numbers; expected {width}")
            matrix[row, end - width : end] = numbers
    return matrix


def _numbers(payload: Any, row: int, field: str) -> NDArray[np.float64]:
    """A field as a flat array of finite numbers; so is a number as text (all that CSV knows); true and null are not."""
    value = field_value(payload, row, field)
    if isinstance(value, str):
        with suppress(ValueError):
            value = float(value)
    try:
        array = np.asarray(value)
    except ValueError:  # nested lists of different lengths
        raise ValueError(f"row {row}, field {field!r}: lists of different lengths") from None
    if array.dtype.kind not in "iuf" or not np.isfinite(array).all() or _has_booleans(value):
        raise ValueError(f"row {row}, field {field!r}: not a finite number or a list of them")
    return array.astype(np.float64).ravel()


def _has_booleans(value: Any) -> bool:
    """numpy reads [1, true] as [1, 1]; a mixed list is more likely a mistake than a measurement."""
    return isinstance(value, bool) or (isinstance(value, list) and any(_has_booleans(item) for item in value))
