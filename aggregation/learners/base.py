"""The contract of a learner, and what all learners share.

A learner turns payloads into features (`fit_encoder`), and logistic regression turns features into predictions:

    encoder = LEARNERS["text"].fit_encoder(payloads, fields)   # vocabulary, scale: needs no labels
    X = encoder.features(payloads)
    held_out = out_of_fold(X, posterior, seed=0)               # for measuring: no row was trained on itself
    learned = Learned("text", encoder, train(X, posterior, seed=0))
    learned.predict_proba(other_payloads)                      # f8[N, K]
    Learned.load(learned.save())                               # npz bytes, never pickle

Posteriors given for training must come from votes only: a learner never learns from itself.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from aggregation.learners.logistic import Classifier

Floats = NDArray[np.float64]
Payloads = Sequence[Mapping[str, Any]]
Arrays = dict[str, NDArray[Any]]


class Encoder(Protocol):
    """Payloads to features, with everything that was fitted for it."""

    @property
    def fields(self) -> tuple[str, ...]: ...

    def features(self, payloads: Payloads) -> Any:
        """Dense or sparse matrix [N, D]. Raises ValueError naming the first bad row and its field."""

    def arrays(self) -> Arrays:
        """All that `Learner.restore_encoder` needs, as plain arrays (no objects)."""


class Learner(Protocol):
    """One way of encoding payloads."""

    def fit_encoder(self, payloads: Payloads, fields: Sequence[str]) -> Encoder:
        """An encoder for these fields of the payloads. Raises ValueError naming the first bad row and its field."""

    def restore_encoder(self, fields: Sequence[str], arrays: Arrays) -> Encoder:
        """The encoder whose `arrays` were saved."""


@dataclass(frozen=True, eq=False)
class Learned:
    """A trained learner: predicts from payloads, and can be stored."""

    learner: str
    encoder: Encoder
    classifier: Classifier

    def predict_proba(self, payloads: Payloads) -> Floats:
        """Predictions f8[N, K], rows sum to 1, none is 0. Raises ValueError naming a bad row and its field."""
        if len(payloads) == 0:
            return np.empty((0, self.classifier.n_labels))
        return self.classifier.predict_proba(self.encoder.features(payloads))

    def save(self) -> bytes:
        """The whole as one npz file. Equal learned models give equal bytes."""
        head = {"format": 1, "learner": self.learner, "fields": list(self.encoder.fields)}
        arrays: Arrays = {"head": text_array(json.dumps(head, sort_keys=True))}
        arrays |= {f"encoder.{name}": array for name, array in self.encoder.arrays().items()}
        arrays |= {f"classifier.{name}": array for name, array in self.classifier.arrays().items()}
        file = io.BytesIO()
        np.savez_compressed(file, allow_pickle=False, **arrays)
        return file.getvalue()

    @classmethod
    def load(cls, data: bytes) -> Learned:
        """What `save` wrote. Raises ValueError if it is something else; never unpickles."""
        from aggregation.learners import LEARNERS

        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            head = json.loads(array_text(arrays["head"]))
            learner = LEARNERS[head["learner"]]
        except (KeyError, OSError, EOFError, ValueError, BadZipFile) as error:
            raise ValueError(f"not a stored learner: {error}") from error
        encoder = learner.restore_encoder(head["fields"], _under("encoder.", arrays))
        return cls(head["learner"], encoder, Classifier.restore(_under("classifier.", arrays)))


def field_value(payload: Mapping[str, Any], row: int, field: str) -> Any:
    """One field of one payload; ValueError naming row and field if it is missing."""
    if not isinstance(payload, Mapping):
        raise ValueError(f"row {row} is not an object")
    if field not in payload:
        raise ValueError(f"row {row} has no field {field!r}")
    return payload[field]


def text_array(text: str) -> NDArray[np.uint8]:
    """Text as UTF-8 bytes: numpy's own string arrays drop trailing NULs."""
    return np.frombuffer(text.encode(), dtype=np.uint8)


def array_text(array: NDArray[np.uint8]) -> str:
    return array.tobytes().decode()


def _under(prefix: str, arrays: Arrays) -> Arrays:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
