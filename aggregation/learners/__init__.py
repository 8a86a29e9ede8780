"""The learners by name: classifiers retrained on consensus. Adding one is one file and one line here.

Pure functions on arrays, no Django. scipy, scikit-learn and numba take seconds to import, so they are imported inside
the functions that need them. See `base` for the contract.
"""

from __future__ import annotations

from aggregation.learners import embeddings, images, numeric, sentences, storage, text
from aggregation.learners.base import Learned, Learner, LearnerFit, fit_readable, predict_readable, predict_stream
from aggregation.learners.logistic import cross_fit, out_of_fold, train
from aggregation.learners.pupil import Pupil
from aggregation.learners.sketch import SPREADING, sketch
from aggregation.learners.target import Target
from aggregation.learners.vectors import MissingPackage

LEARNERS: dict[str, Learner] = {
    "embeddings": embeddings.LEARNER,
    "images": images.LEARNER,
    "numeric": numeric.LEARNER,
    "sentences": sentences.LEARNER,
    "text": text.LEARNER,
}


def load(data: bytes) -> Learned:
    """What `Learned.save` wrote. Raises ValueError if it is something else or damaged; never unpickles.

    Raises MissingPackage if it needs a package that is not installed, or another version of it.
    """
    head, groups = storage.unpack(data)
    try:
        return LEARNERS[head["learner"]].restore(head["fields"], groups)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not a stored learner: {error}") from error


__all__ = [
    "LEARNERS",
    "SPREADING",
    "Learned",
    "Learner",
    "LearnerFit",
    "MissingPackage",
    "Pupil",
    "Target",
    "cross_fit",
    "fit_readable",
    "load",
    "out_of_fold",
    "predict_readable",
    "predict_stream",
    "sketch",
    "train",
]
