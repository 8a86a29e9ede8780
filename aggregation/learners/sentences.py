"""Texts by their words and by what they mean: TF-IDF beside vectors of sentences from a package (`vectors`).

TF-IDF knows nothing of a word that it was not taught; the vectors know which words are alike, so that few labels go
further. Both are told apart by one classifier, which trusts words the more the more labels there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aggregation.learners import text
from aggregation.learners.encoded import EncodedLearner, Encoder
from aggregation.learners.reading import Payloads, read_text
from aggregation.learners.storage import Arrays, array_text, text_array
from aggregation.learners.vectors import PACKAGE, MissingPackage, Vectors, directions, vectors

#: The vectors' root mean square, where a text's words and its characters each have length 1. Of 0.25 to 1 the one with
#: the best mean held-out log loss on tweets, product reviews and editorials, each taught 50 to 1,000 labels.
LENGTH = 0.7


@dataclass(frozen=True, eq=False)
class SentencesEncoder:
    """The words' encoder; mean f4[D] of the taught texts' directions, and scale, their root mean square around it."""

    words: Encoder
    vectors: Vectors
    mean: NDArray[np.float32]
    scale: float

    @property
    def fields(self) -> tuple[str, ...]:
        return self.words.fields

    def features(self, payloads: Payloads) -> Any:
        words = self.words.features(payloads)
        found = directions(_texts(payloads, self.fields))
        known = found.any(axis=1, keepdims=True)
        return _beside(np.where(known, found - self.mean, np.float32(0.0)) * np.float32(LENGTH / self.scale), words)

    def arrays(self) -> Arrays:
        """Not the package's vectors, but whose they are."""
        return self.words.arrays() | {
            "mean": self.mean,
            "scale": np.array([self.scale]),
            "version": text_array(self.vectors.version),
            "vectors": text_array(self.vectors.sha256),
        }


class SentencesLearner(EncodedLearner):
    name = "sentences"

    def fit_encoder(self, payloads: Payloads, fields: Sequence[str]) -> Encoder:
        """Raises MissingPackage where there is none to take the vectors from."""
        installed = vectors()
        words = text.LEARNER.fit_encoder(payloads, fields)
        found = directions(_texts(payloads, fields))
        mean = found.mean(axis=0) if len(found) else np.zeros(installed.table.shape[1], np.float32)
        spread = float(np.sqrt(((found - mean) ** 2).sum(axis=1).mean())) if len(found) else 1.0
        return SentencesEncoder(words, installed, mean, spread if spread > 1e-6 else 1.0)

    def restore_encoder(self, fields: Sequence[str], arrays: Arrays) -> Encoder:
        """Raises MissingPackage where the vectors that it was taught with are not installed."""
        installed, taught = vectors(), array_text(arrays["version"])
        if array_text(arrays["vectors"]) != installed.sha256:
            raise MissingPackage(
                f"This learner was taught with the vectors of {PACKAGE} {taught}, and those of {installed.version} are "
                f"others: train it again, or pip install {PACKAGE}=={taught}"
            )
        words = text.LEARNER.restore_encoder(fields, arrays)
        return SentencesEncoder(words, installed, arrays["mean"], float(arrays["scale"][0]))


LEARNER = SentencesLearner()


def _texts(payloads: Payloads, fields: Sequence[str]) -> list[str]:
    return ["\n".join(read_text(payload, row, field) for field in fields) for row, payload in enumerate(payloads)]


def _beside(dense: NDArray[np.float32], sparse: Any) -> Any:
    """f4[N, D] and a sparse matrix [N, E] by rows as one [N, D + E]. scipy's own takes several times as long."""
    from scipy.sparse import csr_matrix

    (n, width), start = dense.shape, sparse.indptr.astype(np.int64)
    start += width * np.arange(n + 1)
    place = start[:-1, None] + np.arange(width)
    first = np.zeros(start[-1], np.bool_)
    first[place] = True
    values, columns = np.empty(start[-1], np.float32), np.empty(start[-1], np.int32)
    values[first], values[~first] = dense.ravel(), sparse.data
    columns[first], columns[~first] = np.tile(np.arange(width), n), sparse.indices + width
    return csr_matrix((values, columns, start), shape=(n, width + sparse.shape[1]))
