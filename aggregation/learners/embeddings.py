"""Embeddings uploaded with the tasks: vectors whose direction matters and whose length does not.

Each field's vector is scaled to length 1, and the mean direction taken off, which all vectors of one encoder share
(Mu, J. and Viswanath, P.: All-but-the-Top, ICLR 2018, arXiv:1702.01417). What is left is scaled to a root mean square
of 1. A vector of zeros says nothing and lies in the middle.
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
class EmbeddingsEncoder:
    """Every field a vector of fixed length; mean f8[D] of the directions, and scale, their root mean square."""

    fields: tuple[str, ...]
    widths: tuple[int, ...]
    mean: Floats
    scale: float

    def features(self, payloads: Payloads) -> Floats:
        directions = _directions(payloads, self.fields, self.widths)
        known = directions.any(axis=1, keepdims=True)
        return np.asarray(np.where(known, directions - self.mean, 0.0) / self.scale)

    def arrays(self) -> Arrays:
        return {
            "widths": np.array(self.widths, dtype=np.int64),
            "mean": self.mean,
            "scale": np.array([self.scale]),
        }


class EmbeddingsLearner(EncodedLearner):
    name = "embeddings"

    def fit_encoder(self, payloads: Payloads, fields: Sequence[str]) -> Encoder:
        """Lengths are those of the first payload's vectors."""
        widths = read_widths(payloads, fields)
        directions = _directions(payloads, fields, widths)
        mean = directions.mean(axis=0)
        spread = float(np.sqrt(((directions - mean) ** 2).sum(axis=1).mean()))
        return EmbeddingsEncoder(tuple(fields), widths, mean, spread if spread > 1e-9 else 1.0)

    def restore_encoder(self, fields: Sequence[str], arrays: Arrays) -> Encoder:
        widths = tuple(int(width) for width in arrays["widths"])
        return EmbeddingsEncoder(tuple(fields), widths, arrays["mean"], float(arrays["scale"][0]))


LEARNER = EmbeddingsLearner()


def _directions(payloads: Payloads, fields: Sequence[str], widths: Sequence[int]) -> Floats:
    """The fields' vectors side by side, each of length 1 or 0."""
    matrix = read_matrix(payloads, fields, widths)
    end = 0
    for width in widths:
        part = matrix[:, end : end + width]
        largest = np.abs(part).max(axis=1, keepdims=True, initial=0.0)
        part /= np.where(largest > 0, largest, 1.0)  # so that squares neither vanish nor overflow
        length = np.sqrt((part**2).sum(axis=1, keepdims=True))
        part /= np.where(length > 0, length, 1.0)
        end += width
    return matrix
