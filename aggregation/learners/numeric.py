"""Numbers: standardised columns.

They are also divided by the root of their number, so that a row has a length of about 1, as a TF-IDF row has, and one
penalty suits both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aggregation.learners.encoded import EncodedLearner, Encoder
from aggregation.learners.reading import Payloads, read_matrix, read_widths
from aggregation.learners.storage import Arrays
from aggregation.learners.target import Floats


@dataclass(frozen=True, eq=False)
class NumericEncoder:
    """Every field a number or a (nested) list of numbers of fixed size; mean and scale f8[D] over all columns."""

    fields: tuple[str, ...]
    widths: tuple[int, ...]
    mean: Floats
    scale: Floats

    def features(self, payloads: Payloads) -> Floats:
        return (read_matrix(payloads, self.fields, self.widths) - self.mean) / self.scale

    def arrays(self) -> Arrays:
        return {"widths": np.array(self.widths, dtype=np.int64), "mean": self.mean, "scale": self.scale}


class NumericLearner(EncodedLearner):
    name = "numeric"

    def fit_encoder(self, payloads: Payloads, fields: Sequence[str]) -> Encoder:
        """Widths are those of the first payload; a column that never changes is only centred."""
        widths = read_widths(payloads, fields)
        matrix = read_matrix(payloads, fields, widths)
        spread = matrix.std(axis=0)
        scale = np.where(spread > 0, spread, 1.0) * np.sqrt(max(sum(widths), 1))
        return NumericEncoder(tuple(fields), widths, matrix.mean(axis=0), scale)

    def restore_encoder(self, fields: Sequence[str], arrays: Arrays) -> Encoder:
        widths = tuple(int(width) for width in arrays["widths"])
        return NumericEncoder(tuple(fields), widths, arrays["mean"], arrays["scale"])


LEARNER = NumericLearner()
