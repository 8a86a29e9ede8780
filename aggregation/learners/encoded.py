"""Learners that encode payloads as rows of numbers of length about 1, from which logistic regression predicts.

A kind of data is one `EncodedLearner`. The encoder sees no labels, so one serves all folds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from aggregation.learners import storage
from aggregation.learners.base import LearnerFit
from aggregation.learners.curve import Points, learning_points
from aggregation.learners.logistic import Classifier, cross_fit, train
from aggregation.learners.reading import Payloads
from aggregation.learners.sketch import sketch
from aggregation.learners.storage import Arrays
from aggregation.learners.target import Floats, Target


class Encoder(Protocol):
    """Payloads to features, with everything that was fitted for it."""

    @property
    def fields(self) -> tuple[str, ...]: ...

    def features(self, payloads: Payloads) -> Any:
        """Dense or sparse matrix [N, D]. Raises ValueError naming the first bad row and its field."""

    def arrays(self) -> Arrays:
        """All that `EncodedLearner.restore_encoder` needs, as plain arrays (no objects)."""


@dataclass(frozen=True, eq=False)
class Encoded:
    """A trained encoder and classifier, and the committee of those that were trained for the folds."""

    learner: str
    encoder: Encoder
    classifier: Classifier
    committee: tuple[Classifier, ...] = ()

    @property
    def n_labels(self) -> int:
        return self.classifier.n_labels

    def predict_proba(self, payloads: Payloads) -> Floats:
        if len(payloads) == 0:
            return np.empty((0, self.n_labels))
        return self.classifier.predict_proba(self.encoder.features(payloads))

    def member_proba(self, payloads: Payloads) -> Floats:
        X = self.encoder.features(payloads)
        return np.stack([member.predict_proba(X) for member in self.committee or (self.classifier,)])

    def features(self, payloads: Payloads) -> NDArray[np.float32]:
        return sketch(self.encoder.features(payloads))

    def save(self) -> bytes:
        head = {"learner": self.learner, "fields": list(self.encoder.fields)}
        return storage.pack(head, {"encoder": self.encoder.arrays(), "classifier": self.classifier.arrays()})


class EncodedLearner(ABC):
    """What is left to a kind of data: its name, and how it is encoded."""

    name: ClassVar[str]

    @abstractmethod
    def fit_encoder(self, payloads: Payloads, fields: Sequence[str]) -> Encoder:
        """An encoder for these fields of the payloads. Raises ValueError naming the first bad row and its field."""

    @abstractmethod
    def restore_encoder(self, fields: Sequence[str], arrays: Arrays) -> Encoder:
        """The encoder whose `arrays` were saved. Raises KeyError or ValueError if they are others."""

    def fit(
        self, payloads: Payloads, target: Target, fields: Sequence[str], *, folds: int | None = None, seed: int = 0
    ) -> LearnerFit:
        if len(payloads) != len(target):
            raise ValueError(f"{len(payloads)} payloads and {len(target)} targets; expected as many")
        encoder = self.fit_encoder(payloads, fields)
        X = encoder.features(payloads)
        crossed = cross_fit(X, target, folds=folds, seed=seed)
        return LearnerFit(Encoded(self.name, encoder, train(X, target), crossed.members), crossed.proba)

    def points(self, payloads: Payloads, target: Target, fields: Sequence[str], *, seed: int = 0) -> Points:
        return learning_points(self.fit_encoder(payloads, fields).features(payloads), target, seed=seed)

    def restore(self, fields: Sequence[str], groups: Mapping[str, Arrays]) -> Encoded:
        encoder = self.restore_encoder(fields, groups["encoder"])
        return Encoded(self.name, encoder, Classifier.restore(groups["classifier"]))
